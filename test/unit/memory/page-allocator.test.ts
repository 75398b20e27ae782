import { describe, expect, it } from 'vitest';
import { PageAllocator } from '../../../server/src/core/memory/page-allocator.ts';

describe('freed runs', () => {
  it.each([
    ['in order', [0, 1, 2, 3]],
    ['from the end', [3, 2, 1, 0]],
    ['every other first', [0, 2, 1, 3]],
    ['the middle last', [0, 3, 1, 2]],
  ])('become one hole again: %s', (_, order) => {
    const pages = new PageAllocator([{ first: 10, pages: 8 }]);
    const runs = [1, 2, 3, 2].map((count) => pages.alloc(count));
    expect(runs).toEqual([10, 11, 13, 16]);
    expect(pages.alloc(1)).toBeUndefined();
    for (const index of order) expect(pages.free(runs[index]!)).toBe(true);
    expect(pages.alloc(9)).toBeUndefined();
    expect(pages.alloc(8)).toBe(10);
  });
});

describe('ranges', () => {
  it('without page 0, and without a range that is only page 0', () => {
    const pages = new PageAllocator([
      { first: 0, pages: 1 },
      { first: 5, pages: 1 },
    ]);
    expect(pages.alloc(1)).toBe(5);
    expect(pages.alloc(1)).toBeUndefined();
  });

  it('are passed over when too small', () => {
    const pages = new PageAllocator([
      { first: 4, pages: 2 },
      { first: 100, pages: 9 },
    ]);
    expect(pages.alloc(3)).toBe(100);
    expect(pages.pagesAt(100)).toBe(3);
    expect(pages.alloc(2)).toBe(4);
  });
});
