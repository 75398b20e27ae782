import { describe, expect, it } from 'vitest';
import { PageRanges, spanLg2 } from '../../../server/src/core/base/page-ranges.ts';

describe('the smallest range that has all pages', () => {
  it.each([
    [0, 1, 0],
    [7, 1, 0],
    [8, 8, 3],
    [7, 2, 4],
    [3, 2, 3],
    [0x1ff, 2, 10],
    [2 ** 51 - 1, 2, 52],
  ])('page %i and %i in all: 2^%i', (first, pages, lg2) => {
    expect(spanLg2(first, pages)).toBe(lg2);
  });
});

describe('a set of ranges', () => {
  it('keeps ranges of different sizes at one page apart', () => {
    const ranges = new PageRanges<string>();
    ranges.set(0x200, 0, 'page');
    ranges.set(0x200, 9, 'large');
    ranges.set(0x3ff, 9, 'large again');
    expect([ranges.size, ranges.sizesLg2]).toEqual([2, [0, 9]]);
    expect([ranges.at(0x200, 0), ranges.at(0x201, 0), ranges.at(0x201, 9), ranges.at(0x400, 9)]).toEqual([
      'page',
      undefined,
      'large again',
      undefined,
    ]);
    ranges.delete(0x300, 9);
    ranges.delete(0x300, 9);
    expect([ranges.size, ranges.sizesLg2]).toEqual([1, [0]]);
  });

  it.each([
    ['nothing', 0, 0, []],
    ['a page in a large range', 0x3ff, 1, ['large']],
    ['the page next to it', 0x400, 1, ['next']],
    ['both', 0x3ff, 2, ['large', 'next']],
    ['all by a wide range', 0, 2 ** 52, ['far', 'large', 'next']],
    ['all', 5, Infinity, ['far', 'large', 'next']],
    ['the last', 2 ** 52 - 1, 1, ['far']],
  ])('finds what overlaps: %s', (_, first, pages, found) => {
    const ranges = new PageRanges<string>();
    ranges.set(0x200, 9, 'large');
    ranges.set(0x400, 0, 'next');
    ranges.set(2 ** 52 - 4, 2, 'far');
    expect([...ranges.overlapping(first, pages)].toSorted()).toEqual(found);
  });
});
