import { describe, expect, it } from 'vitest';
import { ConfigSpace, walkCapabilities } from '../../../server/src/core/pci/index.ts';

/** A 256- or 4096-byte image with a capability list that starts at `first`. */
function image(bytes: number, first: number): Uint8Array {
  const made = new Uint8Array(bytes);
  made[0x06] = 0x10;
  made[0x34] = first;
  return made;
}

/** Standard: id, next. Extended: the 32-bit header. */
function standard(made: Uint8Array, at: number, id: number, next: number): void {
  made[at] = id;
  made[at + 1] = next;
}
function extended(made: Uint8Array, at: number, id: number, version: number, next: number): void {
  new DataView(made.buffer).setUint32(at, (id | (version << 16) | (next << 20)) >>> 0, true);
}

describe('the chain in the first 256 bytes', () => {
  it('is walked in chain order', () => {
    const made = image(256, 0x80);
    standard(made, 0x80, 0x05, 0x40);
    standard(made, 0x40, 0x01, 0);
    expect(walkCapabilities(made)).toEqual({
      capabilities: [
        { id: 5, offset: 0x80, extended: false, version: 0 },
        { id: 1, offset: 0x40, extended: false, version: 0 },
      ],
      warnings: [],
    });
  });

  it('is not there when Status says so', () => {
    const made = image(256, 0x40);
    standard(made, 0x40, 1, 0);
    made[0x06] = 0;
    expect(walkCapabilities(made).capabilities).toEqual([]);
  });

  it('is not there in 64 bytes, without a warning', () => {
    expect(walkCapabilities(image(64, 0x40))).toEqual({ capabilities: [], warnings: [] });
  });

  it('drops the reserved low bits of a pointer', () => {
    const made = image(256, 0x43);
    standard(made, 0x40, 1, 0);
    expect(walkCapabilities(made)).toMatchObject({ capabilities: [{ offset: 0x40 }], warnings: [] });
  });

  it.each([
    [
      'loops',
      0x40,
      [
        [0x40, 1, 0x50],
        [0x50, 5, 0x40],
      ],
      'the capability chain loops: the pointer at 0x51 leads back to 0x40',
      2,
    ],
    ['points at itself', 0x40, [[0x40, 1, 0x40]], 'the capability chain loops: the pointer at 0x41 leads back to 0x40', 1],
    ['points into the header', 0x40, [[0x40, 1, 0x10]], 'the capability pointer at 0x41 leads to 0x10, inside the header', 1],
    [
      'ends in all ones',
      0x40,
      [
        [0x40, 1, 0x50],
        [0x50, 0xff, 0xff],
      ],
      'there is no capability at 0x50, where the pointer at 0x41 leads',
      1,
    ],
  ])('that %s is kept up to there, with a warning', (_, first, members, warning, kept) => {
    const made = image(256, first);
    for (const [at, id, next] of members) standard(made, at!, id!, next!);
    const walk = walkCapabilities(made);
    expect(walk.capabilities).toHaveLength(kept);
    expect(walk.warnings).toEqual([expect.stringContaining(warning)]);
  });

  it('of a CardBus bridge begins at 0x14', () => {
    const made = image(256, 0);
    made[0x0e] = 2;
    made[0x14] = 0xa0;
    standard(made, 0xa0, 1, 0);
    expect(walkCapabilities(made).capabilities).toEqual([{ id: 1, offset: 0xa0, extended: false, version: 0 }]);
  });

  it('of a dump that ends before it is cut without a warning', () => {
    const made = image(128, 0xa0);
    expect(walkCapabilities(made)).toEqual({ capabilities: [], warnings: [] });
  });
});

describe('the extended chain', () => {
  it('is walked with versions, over a null capability', () => {
    const made = image(4096, 0);
    extended(made, 0x100, 0, 0, 0x140);
    extended(made, 0x140, 0x0f, 1, 0xffc);
    extended(made, 0xffc, 0x1b, 2, 0);
    expect(walkCapabilities(made)).toEqual({
      capabilities: [
        { id: 0x0f, offset: 0x140, extended: true, version: 1 },
        { id: 0x1b, offset: 0xffc, extended: true, version: 2 },
      ],
      warnings: [],
    });
  });

  it('is empty where the first dword is zero or all ones', () => {
    const made = image(4096, 0);
    expect(walkCapabilities(made).warnings).toEqual([]);
    made.fill(0xff, 0x100, 0x104);
    expect(walkCapabilities(made)).toEqual({ capabilities: [], warnings: [] });
  });

  it.each([
    ['loops', 0x100, 'the extended capability chain loops: 0x140 leads back to 0x100'],
    ['is misaligned', 0x791, 'the extended capability at 0x140 has the misaligned pointer 0x791'],
    ['leaves extended space', 0x40, 'the extended capability at 0x140 leads to 0x40, outside of extended configuration space'],
  ])('that %s is kept up to there, with a warning', (_, next, warning) => {
    const made = image(4096, 0);
    extended(made, 0x100, 0x01, 1, 0x140);
    extended(made, 0x140, 0x0d, 1, next);
    const walk = walkCapabilities(made);
    expect(walk.capabilities.map((c) => c.offset)).toEqual([0x100, 0x140]);
    expect(walk.warnings).toEqual([warning]);
  });

  it('goes on where a pointer without its two low bits leads', () => {
    const made = image(4096, 0);
    extended(made, 0x100, 0x01, 1, 0x142);
    extended(made, 0x140, 0x0d, 1, 0);
    const walk = walkCapabilities(made);
    expect(walk.capabilities.map((c) => c.offset)).toEqual([0x100, 0x140]);
    expect(walk.warnings).toEqual(['the extended capability at 0x100 has the misaligned pointer 0x142']);
  });

  it('that leads to all ones says so', () => {
    const made = image(4096, 0);
    extended(made, 0x100, 0x01, 1, 0x200);
    made.fill(0xff, 0x200, 0x204);
    expect(walkCapabilities(made).warnings).toEqual(['the extended capability chain is broken: nothing is at 0x200, where 0x100 leads']);
  });
});

describe('a capability at the end of its space', () => {
  it('whose registers do not fit is not decoded, and writes stay inside', () => {
    const made = image(4096, 0xfc);
    standard(made, 0xfc, 0x10, 0);
    extended(made, 0x100, 0x01, 1, 0xffc);
    extended(made, 0xffc, 0x0f, 1, 0);
    const space = new ConfigSpace(made);
    expect(space.atsSupported).toBe(false);
    const before = space.image();
    space.setAtsEnable(true);
    space.write(0xffc, 4, 0xffff_ffff);
    expect(space.image()).toEqual(before);
  });

  it('does not reach into the next one', () => {
    const made = image(256, 0x40);
    // PM at 0x40 would have its control register at 0x44, where MSI is.
    standard(made, 0x40, 0x01, 0x44);
    standard(made, 0x44, 0x05, 0);
    const space = new ConfigSpace(made);
    expect(space.powerState).toBe(0);
    space.write(0x44, 1, 0xff);
    expect(space.read(0x44, 1)).toBe(5);
  });
});
