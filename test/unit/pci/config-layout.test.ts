import { describe, expect, it } from 'vitest';
import { layOutConfig } from '../../../server/src/core/pci/config-layout.ts';
import { PROBE_BAR_BYTES, dmaProbeConfig } from '../../../server/src/core/pci/index.ts';

const probe = (): Uint8Array => dmaProbeConfig({ integrated: true });

describe('the layout of an image', () => {
  it('is one for all images that are equal', () => {
    const [one, other] = [probe(), probe()];
    expect(one).not.toBe(other);
    expect(layOutConfig(one, PROBE_BAR_BYTES)).toBe(layOutConfig(other, [...PROBE_BAR_BYTES]));
  });

  it('is another when a byte, a size of a BAR or the length is another', () => {
    const known = layOutConfig(probe(), PROBE_BAR_BYTES);
    const changed = probe();
    changed[0xfff]! ^= 1;
    expect(layOutConfig(changed, PROBE_BAR_BYTES)).not.toBe(known);
    const larger = PROBE_BAR_BYTES.with(0, 0x2000n);
    expect(layOutConfig(probe(), larger).bars[0]).toMatchObject({ sizeLg2: 13 });
    expect(known.bars[0]).toMatchObject({ sizeLg2: 12 });
    expect(layOutConfig(probe().slice(0, 256), PROBE_BAR_BYTES).masks.writable).toHaveLength(256);
  });

  it('is made anew when the image was changed since', () => {
    const image = probe();
    const before = layOutConfig(image, PROBE_BAR_BYTES);
    image[0x0e]! |= 0x80;
    expect(layOutConfig(image, PROBE_BAR_BYTES)).not.toBe(before);
    image[0x0e]! &= 0x7f;
    expect(layOutConfig(image, PROBE_BAR_BYTES)).toBe(before);
  });

  it('is kept for images to come only as long as there are not many others', () => {
    const first = layOutConfig(probe(), PROBE_BAR_BYTES);
    for (let revision = 0; revision < 200; revision++) {
      const other = probe();
      other[0x08] = revision;
      other[0xffc] = 1;
      layOutConfig(other, PROBE_BAR_BYTES);
    }
    const again = layOutConfig(probe(), PROBE_BAR_BYTES);
    expect(again).not.toBe(first);
    expect(again).toEqual(first);
  });
});
