/** Every page-table format against a Map of pages: whatever is mapped and unmapped, in any order, at every border of a level. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PAGE_BYTES } from '../../server/src/core/base/index.ts';
import { PoolMemory } from '../../server/src/core/translation/formats/table-memory.ts';
import { X86Tables } from '../../server/src/core/translation/formats/x86-64-tables.ts';
import { FORMAT_NAMES, RadixTables, RadixWalker, STATUS, formatNamed, type Format } from '../../server/src/core/translation/index.ts';
import { same } from '../kit/same.ts';
import { poolFor } from '../unit/translation/formats/own-tables.ts';

const ARM = [1, 2].flatMap((stage) =>
  ['4k-48', '4k-40', '4k-36', '4k-25', '16k-48', '16k-40', '16k-36', '64k-48', '64k-42', '64k-40'].map((rest) => `arm-s${stage}-${rest}`),
);
const NAMES = [...FORMAT_NAMES, ...ARM];
const EADDRINUSE = -98;
const READ = 1;
const WRITE = 2;

interface Op {
  readonly kind: 'map' | 'unmap';
  readonly base: number;
  readonly iova: number;
  readonly target: number;
  readonly pages: number;
  readonly access: number;
}

const few = fc.integer({ min: 0, max: 3 });
/** In pages of the granule: a little off a level's border, or on it. */
const count = fc.oneof(few, fc.constantFrom(8, 16, 17, 32, 40, 128, 511, 512, 513, 2048));
const operation: fc.Arbitrary<Op> = fc.record({
  kind: fc.constantFrom('map', 'map', 'unmap'),
  base: fc.nat({ max: 7 }),
  iova: count,
  target: fc.oneof(count, fc.constantFrom(0, 512, 8192)),
  pages: count.map((n) => n + 1),
  access: fc.constantFrom(READ, READ | WRITE, WRITE),
});

/** Pages after a base that operations reach. */
const ROOM = 4608;

interface Leaf {
  readonly page: number;
  readonly access: number;
  readonly first: number;
  readonly pages: number;
}

/** What is mapped, granule page by granule page. */
class Model {
  readonly mapped = new Map<number, Leaf>();
  readonly #sizes: readonly number[];

  constructor(sizes: readonly number[]) {
    this.#sizes = sizes;
  }

  map(iova: number, target: number, pages: number, access: number): number {
    for (let i = 0; i < pages; i++) if (this.mapped.has(iova + i)) return EADDRINUSE;
    for (let i = 0; i < pages;) {
      const size = this.#sizes.find((s) => (iova + i) % s === 0 && (target + i) % s === 0 && s <= pages - i)!;
      for (let j = i; j < i + size; j++) this.mapped.set(iova + j, { page: target + j, access, first: iova + i, pages: size });
      i += size;
    }
    return 0;
  }

  /** [first, pages] of each run of pages in a range that are not mapped. */
  holes(first: number, pages: number): number[][] {
    const found: number[][] = [];
    for (let page = first; page < first + pages; page++) {
      if (this.mapped.has(page)) continue;
      const last = found.at(-1);
      if (last !== undefined && last[0]! + last[1]! === page) last[1]!++;
      else found.push([page, 1]);
    }
    return found;
  }

  unmap(iova: number, pages: number): number {
    let undone = 0;
    while (undone < pages) {
      const leaf = this.mapped.get(iova + undone);
      if (leaf === undefined || leaf.first !== iova + undone) break;
      for (let i = 0; i < leaf.pages; i++) this.mapped.delete(leaf.first + i);
      undone += leaf.pages;
    }
    return undone;
  }
}

/** The first `most` holes of a range, as the tables tell them, in pages of the granule. */
function holesOf(tables: RadixTables, address: (page: number) => bigint, first: number, pages: number, most = Infinity): number[][] {
  const found: number[][] = [];
  const told = tables.holes(address(first), address(pages), (iova, bytes) => {
    found.push([Number(iova / address(1)), Number(bytes / address(1))]);
    return found.length < most;
  });
  expect(told).toBe(true);
  return found;
}

/** Places where ranges begin, in pages of the granule: the start, the end, and borders of levels. */
function bases(format: Format): number[] {
  const granule = format.spanLg2[0]!;
  const end = 2 ** (format.inputBits - granule - (format.signed ? 1 : 0));
  const borders = format.spanLg2.slice(1).map((lg2) => 2 ** (lg2 - granule));
  const room = Math.min(end, ROOM);
  return [0, end - room, ...borders.flatMap((border) => [border, 3 * border - 512])].filter((base) => base >= 0 && base + room <= end);
}

function rightsOf(format: Format, access: number): number {
  const hasWriteOnly = /^(vtd|amd|arm-s2)/.test(format.name);
  return hasWriteOnly ? access : access | READ;
}

function run(format: Format, operations: readonly Op[]): void {
  const granule = 2 ** format.spanLg2[0]!;
  const sizes = format.leafSizes.map(({ sizeLg2 }) => 2 ** sizeLg2 / granule);
  const model = new Model(sizes);
  const pool = poolFor(format);
  const before = pool.available;
  const tables = new RadixTables(format, pool);
  const starts = bases(format);
  const address = (page: number): bigint => BigInt(page) * BigInt(granule * PAGE_BYTES);
  const touched = new Set<number>();
  for (const op of operations) {
    const iova = starts[op.base % starts.length]! + op.iova;
    if (iova + op.pages > 2 ** (format.inputBits - format.spanLg2[0]!)) continue;
    touched
      .add(iova - 1)
      .add(iova)
      .add(iova + op.pages)
      .add(iova + op.pages - 1)
      .add(iova + (op.pages >> 1));
    if (op.kind === 'map')
      same(tables.map(address(iova), address(op.target), address(op.pages), op.access), model.map(iova, op.target, op.pages, op.access));
    else same(tables.unmap(address(iova), address(op.pages)), address(model.unmap(iova, op.pages)));
    same(tables.mappedBytes, address(model.mapped.size));
  }
  for (const page of touched) {
    const leaf = model.mapped.get(page);
    const found = page < 0 ? undefined : tables.lookup(address(page) + 5n);
    same(
      [page, found?.address, (found?.access ?? 0) & (READ | WRITE)],
      [page, leaf === undefined ? undefined : address(leaf.page) + 5n, leaf === undefined ? 0 : rightsOf(format, leaf.access)],
    );
  }
  for (const base of starts) {
    const room = Math.min(ROOM, 2 ** (format.inputBits - format.spanLg2[0]!) - base);
    same(holesOf(tables, address, base, room), model.holes(base, room));
    same(holesOf(tables, address, base + 1, room - 1, 2), model.holes(base + 1, room - 1).slice(0, 2));
  }
  tables.free();
  expect(tables.mappedBytes).toBe(0n);
  expect(pool.available).toBe(before);
  expect(pool.words.every((word) => word === 0)).toBe(true);
}

describe('page tables of every format', () => {
  it.each(NAMES)('%s answers as a Map of pages does, and gives every table back', (name) => {
    const format = formatNamed(name)!;
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 30 }), (operations) => run(format, operations)),
      { numRuns: 60 },
    );
  });

  it('the unrolled walk of x86-64 and the loop agree on any entries', () => {
    const format = formatNamed('x86-64')!;
    const entry = fc.record({
      page: fc.constantFrom(1, 2, 3, 4, 5, 0xfffff),
      bits: fc.integer({ min: 0, max: 0xfff }).map((bits) => bits | 1),
      high: fc.constantFrom(0, 0, 0, 1, 0x000f_ffff),
      at: fc.constantFrom(0, 0, 0, 1, 511),
    });
    fc.assert(
      fc.property(fc.array(entry, { minLength: 4, maxLength: 4 }), fc.constantFrom(0, 1, 511, 512, 0x3ffff), (entries, low) => {
        const pool = poolFor(format);
        pool.reserve(5);
        for (const [i, { page, bits, high, at }] of entries.entries()) {
          const table = pool.take() * 1024;
          pool.words[table + at * 2] = ((i < 3 && page < 6 ? i + 2 : page) << 12) | bits;
          // Only leaves have a high word in tables that the writer made.
          pool.words[table + at * 2 + 1] = i === 3 || (bits & 0x80) !== 0 ? high : 0;
        }
        const unrolled = new X86Tables(pool, 1);
        const loop = new RadixWalker(format, new PoolMemory(pool));
        const status = unrolled.walk(low, 0);
        expect(STATUS.performed).toBe(0);
        expect(loop.walk(1, 0, low, 0)).toBe(status);
        if (status !== 0) return;
        expect([unrolled.foundLow, unrolled.foundHigh, unrolled.foundAccess, unrolled.foundPagesLg2]).toEqual([
          loop.foundLow,
          loop.foundHigh,
          loop.foundAccess,
          loop.foundPagesLg2,
        ]);
      }),
      { numRuns: 2000 },
    );
  });
});
