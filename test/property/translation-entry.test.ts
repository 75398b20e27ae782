/** Entries of Translation Completions, and sets of the ranges that they name, against the plainest way to say the same with bigints. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  PageRanges,
  spanLg2,
  translationHigh,
  translationLow,
  translationPage,
  translationPagesLg2,
} from '../../server/src/core/base/index.ts';
import { same } from '../kit/same.ts';

const pageNumber = fc.maxSafeNat().map((n) => n % 2 ** 52);
const FIELDS = 0x7ff;

/** As §10.2.3 has it: from bit 12 on, the first zero is the size's. */
function sizeOf(entry: bigint): bigint {
  if ((entry & 0x800n) === 0n) return 0x1000n;
  let bit = 12n;
  while (((entry >> bit) & 1n) === 1n) bit++;
  return 1n << (bit + 1n);
}

describe('an entry', () => {
  it('of every size names the range that it was made for, and its fields', () => {
    fc.assert(
      fc.property(pageNumber, fc.integer({ min: 0, max: 52 }), fc.nat(FIELDS), (page, lg2, fields) => {
        const low = translationLow(page, lg2, fields);
        const high = translationHigh(page, lg2);
        const entry = (BigInt.asUintN(32, BigInt(high)) << 32n) | BigInt.asUintN(32, BigInt(low));
        same(sizeOf(entry), 0x1000n << BigInt(lg2));
        same(translationPagesLg2(low, high), lg2);
        same(translationPage(low, high), Number((BigInt(page) >> BigInt(lg2)) << BigInt(lg2)));
        same(low & FIELDS, fields);
      }),
    );
  });

  it('spans pages with the smallest size that can', () => {
    fc.assert(
      fc.property(pageNumber, fc.integer({ min: 1, max: 5000 }), (first, pages) => {
        fc.pre(first + pages <= 2 ** 52);
        const lg2 = spanLg2(first, pages);
        const at = (page: number, size: number) => BigInt(page) >> BigInt(size);
        same(at(first, lg2), at(first + pages - 1, lg2));
        if (lg2 > 0) expect(at(first, lg2 - 1)).not.toBe(at(first + pages - 1, lg2 - 1));
      }),
    );
  });
});

describe('a set of ranges', () => {
  const near = fc.record({ page: fc.nat(63), lg2: fc.nat(4), keep: fc.boolean() });

  it('finds what overlaps, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(near, { maxLength: 40 }), fc.nat(70), fc.integer({ min: 1, max: 80 }), (changes, first, pages) => {
        const ranges = new PageRanges<string>();
        const kept = new Map<string, { first: number; end: number }>();
        for (const { page, lg2, keep } of changes) {
          const start = page - (page % 2 ** lg2);
          const name = `${start}+${2 ** lg2}`;
          if (keep) kept.set(name, { first: start, end: start + 2 ** lg2 });
          else kept.delete(name);
          if (keep) ranges.set(page, lg2, name);
          else ranges.delete(page, lg2);
        }
        const expected = [...kept].filter(([, range]) => range.first < first + pages && first < range.end).map(([name]) => name);
        same([...ranges.overlapping(first, pages)].toSorted(), expected.toSorted());
        same(ranges.size, kept.size);
      }),
    );
  });
});
