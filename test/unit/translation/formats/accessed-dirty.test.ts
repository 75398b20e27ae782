import { describe, expect, it } from 'vitest';
import { withFlags } from '../../../../server/src/core/translation/formats/accessed-dirty.ts';
import { STATUS, formatNamed, type Format } from '../../../../server/src/core/translation/index.ts';

const RW = 3;
const TABLE_KIND = -1;
const LEAF_KIND = -2;

/** A leaf of 4 KiB at page 5 as the format's tracking writer makes it, and its halves after what the hardware does. */
function leaf(format: Format): { readonly clean: number; readonly high: number } {
  const words = new Int32Array(2);
  const size = format.leafSizes.at(-1)!;
  withFlags(format, true).putLeaf(words, 0, 5 * 2 ** size.sizeLg2, RW, size, 0);
  return { clean: words[0]!, high: words[1]! };
}

describe('the flags of a leaf', () => {
  // What a write changes in a clean leaf, by each specification.
  it.each([
    ['x86-64', 0, 1 << 6],
    ['x86-64-5level', 0, 1 << 6],
    ['vtd-second-stage-4level', 0, 1 << 9],
    ['amd-v1-3level', 0, 1 << 6],
    ['riscv-sv39', 0, 1 << 7],
    ['riscv-sv57x4', 0, 1 << 7],
    ['arm-s2-4k-40', 0, 1 << 7],
    ['arm-s1-64k-42', 1 << 7, 0],
  ])('%s: a write clears %i and sets %i', (name, cleared, set) => {
    const format = formatNamed(name)!;
    const { clean, high } = leaf(format);
    const dirty = format.flags.dirtied(clean, high, 0);
    expect([clean & ~dirty, dirty & ~clean]).toEqual([cleared, set]);
    expect([format.flags.isDirty(clean, high), format.flags.isDirty(dirty, high)]).toEqual([false, true]);
    expect(format.flags.cleaned(dirty, high)).toBe(clean);
    expect(high >>> 19 === 1).toBe(name.startsWith('arm'));
  });

  it.each([
    ['x86-64', 1 << 5, true],
    ['vtd-second-stage-5level', 1 << 8, true],
    ['amd-v1-4level', 1 << 5, true],
    ['riscv-sv48', 1 << 6, false],
    ['riscv-sv39x4', 1 << 6, false],
    ['arm-s1-4k-48', 1 << 10, false],
    ['arm-s2-16k-40', 1 << 10, false],
  ])('%s: accessed is %i, in tables too: %s', (name, bit, inTables) => {
    const format = formatNamed(name)!;
    const words = new Int32Array(2);
    format.putTable(words, 0, 4, 1);
    const table = words[0]! & ~bit;
    expect(format.flags.accessed(table, words[1]!, 1)).toBe(inTables ? table | bit : table);
    const { clean, high } = leaf(format);
    expect(format.flags.accessed(clean & ~bit, high, 0)).toBe(clean | bit);
  });

  it('are not there without DBM: an Arm page that may not be written stays so', () => {
    for (const [name, readOnly] of [
      ['arm-s1-4k-48', 0xec3],
      ['arm-s2-4k-40', 0x657],
    ] as const) {
      const { flags } = formatNamed(name)!;
      expect([flags.dirtied(readOnly, 0, 0), flags.cleaned(readOnly, 0), flags.isDirty(readOnly, 0)]).toEqual([readOnly, readOnly, false]);
    }
  });
});

describe('a format with its flags kept', () => {
  const entry = { kind: 0, page: 0, nextLevel: 0, sizeLg2: 0, rights: 0 };

  it('has the rights that a leaf has once they are set, and changes no table and nothing that is absent or broken', () => {
    const plain = formatNamed('riscv-sv39')!;
    const kept = withFlags(plain, false);
    const kindOf = (format: Format, low: number, level = 0): number => (format.decode(low, 0, level, entry), entry.kind);
    expect(kindOf(plain, 0x17)).toBe(STATUS['access-flag']);
    expect(kindOf(kept, 0x17)).toBe(LEAF_KIND);
    expect(entry.rights & RW).toBe(RW);
    expect(kindOf(kept, 0x16)).toBe(STATUS['not-present']);
    expect(kindOf(kept, 0x15)).toBe(STATUS['reserved-bits']);
    expect(kindOf(kept, 1, 1)).toBe(TABLE_KIND);
    expect(kindOf(kept, 0x81, 1)).toBe(STATUS['reserved-bits']);
  });

  it('writes leaves clean only where they are tracked, and read-only ones as they are', () => {
    const format = formatNamed('x86-64')!;
    const written = (tracked: boolean, access: number): number => {
      const words = new Int32Array(2);
      withFlags(format, tracked).putLeaf(words, 0, 5, access, format.leafSizes.at(-1)!, 0);
      return words[0]!;
    };
    expect([written(false, RW), written(true, RW), written(true, 1)]).toEqual([0x5067, 0x5027, 0x5025]);
  });
});
