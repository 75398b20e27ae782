import { describe, expect, it } from 'vitest';
import { Iotlb, accessOfRest, isGlobalRest, packRest, pagesLg2OfRest } from '../../../server/src/core/translation/iotlb.ts';

const R = 1;
const RW = 3;
const TAG = 0x123 << 20;

/** As {@link Translation.resultPage} takes it apart. */
function pageOf(iotlb: Iotlb, at: number): number {
  return (iotlb.words[at + 3]! & 0xfff) * 2 ** 32 + (iotlb.words[at + 2]! >>> 0);
}

describe('an entry', () => {
  it.each([
    ['all zero', 0, 0, 0, 0, R, 0],
    ['52 bits of page number', -1, 0xfffff, 5, 0, RW, 0],
    ['44 bits of physical page', 7, 0, -1, 0xfff, RW, 0],
    ['a 1 GiB mapping', -0x8000_0000, 1, 0x4000_0000, 0xabc, R, 18],
  ])('holds %s', (_, low, high, foundLow, foundHigh, access, pagesLg2) => {
    const iotlb = new Iotlb();
    iotlb.fill(TAG, low, high, foundLow, packRest(foundHigh, access, pagesLg2));
    const at = iotlb.find(TAG, low, high, access);
    expect(at).not.toBe(-1);
    expect(pageOf(iotlb, at)).toBe(foundHigh * 2 ** 32 + (foundLow >>> 0));
    expect(accessOfRest(iotlb.words[at + 3]!)).toBe(access);
    expect(pagesLg2OfRest(iotlb.words[at + 3]!)).toBe(pagesLg2);
  });

  it('says whether the page is the same in every process', () => {
    expect([isGlobalRest(packRest(-1, 7, 30)), isGlobalRest(packRest(0, R, 0, true))]).toEqual([false, true]);
    expect([accessOfRest(packRest(0, R, 30, true)), pagesLg2OfRest(packRest(0, R, 30, true))]).toEqual([R, 30]);
  });

  it('is found only by its own page, tag and rights', () => {
    const iotlb = new Iotlb();
    iotlb.fill(TAG, 0x5000, 3, 9, packRest(0, R, 0));
    expect(iotlb.find(TAG, 0x5000, 3, 0)).not.toBe(-1);
    expect(iotlb.find(TAG, 0x5000, 3, RW)).toBe(-1);
    expect(iotlb.find(TAG, 0x5000, 2, R)).toBe(-1);
    expect(iotlb.find(TAG, 0x5000 + 2 ** 20, 3, R)).toBe(-1);
    expect(iotlb.find(0x124 << 20, 0x5000, 3, R)).toBe(-1);
    expect(iotlb.find(0x923 << 20, 0x5000, 3, R)).toBe(-1);
    expect(iotlb.find(0, 0x5000, 3, R)).toBe(-1);
  });

  it('that is empty is never found, not even with no rights asked', () => {
    expect(new Iotlb().find(0, 0, 0, 0)).toBe(-1);
    const iotlb = new Iotlb();
    iotlb.fill(TAG, 1, 0, 1, packRest(0, R, 0));
    expect(iotlb.find(0, 0, 0, 0)).toBe(-1);
  });

  it('goes when dropped by its own page and tag', () => {
    const iotlb = new Iotlb();
    iotlb.fill(TAG, 8, 0, 1, packRest(0, R, 0));
    iotlb.drop(TAG, 8, 1);
    iotlb.drop(0x124 << 20, 8, 0);
    iotlb.drop(TAG, 9, 0);
    expect(iotlb.find(TAG, 8, 0, R)).not.toBe(-1);
    iotlb.drop(TAG, 8, 0);
    expect(iotlb.find(TAG, 8, 0, 0)).toBe(-1);
  });
});

describe('the table', () => {
  function held(iotlb: Iotlb, pages: number): number {
    let count = 0;
    for (let page = 0; page < pages; page++) if (iotlb.find(TAG, page, 0, R) !== -1) count++;
    return count;
  }
  function use(iotlb: Iotlb, pages: number, rounds: number): void {
    for (let round = 0; round < rounds; round++) {
      for (let page = 0; page < pages; page++) if (iotlb.find(TAG, page, 0, R) === -1) iotlb.fill(TAG, page, 0, page, packRest(0, R, 0));
    }
  }

  it('holds a small working set whole', () => {
    const iotlb = new Iotlb();
    use(iotlb, 512, 1);
    expect(held(iotlb, 512)).toBe(512);
  });

  it('grows with the working set until it holds 32768 pages, and no more', () => {
    const iotlb = new Iotlb();
    use(iotlb, 32_768, 4);
    expect(held(iotlb, 32_768)).toBe(32_768);
    use(iotlb, 100_000, 4);
    expect(held(iotlb, 100_000)).toBe(32_768);
  });

  it('is empty after a clear', () => {
    const iotlb = new Iotlb();
    use(iotlb, 100, 1);
    iotlb.clear();
    expect(held(iotlb, 100)).toBe(0);
  });

  it('keeps spaces that use the same addresses out of each other', () => {
    const iotlb = new Iotlb();
    iotlb.fill(1 << 20, 0x10, 0, 1, packRest(0, R, 0));
    iotlb.fill(2 << 20, 0x10, 0, 2, packRest(0, R, 0));
    expect(pageOf(iotlb, iotlb.find(1 << 20, 0x10, 0, R))).toBe(1);
    expect(pageOf(iotlb, iotlb.find(2 << 20, 0x10, 0, R))).toBe(2);
  });
});
