/** Translation requests of functions whose Smallest Translation Unit is more than a page (PCIe §10.5.1.3). */
import { beforeEach, describe, expect, it } from 'vitest';
import { NO_PASID, type Pasid } from '../../../server/src/core/base/index.ts';
import { STATUS } from '../../../server/src/core/translation/index.ts';
import { FIVE, GIB1, KIB4, MIB2, Probe, R, RW, W, nic } from './probe.ts';

let probe: Probe;
beforeEach(() => {
  probe = new Probe();
});

/** Address and size in pages with the ACCESS bits of what a request is granted, or the name of its status. */
function asked(iova: bigint, unitLg2: number, access = RW, id: Pasid = NO_PASID): readonly number[] | string {
  const { t } = probe;
  const status = t.translationRequest(t.contextHandle(nic, id), Number(iova >> 12n), 0, access, false, unitLg2);
  if (status !== 0) return Object.entries(STATUS).find(([, code]) => code === status)?.[0] ?? '';
  return [t.resultPage, 2 ** t.resultPagesLg2, t.resultAccess];
}
function given(...maps: readonly (readonly [iova: bigint, address: bigint, bytes: bigint, access?: number])[]): void {
  probe.t.setContext(nic, NO_PASID, probe.paging(...maps), true);
}

describe('a unit of several pages', () => {
  it('is granted whole where they are contiguous, whichever is asked for, as one grant', () => {
    given([0x4000n, 0x8_4000n, 4n * KIB4]);
    for (const page of [4n, 6n, 7n]) expect(asked(page * KIB4, 2)).toEqual([0x80 + Number(page), 4, RW]);
    expect(probe.t.liveGrants(nic)).toBe(1);
    expect([0x83, 0x84, 0x87, 0x88].map((page) => probe.translated(nic, page, W))).toEqual([
      'stale-atc',
      'performed',
      'performed',
      'stale-atc',
    ]);
    expect(asked(0x4000n, 0)).toEqual([0x84, 1, RW]);
  });

  it('has the rights that all of them have', () => {
    const space = probe.t.createSpace('paging', { format: 'arm-s2-4k-40' });
    for (const [index, access] of [RW, R, R, W].entries()) {
      space.tables?.map(BigInt(index) * KIB4, 0x8_0000n + BigInt(index) * KIB4, KIB4, access);
    }
    probe.t.setContext(nic, NO_PASID, space, true);
    expect(asked(0n, 1)).toEqual([0x80, 2, R]);
    expect(asked(0n, 0)).toEqual([0x80, 1, RW]);
    expect(asked(2n * KIB4, 1)).toBe('no-access');
    expect(asked(0n, 2)).toBe('no-access');
  });

  it.each([
    ['one of them is missing', [[0n, 0x8_0000n, 3n * KIB4]]],
    [
      'they are not contiguous',
      [
        [0n, 0x8_0000n, 2n * KIB4],
        [2n * KIB4, 0x9_2000n, 2n * KIB4],
      ],
    ],
    ['their physical address is no multiple of the unit', [[0n, 0x8_2000n, 4n * KIB4]]],
  ] as const)('is not granted where %s', (_, maps) => {
    given(...maps);
    expect(asked(KIB4, 2)).toBe('no-access');
    expect(probe.t.liveGrants(nic)).toBe(0);
    expect(asked(0n, 0)).toEqual([Number(maps[0][1] >> 12n), 1, RW]);
  });

  it('is no smaller part of a larger mapping, nor more mappings than a table has', () => {
    given([0n, GIB1, GIB1], [GIB1, 2n * GIB1, 2n * MIB2 - KIB4], [GIB1 + 2n * MIB2 - KIB4, 2n * GIB1 + 2n * MIB2 - KIB4, KIB4]);
    expect(asked(0x5000n, 9)).toEqual([0x4_0005, 2 ** 18, RW]);
    expect(asked(GIB1 + 0x5000n, 10)).toBe('no-access');
    given([0n, GIB1, 511n * KIB4], [511n * KIB4, GIB1 + 511n * KIB4, KIB4]);
    expect(asked(0x5000n, 9)).toEqual([0x4_0005, 512, RW]);
    given([GIB1, 2n * GIB1, 2n * MIB2]);
    expect(asked(GIB1 + 0x5000n, 10)).toEqual([0x8_0005, 1024, RW]);
  });

  it('is aborted where the tables of one page are broken', () => {
    const space = probe.paging([0n, 0x8_0000n, 4n * KIB4]);
    const { t } = probe;
    const translate = t.translate.bind(t);
    Object.assign(t, {
      translate: (context: number, low: number, high: number, access: number) =>
        low === 3 ? STATUS['reserved-bits'] : translate(context, low, high, access),
    });
    probe.t.setContext(nic, NO_PASID, space, true);
    expect(asked(0n, 2)).toBe('completer-abort');
    expect(asked(0n, 1)).toEqual([0x80, 2, RW]);
  });

  it('is for untranslated writes where all of it is interrupts, and not granted where a part is', () => {
    const space = probe.paging([0xfe00_0000n, GIB1, 16n * MIB2]);
    probe.t.setContext(nic, NO_PASID, space, true);
    probe.t.setContext(nic, FIVE, space, true);
    expect(asked(0xfee1_2000n, 4)).toEqual([0xfee12, 16, W]);
    expect((probe.t.completion[0]?.low ?? 0) & 0xfff).toBe(0x806);
    expect(asked(0xfee1_2000n, 8)).toEqual([0xfee12, 256, W]);
    expect(asked(0xfee1_2000n, 9)).toBe('no-access');
    expect(asked(0xfef0_0000n, 9)).toBe('no-access');
    expect(asked(0xfef0_0000n, 9, RW, FIVE)).toEqual([0x4_0f00, 512, RW]);
    expect(probe.t.liveGrants(nic)).toBe(1);
  });

  it('serves every PASID only where each of its pages does', () => {
    const space = probe.paging([0n, 0x8_0000n, 2n * KIB4]);
    probe.t.setContext(nic, FIVE, space, true);
    expect(asked(0n, 1, R, FIVE)).toEqual([0x80, 2, R]);
    expect((probe.t.completion[0]?.low ?? 0) & 0x20).toBe(0);
  });

  it('is put together of 512 mappings, and not of more', () => {
    probe.t.setContext(nic, NO_PASID, probe.t.createSpace('identity'), true);
    expect(asked(1n << 43n, 27)).toEqual([2 ** 31, 2 ** 27, RW]);
    expect(asked(1n << 43n, 28)).toBe('no-access');
    expect(asked(0n, 31)).toBe('no-access');
  });
});
