import { beforeEach, describe, expect, it } from 'vitest';
import { X86Tables } from '../../../../server/src/core/translation/formats/x86-64-tables.ts';
import { STATUS } from '../../../../server/src/core/translation/index.ts';
import { TablePool } from '../../../../server/src/core/translation/table-pool.ts';
import { walk } from './own-tables.ts';

const KIB4 = 0x1000n;
const MIB2 = 1n << 21n;
const GIB1 = 1n << 30n;
const R = 1;
const W = 2;
const RW = 3;
const X = 4;
const EINVAL = -22;
const EADDRINUSE = -98;
const ENOMEM = -12;
/** The lowest address of the upper canonical half. */
const UPPER = 0xffff_8000_0000_0000n;

let pool: TablePool;
let tables: X86Tables;
beforeEach(() => {
  pool = new TablePool();
  tables = new X86Tables(pool);
});

/** The leaf's level and its entry's 64 bits, found with shifts of our own. */
function leafOf(iova: bigint): { level: number; entry: bigint } | undefined {
  let table = 1;
  for (let level = 4; level >= 1; level--) {
    const index = Number((iova >> BigInt(12 + 9 * (level - 1))) & 0x1ffn);
    const at = table * 1024 + index * 2;
    const entry = (BigInt(pool.words[at + 1]! >>> 0) << 32n) | BigInt(pool.words[at]! >>> 0);
    if ((entry & 1n) === 0n) return undefined;
    if (level === 1 || (entry & 0x80n) !== 0n) return { level, entry };
    table = Number((entry >> 12n) & 0xffffffffffn);
  }
  return undefined;
}

describe('entries', () => {
  it.each([
    ['4 KiB, read', 0x5000n, 0x1234_5000n, KIB4, R, 1, 0x1234_5025n],
    ['4 KiB, both', 0x5000n, 0x1234_5000n, KIB4, RW, 1, 0x1234_5067n],
    ['4 KiB, write only, which the format cannot say', 0x5000n, 0x1234_5000n, KIB4, W, 1, 0x1234_5067n],
    ['2 MiB', MIB2 * 3n, MIB2 * 5n, MIB2, RW, 2, 0xa000e7n],
    ['1 GiB', GIB1 * 3n, GIB1 * 5n, GIB1, R, 3, 0x1_4000_00a5n],
    ['the highest physical page', UPPER, 0xf_ffff_ffff_f000n, KIB4, RW, 1, 0xf_ffff_ffff_f067n],
    ['the highest 2 MiB', UPPER, 0xf_ffff_ffe0_0000n, MIB2, RW, 2, 0xf_ffff_ffe0_00e7n],
  ])('are written as Linux writes them: %s', (_, iova, address, bytes, access, level, entry) => {
    expect(tables.map(iova, address, bytes, access)).toBe(0);
    expect(leafOf(iova)).toEqual({ level, entry });
  });

  it('of tables allow everything', () => {
    tables.map(0x5000n, 0x1000n, KIB4, R);
    expect(pool.words[1024]! & 0xfff).toBe(0x27);
  });
});

describe('map', () => {
  it('uses the largest page that fits at each place', () => {
    const start = GIB1 - MIB2 - KIB4;
    expect(tables.map(start, GIB1 * 7n - MIB2 - KIB4, GIB1 + 2n * MIB2 + 2n * KIB4, RW)).toBe(0);
    const sizes = [start, GIB1 - MIB2, GIB1, GIB1 * 2n, GIB1 * 2n + MIB2].map((iova) => tables.lookup(iova)?.pageBytes);
    expect(sizes).toEqual([KIB4, MIB2, GIB1, MIB2, KIB4]);
    expect(tables.lookup(GIB1 * 2n + MIB2 + KIB4)).toBeUndefined();
    expect(tables.mappedBytes).toBe(GIB1 + 2n * MIB2 + 2n * KIB4);
  });

  it('has no page larger than 1 GiB', () => {
    expect(tables.map(0n, 0n, 512n * GIB1, RW)).toBe(0);
    expect(tables.lookup(511n * GIB1)).toEqual({ address: 511n * GIB1, access: RW | X, pageBytes: GIB1 });
  });

  it('uses small pages where the physical address is not aligned alike', () => {
    expect(tables.map(0n, KIB4, 2n * MIB2, RW)).toBe(0);
    expect(tables.lookup(0n)?.pageBytes).toBe(KIB4);
    expect(tables.lookup(2n * MIB2 - 1n)).toEqual({ address: 2n * MIB2 + KIB4 - 1n, access: RW | X, pageBytes: KIB4 });
    tables.map(GIB1, MIB2, GIB1, RW);
    expect(tables.lookup(GIB1)?.pageBytes).toBe(MIB2);
  });

  it('reaches every end of the space', () => {
    const lowerLast = 0x7fff_ffff_f000n;
    const upperLast = 0xffff_ffff_ffff_f000n;
    for (const [iova, address] of [
      [0n, 0x1000n],
      [lowerLast, 0x2000n],
      [UPPER, 0x3000n],
      [upperLast, 0x4000n],
    ] as const) {
      expect(tables.map(iova, address, KIB4, RW)).toBe(0);
    }
    expect([0n, lowerLast, UPPER, upperLast].map((iova) => tables.lookup(iova + 5n)?.address)).toEqual([
      0x1005n,
      0x2005n,
      0x3005n,
      0x4005n,
    ]);
    expect(tables.lookup(0xffff_ffff_ffff_ffffn)?.address).toBe(0x4fffn);
  });

  it.each([
    ['no bytes', 0x1000n, 0x1000n, 0n, RW],
    ['negative bytes', 0x1000n, 0x1000n, -0x1000n, RW],
    ['a misaligned IOVA', 0x1001n, 0x1000n, KIB4, RW],
    ['a misaligned address', 0x1000n, 0x1800n, KIB4, RW],
    ['a misaligned size', 0x1000n, 0x1000n, 0x1001n, RW],
    ['a start that is not canonical', 0x8000_0000_0000n, 0x1000n, KIB4, RW],
    ['an end that is not canonical', 0x7fff_ffff_f000n, 0x1000n, 2n * KIB4, RW],
    ['the hole below the upper half', UPPER - KIB4, 0x1000n, 2n * KIB4, RW],
    ['both halves and the hole', 0n, 0n, 1n << 64n, RW],
    ['a wrap', 0xffff_ffff_ffff_f000n, 0x1000n, 2n * KIB4, RW],
    ['65 bits', 1n << 64n, 0x1000n, KIB4, RW],
    ['a negative IOVA', -0x1000n, 0x1000n, KIB4, RW],
    ['a negative address', 0x1000n, -0x1000n, KIB4, RW],
    ['a physical address of 53 bits', 0x1000n, 1n << 52n, KIB4, RW],
    ['a physical end of 53 bits', 0x1000n, (1n << 52n) - KIB4, 2n * KIB4, RW],
    ['no rights', 0x1000n, 0x1000n, KIB4, 0],
    ['execute', 0x1000n, 0x1000n, KIB4, 5],
  ])('refuses %s', (_, iova, address, bytes, access) => {
    const room = pool.available;
    expect(tables.map(iova, address, bytes, access)).toBe(EINVAL);
    expect(tables.mappedBytes).toBe(0n);
    expect(pool.available).toBe(room);
  });

  it.each([
    ['the same page', 0x200000n, KIB4],
    ['a range that ends in it', 0x1ff000n, 2n * KIB4],
    ['a range around it', 0n, 4n * MIB2],
    ['a large page over its table', MIB2, MIB2],
    ['a larger page over its table', 0n, GIB1],
  ])('refuses an overlap, and changes nothing: %s', (_, iova, bytes) => {
    tables.map(0x200000n, 0x9000n, KIB4, R);
    const before = pool.words.slice();
    expect(tables.map(iova, 0n, bytes, RW)).toBe(EADDRINUSE);
    expect(pool.words).toEqual(before);
    expect(tables.mappedBytes).toBe(KIB4);
  });

  it('refuses small pages inside a large one', () => {
    tables.map(0n, 0n, GIB1, R);
    tables.map(GIB1, 0n, MIB2, R);
    expect(tables.map(GIB1 - KIB4, 0n, KIB4, R)).toBe(EADDRINUSE);
    expect(tables.map(GIB1 + MIB2 - KIB4, 0n, 2n * KIB4, R)).toBe(EADDRINUSE);
  });

  it('refuses what needs more tables than there are, and changes nothing', () => {
    pool = new TablePool(5);
    tables = new X86Tables(pool);
    expect(tables.map(0n, 0x1000n, 3n * MIB2, RW)).toBe(ENOMEM);
    expect(tables.mappedBytes).toBe(0n);
    expect(pool.available).toBe(5);
    expect(tables.map(0n, 0x1000n, 2n * MIB2, RW)).toBe(0);
    expect(pool.available).toBe(0);
    const before = pool.words.slice();
    expect(tables.map(GIB1, 0n, KIB4, RW)).toBe(ENOMEM);
    expect(tables.map(0n, 0n, KIB4, RW)).toBe(EADDRINUSE);
    expect(pool.words).toEqual(before);
    tables.unmap(MIB2, MIB2);
    expect(tables.map(2n * MIB2, 0x1000n, MIB2, RW)).toBe(0);
  });

  it('refuses a range as wide as the space in small pages without trying', () => {
    expect(tables.map(0n, KIB4, (1n << 47n) - MIB2, RW)).toBe(ENOMEM);
    expect(tables.mappedBytes).toBe(0n);
  });
});

describe('unmap', () => {
  it('returns the bytes undone and gives every table back', () => {
    const room = pool.available;
    tables.map(0x1000n, 0x1000n, GIB1, RW);
    tables.map(UPPER, 1n << 50n, 3n * GIB1, RW);
    expect(tables.unmap(0x1000n, GIB1)).toBe(GIB1);
    expect(tables.unmap(UPPER, 3n * GIB1)).toBe(3n * GIB1);
    expect(tables.mappedBytes).toBe(0n);
    expect(pool.available).toBe(room);
    expect(pool.words.every((word) => word === 0)).toBe(true);
  });

  it('keeps what is beside the range', () => {
    tables.map(0n, 0x10_0000n, 8n * KIB4, R);
    expect(tables.unmap(2n * KIB4, 3n * KIB4)).toBe(3n * KIB4);
    expect([0n, 1n, 2n, 4n, 5n, 7n].map((page) => tables.lookup(page * KIB4)?.address)).toEqual([
      0x10_0000n,
      0x10_1000n,
      undefined,
      undefined,
      0x10_5000n,
      0x10_7000n,
    ]);
  });

  it('never splits: a large page goes as a whole, and more comes back than was asked', () => {
    tables.map(0n, 0n, 2n * GIB1 + MIB2, RW);
    expect(tables.unmap(GIB1, KIB4)).toBe(GIB1);
    expect(tables.unmap(2n * GIB1, KIB4)).toBe(MIB2);
    expect(tables.lookup(GIB1 - 1n)?.pageBytes).toBe(GIB1);
    expect(tables.mappedBytes).toBe(GIB1);
  });

  it('from small pages into a large one takes all of it', () => {
    tables.map(MIB2 - 2n * KIB4, MIB2 - 2n * KIB4, 2n * KIB4 + MIB2, RW);
    expect(tables.unmap(MIB2 - KIB4, 2n * KIB4)).toBe(KIB4 + MIB2);
    expect(tables.mappedBytes).toBe(KIB4);
  });

  it('undoes nothing from the middle of a large page', () => {
    tables.map(0n, 0n, MIB2, RW);
    expect(tables.unmap(KIB4, MIB2 - KIB4)).toBe(0n);
    expect(tables.mappedBytes).toBe(MIB2);
  });

  it('stops at the first hole, also between tables', () => {
    for (const page of [0n, 1n, 3n, 511n, 512n, 1024n]) tables.map(page * KIB4, 0x1000n, KIB4, RW);
    expect(tables.unmap(0n, 2n * MIB2)).toBe(2n * KIB4);
    expect(tables.unmap(511n * KIB4, 2n * MIB2)).toBe(2n * KIB4);
    expect(tables.unmap(2n * KIB4, MIB2)).toBe(0n);
    expect(tables.mappedBytes).toBe(2n * KIB4);
    expect([3n, 1024n].map((page) => tables.lookup(page * KIB4)?.address)).toEqual([0x1000n, 0x1000n]);
  });

  it.each([
    ['no bytes', 0n, 0n],
    ['a misaligned start', 0x800n, KIB4],
    ['a misaligned size', 0n, 0x1800n],
    ['a start that is not canonical', 0x8000_0000_0000n, KIB4],
    ['a negative start', -KIB4, KIB4],
    ['a wrap', 0xffff_ffff_ffff_f000n, 2n * KIB4],
  ])('of %s undoes nothing', (_, iova, bytes) => {
    tables.map(0n, 0n, 2n * KIB4, RW);
    tables.map(0xffff_ffff_ffff_f000n, 0n, KIB4, RW);
    expect(tables.unmap(iova, bytes)).toBe(0n);
    expect(tables.mappedBytes).toBe(3n * KIB4);
  });

  it('makes room for a larger page', () => {
    tables.map(0n, KIB4, KIB4, RW);
    tables.unmap(0n, KIB4);
    expect(tables.map(0n, 0n, MIB2, RW)).toBe(0);
    expect(tables.lookup(0n)?.pageBytes).toBe(MIB2);
  });
});

describe('free', () => {
  it('gives back every table, zeroed, and leaves other spaces alone', () => {
    const other = new X86Tables(pool);
    other.map(0x7000n, 0x3000n, KIB4, R);
    const room = pool.available;
    tables.map(0n, KIB4, GIB1, RW);
    tables.map(UPPER, 0n, GIB1 + MIB2, RW);
    tables.free();
    expect(pool.available).toBe(room);
    expect(tables.mappedBytes).toBe(0n);
    expect(walk(tables, 0n)).toBe(STATUS['not-present']);
    expect(tables.map(UPPER, KIB4, KIB4, R)).toBe(0);
    expect(tables.lookup(UPPER + KIB4)).toBeUndefined();
    expect(other.lookup(0x7001n)?.address).toBe(0x3001n);
  });
});

describe('lookup', () => {
  it('refuses what 64 bits cannot say instead of rounding it', () => {
    tables.map(0n, 0x1000n, KIB4, R);
    expect(tables.lookup(1n << 64n)).toBeUndefined();
    expect(tables.lookup(-(1n << 64n))).toBeUndefined();
    expect(tables.lookup(1n << 48n)).toBeUndefined();
  });
});
