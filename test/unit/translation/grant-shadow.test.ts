import { describe, expect, it } from 'vitest';
import { bdf } from '../../../server/src/core/base/index.ts';
import { FunctionGrants, GrantShadow, type Ending, type RevokedWhy } from '../../../server/src/core/translation/grant-shadow.ts';

const R = 1;
const RW = 3;
const NO_PASID = -1;

function ending(why: RevokedWhy, nowNs: number, upTo = Infinity): Ending {
  return { why, nowNs, upTo };
}

describe('the grants of a function', () => {
  it('are its own', () => {
    const shadow = new GrantShadow();
    shadow.of(bdf(0, 0, 2, 0)).add(NO_PASID, 1, 2, R, 0, 1);
    expect(shadow.of(bdf(0, 0, 2, 0)).live).toBe(1);
    expect(shadow.of(bdf(0, 0, 2, 1)).live).toBe(0);
  });

  it('stay right whichever grant of a page ends first', () => {
    const orders = [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ];
    for (const order of orders) {
      const grants = new FunctionGrants();
      for (const iova of [0, 1, 2]) grants.add(NO_PASID, iova, 7, R, iova, 1);
      const left = [2, 1, 0];
      for (const iova of order) {
        expect(grants.covers(7, R)).toBe(true);
        expect(grants.revoke(NO_PASID, iova, 1, ending('invalidated', 9))).toBe(1);
        left.splice(left.indexOf(iova), 1);
        const live = grants.history(7).filter(({ why }) => why === 'live');
        expect(live.map(({ iovaPage }) => iovaPage)).toEqual(left);
      }
      expect(grants.covers(7, R)).toBe(false);
    }
  });

  it('of one IOVA page may name several pages, when it was mapped anew without an invalidation; one invalidation ends them all', () => {
    const grants = new FunctionGrants();
    grants.add(NO_PASID, 4, 7, R, 0, 1);
    grants.add(NO_PASID, 4, 8, RW, 0, 1);
    grants.add(NO_PASID, 4, 8, R, 0, 1);
    grants.add(NO_PASID, 4, 7, R, 0, 1);
    expect(grants.live).toBe(3);
    expect([grants.covers(7, R), grants.covers(8, RW)]).toEqual([true, true]);
    expect(grants.revoke(NO_PASID, 4, 1, ending('invalidated', 1))).toBe(3);
    expect([grants.covers(7, R), grants.covers(8, R), grants.live]).toEqual([false, false, 0]);
  });

  it('that were made or renewed after an invalidation was asked for outlive it', () => {
    const grants = new FunctionGrants();
    grants.add(NO_PASID, 1, 7, R, 10, 1);
    grants.add(NO_PASID, 1, 8, R, 10, 2);
    grants.add(NO_PASID, 2, 9, R, 10, 3);
    grants.add(NO_PASID, 1, 7, R, 20, 4);
    grants.add(NO_PASID, 1, 7, RW, 20, 5);
    expect(grants.revoke(NO_PASID, 0, Infinity, ending('invalidated', 30, 3))).toBe(2);
    expect([7, 8, 9].map((page) => grants.covers(page, R))).toEqual([true, false, false]);
    expect(grants.covers(7, RW)).toBe(true);
    expect(grants.history(7).map(({ access, grantedNs }) => [access, grantedNs])).toEqual([
      [RW, 20],
      [R, 20],
    ]);
    expect(grants.revoke(NO_PASID, 1, 1, ending('invalidated', 40, 4))).toBe(1);
    expect(grants.revoke(NO_PASID, 1, 1, ending('invalidated', 40, 5))).toBe(1);
    expect([grants.covers(7, R), grants.live]).toEqual([false, 0]);
  });

  it('end by a wide range as by a narrow one', () => {
    const grants = new FunctionGrants();
    for (let page = 0; page < 100; page++) grants.add(NO_PASID, page * 1000, page, R, 0, 1);
    expect(grants.revoke(NO_PASID, 10_000, 30_001, ending('invalidated', 1))).toBe(31);
    expect([9, 10, 40, 41].map((page) => grants.covers(page, R))).toEqual([true, false, false, true]);
    expect(grants.revoke(NO_PASID, 2 ** 52 - 4, 4, ending('invalidated', 1))).toBe(0);
    expect(grants.revoke(NO_PASID, 123, Infinity, ending('reset', 1))).toBe(69);
  });

  it('of a large range cover each of its pages, and end as a whole by a page of it', () => {
    const grants = new FunctionGrants();
    grants.add(NO_PASID, 0x2345, 0x8145, R, 10, 1, 9);
    grants.add(NO_PASID, 0x2345, 0x8145, RW, 20, 2);
    expect([0x7fff, 0x8000, 0x81ff, 0x8200].map((page) => grants.covers(page, R))).toEqual([false, true, true, false]);
    expect([0x8144, 0x8145].map((page) => grants.covers(page, RW))).toEqual([false, true]);
    const range = { pasid: NO_PASID, grantedNs: 10, access: R, iovaPage: 0x2200, page: 0x8000, pages: 512 };
    expect(grants.history(0x8145)).toEqual([
      { ...range, grantedNs: 20, access: RW, iovaPage: 0x2345, page: 0x8145, pages: 1, revokedNs: -1, why: 'live' },
      { ...range, revokedNs: -1, why: 'live' },
    ]);
    expect(grants.revoke(NO_PASID, 0x21ff, 1, ending('invalidated', 30))).toBe(0);
    expect(grants.revoke(NO_PASID, 0x2200, 1, ending('invalidated', 30))).toBe(1);
    expect([0x8144, 0x8145].map((page) => grants.covers(page, R))).toEqual([false, true]);
    expect(grants.history(0x8000)).toEqual([{ ...range, revokedNs: 30, why: 'invalidated' }]);
    expect(grants.revoke(NO_PASID, 0, 0x10_0000, ending('invalidated', 30))).toBe(1);
    expect(grants.live).toBe(0);
  });

  it('are at most 2^18, and one that ends makes room', () => {
    const grants = new FunctionGrants();
    for (let page = 0; page < 2 ** 18; page++) grants.add(NO_PASID, page, 7, R, 0, 1);
    expect(grants.add(5, 0, 7, R, 0, 1)).toBe(false);
    expect(grants.add(NO_PASID, 3, 7, R, 0, 1)).toBe(true);
    grants.revoke(NO_PASID, 3, 1, ending('invalidated', 0));
    expect(grants.add(5, 0, 7, R, 0, 1)).toBe(true);
    expect(grants.live).toBe(2 ** 18);
    expect(grants.revoke(NO_PASID, 0, Infinity, ending('reset', 0))).toBe(2 ** 18);
  });

  it('are remembered after their end, the last 256 of a function and 16 in an answer', () => {
    const grants = new FunctionGrants();
    for (let time = 0; time < 300; time++) {
      grants.add(NO_PASID, time, time % 2, R, time, 1);
      grants.revoke(NO_PASID, time, 1, ending('invalidated', time));
    }
    const history = grants.history(0);
    expect(history).toHaveLength(16);
    expect(history[0]).toEqual({
      pasid: -1,
      iovaPage: 298,
      page: 0,
      pages: 1,
      access: R,
      grantedNs: 298,
      revokedNs: 298,
      why: 'invalidated',
    });
    expect(history[1]?.iovaPage).toBe(296);
    for (let time = 0; time < 256; time++) {
      grants.add(NO_PASID, time, 9, R, time, 1);
      grants.revoke(NO_PASID, time, 1, ending('invalidated', time));
    }
    expect(grants.history(0)).toEqual([]);
  });
});
