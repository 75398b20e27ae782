import { beforeEach, describe, expect, it } from 'vitest';
import { NO_PASID, pasid, type Bdf, type Pasid } from '../../../server/src/core/base/index.ts';
import { STATUS, type Translation } from '../../../server/src/core/translation/index.ts';
import { FIVE, GIB1, KIB4, MIB2, NONE, Probe, R, RW, W, X, disk, nic } from './probe.ts';

let probe: Probe;
let t: Translation;
beforeEach(() => {
  probe = new Probe();
  t = probe.t;
});

/** The entry of the last Translation Completion, as PCIe Base 6.0 §10.2.3 lays it out. */
function completion({ completion: [entry] }: Translation): bigint {
  const { low = 0, high = 0 } = entry ?? {};
  return (BigInt.asUintN(32, BigInt(high)) << 32n) | BigInt.asUintN(32, BigInt(low));
}

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

  it.each([
    ['4 KiB', 0x8000_0000n, 1, 0x1234_5000n],
    ['2 MiB', 0x4000_0000n, 2 ** 9, 0x122f_f800n],
    ['1 GiB', 0n, 2 ** 18, 0x1fff_f800n],
  ])('grants the whole of a page of %s', (_, base, pages, address) => {
    const space = probe.paging([0n, 4n * GIB1, GIB1], [GIB1, 5n * GIB1, GIB1 - MIB2], [2n * GIB1, 6n * GIB1, 0x1234_6000n]);
    t.setContext(nic, NO_PASID, space, true);
    // The last page of the third mapping is no part of a larger one.
    const page = Number((4n * GIB1 + base) >> 12n) + 0x1_2345;
    expect([probe.request(nic, NO_PASID, base + 0x1234_5000n, RW), 2 ** t.resultPagesLg2]).toEqual([page, pages]);
    expect(completion(t)).toBe(4n * GIB1 + base + address + 3n);
    const first = page - (page % pages);
    const seen = [first - 1, first, page, first + pages - 1, first + pages].map((at) => probe.translated(nic, at, RW));
    expect(seen).toEqual(['stale-atc', 'performed', 'performed', 'performed', 'stale-atc']);
    expect(t.liveGrants(nic)).toBe(1);
  });

  it('grants through the IOTLB what a walk would', () => {
    t.setContext(nic, NO_PASID, probe.paging([0n, GIB1, MIB2]), true);
    probe.translate(nic, NO_PASID, 0x3000n);
    probe.request(nic, NO_PASID, 0x3000n);
    expect([completion(t), 2 ** t.resultPagesLg2]).toEqual([0x400f_f801n, 512]);
  });

  it('grants a contiguous group of Arm tables whole, and of one that is out of step the entry alone', () => {
    const space = t.createSpace('paging', { format: 'arm-s2-4k-40' });
    space.tables?.map(0n, 0x10_0000n, 16n * KIB4, RW);
    t.setContext(nic, NO_PASID, space, true);
    expect([probe.request(nic, NO_PASID, 5n * KIB4, W), 2 ** t.resultPagesLg2, completion(t)]).toEqual([0x105, 16, 0x10_7803n]);
  });

  it('never grants a range with interrupts in it, and for those wants untranslated writes', () => {
    const space = probe.paging([0xc000_0000n, GIB1, GIB1]);
    t.setContext(nic, NO_PASID, space, true);
    t.setContext(nic, FIVE, space, true);
    expect([probe.request(nic, NO_PASID, 0xfec0_0000n), 2 ** t.resultPagesLg2]).toEqual([0x7ec00, 512]);
    expect([probe.request(nic, NO_PASID, 0xfef0_0000n), 2 ** t.resultPagesLg2]).toEqual([0x7ef00, 256]);
    expect([probe.request(nic, NO_PASID, 0xc000_0000n), 2 ** t.resultPagesLg2]).toEqual([0x40000, 2 ** 17]);
    const live = t.liveGrants(nic);
    expect(probe.request(nic, NO_PASID, 0xfee0_1000n, R)).toBe('no-access');
    expect([probe.request(nic, NO_PASID, 0xfee0_1000n, W), completion(t)]).toEqual([0xfee01, 0xfee0_1006n]);
    expect(t.liveGrants(nic)).toBe(live);
    // With a PASID they are addresses as any other.
    expect([probe.request(nic, FIVE, 0xfee0_1000n, W), 2 ** t.resultPagesLg2]).toEqual([0x7ee01, 2 ** 18]);
  });

  it('says Exe with read where it is asked for, and Priv where privileged mode is', () => {
    t.setContext(nic, FIVE, probe.paging([0n, 0x5000n, KIB4]), true);
    probe.request(nic, FIVE, 0n, R | X);
    expect(completion(t)).toBe(0x5009n);
    t.translationRequest(t.contextHandle(nic, FIVE), 0, 0, R, true);
    expect(completion(t)).toBe(0x5011n);
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

  it('of an identity space is granted 1 GiB, up to the end of its addresses and not into interrupts', () => {
    const space = t.createSpace('identity');
    t.setContext(nic, NO_PASID, space, true);
    t.setContext(nic, FIVE, space, true);
    const granted = (iova: bigint, id: Pasid = NO_PASID, access = RW): unknown => [
      probe.request(nic, id, iova, access),
      2 ** t.resultPagesLg2,
      t.resultAccess,
    ];
    expect(granted(5n * GIB1 + 0x7000n)).toEqual([0x14_0007, 2 ** 18, RW]);
    expect(completion(t)).toBe(5n * GIB1 + 0x1fff_f803n);
    expect(granted((1n << 52n) - KIB4)).toEqual([2 ** 40 - 1, 2 ** 18, RW]);
    expect(probe.request(nic, NO_PASID, 1n << 52n)).toBe('no-access');
    expect(granted(0xc000_0000n)).toEqual([0xc_0000, 2 ** 17, RW]);
    expect(granted(0xfef0_0000n)).toEqual([0xf_ef00, 256, RW]);
    expect(granted(0xfee0_0000n, NO_PASID, W)).toEqual([0xf_ee00, 1, W]);
    expect([0xc_0000, 0xf_ee00, 0xf_efff].map((page) => probe.translated(nic, page, R))).toEqual(['performed', 'stale-atc', 'performed']);
    expect(granted(0xfee0_0000n, FIVE)).toEqual([0xf_ee00, 2 ** 18, RW]);
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
