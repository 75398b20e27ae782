import { describe, expect, it } from 'vitest';
import { CONFIG_EFFECT, ConfigSpace } from '../../../server/src/core/pci/index.ts';

function image(bars: readonly number[], bytes = 256): Uint8Array {
  const made = new Uint8Array(bytes);
  const view = new DataView(made.buffer);
  bars.forEach((value, i) => view.setUint32(0x10 + 4 * i, value, true));
  return made;
}

/** Writes all ones to a dword and returns what reads back. */
function probe(space: ConfigSpace, offset: number): number {
  space.write(offset, 4, 0xffff_ffff);
  return space.read(offset, 4);
}

describe('a size below that of the type bits', () => {
  it('makes no type bit of a memory BAR writable', () => {
    expect(probe(new ConfigSpace(image([0xf7c2_0000]), { barBytes: [4n] }), 0x10)).toBe(0xffff_fff0);
  });
});

describe('the Secondary Latency Timer', () => {
  it.each([
    ['is read-only in a PCI Express port', true, 0],
    ['is writable in a PCI bridge', false, 0xff],
  ])('%s', (_, express, expected) => {
    const made = image([]);
    made[0x0e] = 1;
    if (express) made.set([0x10, 0, 0x42, 0], 0x40);
    if (express) made[0x34] = 0x40;
    made[0x06] = 0x10;
    const space = new ConfigSpace(made);
    space.write(0x1b, 1, 0xff);
    expect(space.read(0x1b, 1)).toBe(expected);
  });
});

describe('a BAR of which only the address is known', () => {
  it.each([
    ['32-bit memory', [0xf7c2_0000], 0x10, 0xfffe_0000],
    ['prefetchable', [0xe000_0008], 0x10, 0xe000_0008],
    ['I/O', [0x0000_f041], 0x10, 0xffff_ffc1],
  ])('of %s has the size of its alignment', (_, bars, offset, expected) => {
    expect(probe(new ConfigSpace(image(bars)), offset)).toBe(expected);
  });

  it('of 64 bits may be aligned above 4 GiB', () => {
    const space = new ConfigSpace(image([0x0000_000c, 0x0000_0380]));
    expect([probe(space, 0x10), probe(space, 0x14)]).toEqual([0x0000_000c, 0xffff_ff80]);
    expect(space.bars()).toEqual([{ index: 0, offset: 0x10, kind: 'memory64', prefetchable: true, sizeLg2: 39 }]);
  });

  it('and is zero is read-only, as nothing tells its size', () => {
    const space = new ConfigSpace(image([0x0000_0004, 0, 0x0000_0001]));
    expect([probe(space, 0x10), probe(space, 0x14), probe(space, 0x18)]).toEqual([4, 0, 1]);
    expect(space.bars().map((bar) => bar.sizeLg2)).toEqual([-1, -1]);
  });

  it('is absent when the register is zero', () => {
    expect(new ConfigSpace(image([0, 0, 0])).bars()).toEqual([]);
  });
});

describe('a BAR whose size is told', () => {
  it('has that size, whatever its address', () => {
    const space = new ConfigSpace(image([0xe000_0000, 0, 0x0000_000c, 0]), { barBytes: [0x1000n, 0n, 0x2_0000_0000n] });
    expect([probe(space, 0x10), probe(space, 0x18), probe(space, 0x1c)]).toEqual([0xffff_f000, 0xc, 0xffff_fffe]);
  });

  it('has an address that is read without type bits', () => {
    const space = new ConfigSpace(image([0xe000_000c, 0x12]), { barBytes: [0x1000n] });
    expect(space.barAddress(space.bars()[0]!)).toBe(0x12_e000_0000n);
  });

  it.each([3n, 2n, 0x1001n, 1n << 64n])('is refused at %i bytes', (bytes) => {
    expect(() => new ConfigSpace(image([0xe000_0000]), { barBytes: [bytes] })).toThrow(/BAR 0 is not a power of two from 4 to 2\^63/);
  });
});

describe('the expansion ROM', () => {
  it('has an enable bit and its size', () => {
    const made = image([]);
    new DataView(made.buffer).setUint32(0x30, 0xf7d0_0000, true);
    const space = new ConfigSpace(made, { barBytes: [0n, 0n, 0n, 0n, 0n, 0n, 0x1_0000n] });
    expect(probe(space, 0x30)).toBe(0xffff_0001);
  });

  it('of a bridge is at 0x38', () => {
    const made = image([]);
    made[0x0e] = 1;
    new DataView(made.buffer).setUint32(0x38, 0xf7d0_0000, true);
    expect(new ConfigSpace(made).bars()).toMatchObject([{ index: 6, offset: 0x38, kind: 'rom' }]);
  });
});

describe('Resizable BAR', () => {
  /** BAR 0: 256 MiB (code 8) at 0xd0000000; the capability at 0x100. */
  function resizable(): ConfigSpace {
    const made = image([0xd000_000c, 0], 4096);
    const view = new DataView(made.buffer);
    view.setUint32(0x100, 0x0001_0015, true);
    view.setUint32(0x104, 0x0000_7000, true);
    view.setUint32(0x108, (1 << 5) | (8 << 8), true);
    return new ConfigSpace(made);
  }

  it('tells the size in force', () => {
    expect(resizable().bars()).toMatchObject([{ index: 0, sizeLg2: 28 }]);
    expect(probe(resizable(), 0x10)).toBe(0xf000_000c);
  });

  it('changes it, and address bits that the BAR loses read zero', () => {
    const space = resizable();
    expect(space.write(0x108, 4, 9 << 8)).toBe(CONFIG_EFFECT.barSize);
    expect(space.read(0x10, 4)).toBe(0xc000_000c);
    expect(probe(space, 0x10)).toBe(0xe000_000c);
    space.write(0x108, 4, 0);
    expect(probe(space, 0x10)).toBe(0xfff0_000c);
  });

  it('goes back to its first size with an FLR', () => {
    const space = resizable();
    space.write(0x108, 4, 0);
    space.reset('flr');
    expect(probe(space, 0x10)).toBe(0xf000_000c);
  });
});
