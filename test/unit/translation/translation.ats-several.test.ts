/** Translation requests for several translations: a Length of 2 DW for each (PCIe §10.2). */
import { beforeEach, describe, expect, it } from 'vitest';
import { NO_PASID, translationAccess, translationPage, translationPagesLg2 } from '../../../server/src/core/base/index.ts';
import { GRANTS_MAX } from '../../../server/src/core/translation/grant-shadow.ts';
import { STATUS, WAITING } from '../../../server/src/core/translation/index.ts';
import { GIB1, KIB4, MIB2, Probe, R, RW, W, nic } from './probe.ts';

let probe: Probe;
beforeEach(() => {
  probe = new Probe();
});

function given(...maps: readonly (readonly [iova: bigint, address: bigint, bytes: bigint, access?: number])[]): void {
  probe.t.setContext(nic, NO_PASID, probe.paging(...maps), true);
}

/** Page, pages and rights of each entry; or the status. */
function asked(iova: bigint, count: number, unitLg2 = 0, access = RW): readonly (readonly number[])[] | number {
  const { t } = probe;
  const status = t.translationRequest(t.contextHandle(nic, NO_PASID), Number(iova >> 12n), 0, access, false, unitLg2, count);
  if (status !== 0) return status;
  return t.completion.map(({ low, high }) => [translationPage(low, high), 2 ** translationPagesLg2(low, high), translationAccess(low)]);
}

describe('a request for several translations', () => {
  it('is answered with one for each unit, lowest first, whatever their pages and rights are, and makes a grant of each', () => {
    given([KIB4, 0x8_0000n, KIB4], [2n * KIB4, 0x3_0000n, KIB4, R], [3n * KIB4, 0x9_0000n, 2n * KIB4]);
    expect(asked(KIB4 + 8n, 3)).toEqual([
      [0x80, 1, RW],
      [0x30, 1, R],
      [0x90, 1, RW],
    ]);
    expect(probe.seen.filter((record) => record.kind === 'ats-granted')).toHaveLength(3);
    expect([probe.t.liveGrants(nic), probe.t.grantsMade, probe.t.resultPage]).toEqual([3, 3, 0x80]);
    expect([0x80, 0x30, 0x90, 0x91].map((page) => probe.translated(nic, page, R))).toEqual([
      'performed',
      'performed',
      'performed',
      'stale-atc',
    ]);
  });

  it('ends before the first range without access, and is refused as any where the first has none', () => {
    given([KIB4, 0x8_0000n, 2n * KIB4]);
    expect(asked(KIB4, 8)).toEqual([
      [0x80, 1, RW],
      [0x81, 1, RW],
    ]);
    expect(asked(0n, 8)).toBe(STATUS['no-access']);
    expect(asked(KIB4, 1)).toHaveLength(1);
  });

  it('has entries of one size: of a larger range a part, and it ends before a smaller one', () => {
    given([MIB2 - 2n * KIB4, 0x8_0000n, 2n * KIB4], [MIB2, GIB1, 2n * MIB2], [3n * MIB2, 4n * GIB1, KIB4]);
    expect(asked(MIB2 - 2n * KIB4, 4)).toEqual([
      [0x80, 1, RW],
      [0x81, 1, RW],
      [0x4_0000, 1, RW],
      [0x4_0001, 1, RW],
    ]);
    expect(asked(MIB2 + 5n * KIB4, 8)).toEqual([[0x4_0000, 512, RW]]);
    expect(asked(2n * MIB2 - KIB4, 2)).toEqual([
      [0x4_0000, 512, RW],
      [0x4_0200, 512, RW],
    ]);
    expect(asked(2n * MIB2 + 5n * KIB4, 8, 9)).toEqual([[0x4_0200, 512, RW]]);
  });

  it('goes by units that are larger than a page', () => {
    given([0n, 0x8_0000n, 8n * KIB4], [8n * KIB4, 0xa_0000n, 6n * KIB4]);
    expect(asked(5n * KIB4, 2, 2)).toEqual([
      [0x84, 4, RW],
      [0xa0, 4, RW],
    ]);
    expect(asked(5n * KIB4, 3, 2)).toHaveLength(2);
  });

  it('goes on from a range of interrupts into what follows', () => {
    given([0xfef0_0000n, 0x8_0000n, KIB4]);
    expect(asked(0xfeef_f000n, 2, 0, W)).toEqual([
      [0xfeeff, 1, W],
      [0x80, 1, RW],
    ]);
    expect(probe.t.liveGrants(nic)).toBe(1);
  });

  it('does not reach beyond 64 bits', () => {
    probe.t.setContext(nic, NO_PASID, probe.t.createSpace('paging', { format: 'x86-64' }), true);
    const context = probe.t.contextHandle(nic, NO_PASID);
    probe.t.contextSpace(nic, NO_PASID)?.tables?.map(0n, 0x7000n, KIB4, RW);
    probe.t.contextSpace(nic, NO_PASID)?.tables?.map((1n << 64n) - KIB4, 0x6000n, KIB4, RW);
    expect(probe.t.translationRequest(context, -1, 0xf_ffff, R, false, 0, 8)).toBe(0);
    expect(probe.t.completion).toHaveLength(1);
  });

  it('grants nothing while a later one waits for page tables', () => {
    given([0n, 0x8_0000n, 4n * KIB4]);
    const { t } = probe;
    const translate = t.translate.bind(t);
    Object.assign(t, {
      translate: (context: number, low: number, high: number, access: number) =>
        low === 2 ? WAITING : translate(context, low, high, access),
    });
    expect(asked(0n, 4)).toBe(WAITING);
    expect([t.liveGrants(nic), t.grantsMade]).toEqual([0, 0]);
    expect(asked(0n, 2)).toHaveLength(2);
  });

  it('has fewer entries where the shadow has no more room', () => {
    given([0n, GIB1 + KIB4, GIB1 + MIB2]);
    for (let page = 0; page < GRANTS_MAX - 8; page += 8) asked(BigInt(page) * KIB4, 8);
    asked(BigInt(GRANTS_MAX - 8) * KIB4, 3);
    expect(asked(BigInt(GRANTS_MAX) * KIB4, 8)).toHaveLength(5);
    expect(probe.t.liveGrants(nic)).toBe(GRANTS_MAX);
    expect(asked(BigInt(GRANTS_MAX + 8) * KIB4, 8)).toBe(STATUS['completer-abort']);
    expect(asked(BigInt(GRANTS_MAX) * KIB4, 8)).toHaveLength(5);
  });
});
