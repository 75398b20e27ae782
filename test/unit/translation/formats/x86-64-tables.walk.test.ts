import { beforeEach, describe, expect, it } from 'vitest';
import { X86Tables } from '../../../../server/src/core/translation/formats/x86-64-tables.ts';
import { STATUS } from '../../../../server/src/core/translation/index.ts';
import { TablePool } from '../../../../server/src/core/translation/table-pool.ts';
import { walk } from './own-tables.ts';

const KIB4 = 0x1000n;
const GIB1 = 1n << 30n;
const R = 1;
const RW = 3;
const X = 4;
/** The lowest address of the upper canonical half. */
const UPPER = 0xffff_8000_0000_0000n;

let pool: TablePool;
let tables: X86Tables;
beforeEach(() => {
  pool = new TablePool();
  tables = new X86Tables(pool);
});

describe('the walk', () => {
  const PRESENT = 1;
  const ALL = 0x27;
  const LARGE = 0x80;

  /** Four tables chained at index 0, pages 1 to 4 of the pool, each entry with these bits; the leaf names physical page 0x77. */
  function chain(bits4: number, bits3 = ALL, bits2 = ALL, bits1 = 0x67): X86Tables {
    pool.reserve(4);
    for (const [index, bits] of [bits4, bits3, bits2].entries()) {
      pool.words[(index + 1) * 1024] = bits === 0 ? 0 : ((index + 2) << 12) | bits;
      pool.take();
    }
    pool.words[pool.take() * 1024] = (0x77 << 12) | bits1;
    return new X86Tables(pool, 1);
  }

  it('finds a page that somebody else wrote', () => {
    const found = chain(ALL);
    expect(walk(found, 0n)).toBe(STATUS.performed);
    expect([found.foundLow, found.foundHigh, found.foundAccess, found.foundPagesLg2]).toEqual([0x77, 0, RW | X, 0]);
  });

  it.each([
    ['of an empty space', 0],
    ['without the top entry', 1],
  ])('is not-present %s', (_, root) => {
    pool.reserve(1);
    expect(new X86Tables(pool, root).walk(0, 0)).toBe(STATUS['not-present']);
  });

  it.each([
    [4, [ALL & ~PRESENT]],
    [3, [ALL, ALL & ~PRESENT]],
    [2, [ALL, ALL, ALL & ~PRESENT]],
    [1, [ALL, ALL, ALL, 0x66]],
  ] as const)('is not-present when level %i is not, whatever its other bits', (_, bits) => {
    expect(walk(chain(bits[0], bits[1], bits[2], bits[3]), 0n)).toBe(STATUS['not-present']);
  });

  it.each([4, 3, 2, 1])('allows no writes when level %i does not', (level) => {
    const bits = [4, 3, 2, 1].map((l) => (l === 1 ? 0x67 : ALL) & ~(l === level ? 2 : 0));
    const found = chain(bits[0]!, bits[1], bits[2], bits[3]);
    expect(walk(found, 0n)).toBe(STATUS.performed);
    expect(found.foundAccess).toBe(R | X);
  });

  it.each([4, 3, 2, 1])('leaves a user nothing when level %i is for the supervisor', (level) => {
    const bits = [4, 3, 2, 1].map((l) => (l === 1 ? 0x67 : ALL) & ~(l === level ? 4 : 0));
    const found = chain(bits[0]!, bits[1], bits[2], bits[3]);
    expect(walk(found, 0n)).toBe(STATUS.performed);
    expect(found.foundAccess).toBe(0);
  });

  it('faults on a large page at the top level', () => {
    expect(walk(chain(ALL | LARGE), 0n)).toBe(STATUS['reserved-bits']);
  });

  it.each([
    ['1 GiB', 2, 18, 0x4000_0000, [13, 20, 29]],
    ['2 MiB', 3, 9, 0x20_0000, [13, 17, 20]],
  ] as const)('of a %s page: PAT is no address bit, the bits below the page are reserved', (_, table, lg2, address, reserved) => {
    const found = chain(ALL);
    const at = table * 1024;
    pool.words[at] = address | (1 << 12) | LARGE | ALL;
    pool.words[at + 1] = 0x000a_bcde;
    expect(found.walk(0x1ff, 0)).toBe(STATUS.performed);
    expect(found.foundPagesLg2).toBe(lg2);
    expect(found.foundLow >>> 0).toBe(((address >>> 12) | 0x1ff | (0xabcde << 20)) >>> 0);
    expect(found.foundHigh).toBe(0xab);
    for (const bit of reserved) {
      pool.words[at] = address | (1 << bit) | LARGE | ALL;
      expect(found.walk(0x1ff, 0)).toBe(STATUS['reserved-bits']);
    }
  });

  it.each([4, 3, 2])('is an external abort when level %i names a table outside memory', (level) => {
    const found = chain(ALL);
    pool.words[(5 - level) * 1024] = (0xfffff << 12) | ALL;
    expect(walk(found, 0n)).toBe(STATUS['external-abort']);
  });

  it.each([
    ['above the lower half', 0x8000_0000_0000n],
    ['below the upper half', UPPER - KIB4],
    ['with one high bit wrong', 0x7fff_8000_0000_0000n],
    ['with only the highest bit set', 1n << 63n],
    ['with 57 bits', 1n << 56n],
  ])('is not-canonical %s', (_, iova) => {
    tables.map(0n, 0n, GIB1, RW);
    expect(walk(tables, iova)).toBe(STATUS['not-canonical']);
  });

  it('tells neighbours at every level apart', () => {
    const pages = [0n, 1n, 1n << 9n, 1n << 18n, 1n << 27n, 1n << 34n, (1n << 35n) - 1n];
    for (const [index, page] of pages.entries()) tables.map(page * KIB4, BigInt(index + 1) * KIB4, KIB4, R);
    for (const [index, page] of pages.entries()) {
      expect(walk(tables, page * KIB4)).toBe(STATUS.performed);
      expect(tables.foundLow).toBe(index + 1);
    }
    expect(walk(tables, 2n * KIB4)).toBe(STATUS['not-present']);
  });
});
