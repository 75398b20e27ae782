import { beforeEach, describe, expect, it } from 'vitest';
import { NO_PASID, pasid, type Bdf, type Pasid } from '../../../server/src/core/base/index.ts';
import { STATUS, type Translation } from '../../../server/src/core/translation/index.ts';
import { FIVE, GIB1, KIB4, NONE, Probe, R, RW, W, disk, nic } from './probe.ts';

let probe: Probe;
let t: Translation;
beforeEach(() => {
  probe = new Probe();
  t = probe.t;
});

describe('an ATS translation request', () => {
  it('is forbidden without a context, with ATS off, and for a blocked space whatever is asked', () => {
    expect(probe.request(nic, NO_PASID, 0n)).toBe('ats-forbidden');
    const space = probe.paging([0n, 0x5000n, KIB4]);
    t.setContext(nic, NO_PASID, space, false);
    expect(probe.request(nic, NO_PASID, 0n)).toBe('ats-forbidden');
    t.setContext(nic, NO_PASID, t.createSpace('blocked'), true);
    expect(probe.request(nic, NO_PASID, 0n)).toBe('ats-forbidden');
    expect(t.atsAllowed(nic, NO_PASID)).toBe(false);
    expect(t.liveGrants(nic)).toBe(0);
    t.setContext(nic, NO_PASID, space, true);
    expect(t.atsAllowed(nic, NO_PASID)).toBe(true);
    expect(t.atsAllowed(nic, FIVE)).toBe(false);
    expect(probe.request(nic, NO_PASID, 0n)).toBe(5);
  });

  it('grants at most what the mapping has, and write only where it is asked for', () => {
    t.setContext(nic, NO_PASID, probe.paging([0n, 0x5000n, KIB4, R], [KIB4, 0x6000n, KIB4]), true);
    expect([probe.request(nic, NO_PASID, 0n, RW), t.resultAccess]).toEqual([5, R]);
    expect([probe.request(nic, NO_PASID, 0n, W), t.resultAccess]).toEqual([5, R]);
    expect([probe.request(nic, NO_PASID, KIB4, R), t.resultAccess]).toEqual([6, R]);
    expect([probe.request(nic, NO_PASID, KIB4, W), t.resultAccess]).toEqual([6, RW]);
    expect([probe.request(nic, NO_PASID, KIB4, NONE), t.resultAccess]).toEqual([6, R]);
  });

  it('grants one page of a large mapping', () => {
    t.setContext(nic, NO_PASID, probe.paging([0n, GIB1, GIB1]), true);
    expect(probe.request(nic, NO_PASID, 0x1234_5000n)).toBe(0x52345);
    expect(t.resultPages).toBe(1);
    expect(probe.translated(nic, 0x52346, R)).toBe('stale-atc');
  });

  it('succeeds with no access where nothing is mapped or nothing can be', () => {
    t.setContext(nic, NO_PASID, probe.paging([0n, 0x5000n, KIB4]), true);
    expect(probe.request(nic, NO_PASID, KIB4)).toBe('no-access');
    expect(probe.request(nic, NO_PASID, 1n << 60n)).toBe('no-access');
    t.setContext(nic, FIVE, t.createSpace('identity'), true);
    expect(probe.request(nic, FIVE, 1n << 52n)).toBe('no-access');
    expect(probe.request(nic, FIVE, 0x7000n, RW)).toBe(7);
    expect(t.liveGrants(nic)).toBe(1);
  });

  it.each(['external-abort', 'reserved-bits'] as const)('is aborted by the completer when the walk ends in %s', (outcome) => {
    const space = probe.paging([0n, 0x5000n, KIB4]);
    Object.assign(space.tables ?? {}, { walk: () => STATUS[outcome] });
    t.setContext(nic, NO_PASID, space, true);
    expect(probe.request(nic, NO_PASID, 0n)).toBe('completer-abort');
    expect(probe.translate(nic, NO_PASID, 0n)).toBe(outcome);
    expect(t.liveGrants(nic)).toBe(0);
  });

  it('is filled from a stale IOTLB where software invalidates in the wrong order', () => {
    const space = probe.paging([0n, 0x5000n, KIB4]);
    t.setContext(nic, NO_PASID, space, true);
    probe.translate(nic, NO_PASID, 0n);
    space.tables?.unmap(0n, KIB4);
    expect(probe.request(nic, NO_PASID, 0n)).toBe(5);
    t.invalidateSpace(space);
    expect(probe.request(nic, NO_PASID, 0n)).toBe('no-access');
  });

  it('makes one grant, however often it is repeated', () => {
    t.setContext(nic, NO_PASID, probe.paging([0n, 0x5000n, 4n * KIB4]), true);
    for (let i = 0; i < 3; i++) probe.request(nic, NO_PASID, 0n);
    probe.request(nic, NO_PASID, KIB4);
    expect(t.liveGrants(nic)).toBe(2);
    expect(t.liveGrants(disk)).toBe(0);
  });
});

describe('a translated request', () => {
  const grant = (at: Bdf, id: Pasid, page: number, access = RW): void => {
    expect(t.translationRequest(t.contextHandle(at, id), page, 0, access)).toBe(0);
  };
  beforeEach(() => {
    const space = probe.paging([0n, 0x10_0000n, 64n * KIB4], [64n * KIB4, 0x20_0000n, KIB4, R]);
    t.setContext(nic, NO_PASID, space, true);
    t.setContext(nic, FIVE, space, true);
    t.setContext(nic, pasid(6), space, true);
    t.setContext(disk, NO_PASID, space, true);
  });

  it('is performed inside a live grant with the right, and stale elsewhere', () => {
    grant(nic, NO_PASID, 3);
    grant(nic, NO_PASID, 64);
    expect(probe.translated(nic, 0x103, RW)).toBe('performed');
    expect(probe.translated(nic, 0x104, R)).toBe('stale-atc');
    expect(probe.translated(nic, 0x200, R)).toBe('performed');
    expect(probe.translated(nic, 0x200, W)).toBe('stale-atc');
    expect(probe.translated(disk, 0x103, R)).toBe('stale-atc');
  });

  it('needs one grant with every right it needs', () => {
    grant(nic, NO_PASID, 3, R);
    expect(probe.translated(nic, 0x103, W)).toBe('stale-atc');
    grant(nic, NO_PASID, 3, W);
    expect(probe.translated(nic, 0x103, RW)).toBe('performed');
    expect(t.liveGrants(nic)).toBe(2);
  });

  it('is forbidden once the context forbids ATS, grants or not', () => {
    grant(nic, NO_PASID, 3);
    t.setContext(nic, NO_PASID, t.contextSpace(nic, NO_PASID), false);
    expect(probe.translated(nic, 0x103, R)).toBe('ats-forbidden');
    t.setContext(nic, NO_PASID, undefined, true);
    expect(probe.translated(nic, 0x103, R)).toBe('ats-forbidden');
    expect(t.liveGrants(nic)).toBe(1);
  });

  it('is stale from the moment its grant is revoked, not from the unmap', () => {
    grant(nic, NO_PASID, 3);
    const space = t.contextSpace(nic, NO_PASID)!;
    space.tables?.unmap(0x3000n, KIB4);
    t.invalidateRange(space, 0x3000n, KIB4);
    expect(probe.translated(nic, 0x103, R)).toBe('performed');
    expect(t.revokeGrants(nic, NO_PASID, 3, 1, 'invalidated')).toBe(1);
    expect(probe.translated(nic, 0x103, R)).toBe('stale-atc');
  });

  it('is performed when its grant is newer than the invalidation that completes', () => {
    grant(nic, NO_PASID, 3);
    const asked = t.grantsMade;
    grant(nic, NO_PASID, 4);
    expect(t.revokeGrants(nic, NO_PASID, 0, Infinity, 'invalidated', asked)).toBe(1);
    expect([0x103, 0x104].map((page) => probe.translated(nic, page, R))).toEqual(['stale-atc', 'performed']);
  });

  it('is performed while any grant of the page lives', () => {
    const space = t.contextSpace(nic, NO_PASID)!;
    space.tables?.map(0x8000_0000n, 0x10_3000n, KIB4, RW);
    grant(nic, NO_PASID, 3);
    grant(nic, NO_PASID, 0x80000);
    grant(nic, FIVE, 3);
    expect(t.revokeGrants(nic, FIVE, 0, Infinity, 'invalidated')).toBe(1);
    expect(probe.translated(nic, 0x103, W)).toBe('performed');
    expect(t.revokeGrants(nic, NO_PASID, 3, 1, 'invalidated')).toBe(1);
    expect(probe.translated(nic, 0x103, W)).toBe('performed');
    expect(t.revokeGrants(nic, NO_PASID, 0x80000, 1, 'invalidated')).toBe(1);
    expect(probe.translated(nic, 0x103, W)).toBe('stale-atc');
  });

  it.each([
    ['a PASID, a range: that range of that PASID', FIVE, 1, 2, 2, [0, 3]],
    ['a PASID, everything: all of that PASID', FIVE, 0, Infinity, 4, []],
    ['a PASID nobody used', pasid(7), 0, Infinity, 0, [0, 1, 2, 3]],
  ])('loses what an invalidation names: %s', (_, id, first, pages, count, left) => {
    for (const other of [NO_PASID, FIVE, pasid(6)]) for (const page of [0, 1, 2, 3]) grant(nic, other, page + (other + 1) * 4);
    const offset = (FIVE + 1) * 4;
    expect(t.revokeGrants(nic, id, id === FIVE ? first + offset : first, pages, 'invalidated')).toBe(count);
    expect([0, 1, 2, 3].filter((page) => probe.translated(nic, 0x100 + page + offset, R) === 'performed')).toEqual(left);
    expect(t.liveGrants(nic)).toBe(12 - count);
  });

  it('without a PASID in the invalidation loses the range, and every PASID everywhere', () => {
    for (const page of [0, 1, 2]) grant(nic, NO_PASID, page);
    grant(nic, FIVE, 40);
    grant(nic, pasid(6), 41);
    grant(disk, NO_PASID, 0);
    expect(t.revokeGrants(nic, NO_PASID, 1, 1, 'invalidated')).toBe(3);
    expect([0x100, 0x101, 0x102, 0x128, 0x129].map((page) => probe.translated(nic, page, R))).toEqual([
      'performed',
      'stale-atc',
      'performed',
      'stale-atc',
      'stale-atc',
    ]);
    expect(probe.translated(disk, 0x100, R)).toBe('performed');
  });

  it('that is stale can be traced to the grants it had, newest first', () => {
    grant(nic, NO_PASID, 3, R);
    probe.now = 200;
    t.revokeGrants(nic, NO_PASID, 0, Infinity, 'timed-out');
    probe.now = 300;
    grant(nic, FIVE, 3);
    probe.now = 400;
    t.revokeGrants(nic, FIVE, 3, 1, 'reset');
    probe.now = 500;
    grant(nic, NO_PASID, 3);
    const pageAndIova = { page: 0x103, iovaPage: 3, pages: 1 };
    expect(t.grantHistory(nic, 0x103)).toEqual([
      { ...pageAndIova, pasid: -1, access: RW, grantedNs: 500, revokedNs: -1, why: 'live' },
      { ...pageAndIova, pasid: 5, access: RW, grantedNs: 300, revokedNs: 400, why: 'reset' },
      { ...pageAndIova, pasid: -1, access: R, grantedNs: 100, revokedNs: 200, why: 'timed-out' },
    ]);
    expect(t.grantHistory(nic, 0x104)).toEqual([]);
    expect(t.grantHistory(disk, 0x103)).toEqual([]);
  });
});
