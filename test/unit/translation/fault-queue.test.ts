import { describe, expect, it } from 'vitest';
import { NO_PASID, bdf, pasid } from '../../../server/src/core/base/index.ts';
import { FaultQueue } from '../../../server/src/core/translation/index.ts';

const nic = bdf(0, 0, 2, 0);
const FAULT = { bdf: nic, pasid: NO_PASID, iova: 0n, access: 1, cause: 'not-present', stage: 1, privileged: false } as const;

describe('a fault record', () => {
  it.each([
    [nic, NO_PASID, 0x11000n, 2, 'not-present', '00:02.0 write 0x11000: not present'],
    [nic, pasid(5), 0x11000n, 1, 'not-permitted', '00:02.0 PASID 5 read 0x11000: not permitted'],
    [nic, pasid(0), 0n, 3, 'blocked-domain', '00:02.0 PASID 0 read-write 0x0: blocked domain'],
    [bdf(1, 0xaf, 0, 7), NO_PASID, 0xffff_8000_0000_0000n, 4, 'ats-forbidden', '0001:af:00.7 execute 0xffff800000000000: ats forbidden'],
    [nic, NO_PASID, 1n, 0, 'stale-atc', '00:02.0 access 0x1: stale atc'],
    [nic, pasid(1), 1n, 5, 'not-permitted', '00:02.0 PASID 1 execute 0x1: not permitted'],
  ] as const)('says who, what, where and why', (at, id, iova, access, cause, text) => {
    const queue = new FaultQueue(4, () => 77);
    const record = queue.record({ bdf: at, pasid: id, iova, access, cause, stage: 1, privileged: false });
    const asked = { access, privileged: false, execute: access >= 4 };
    expect(record).toEqual({ number: 1, timeNs: 77, bdf: at, pasid: id, iova, ...asked, stage: 1, cause, text });
    expect(queue.records()).toEqual([record]);
  });

  it('says the mode of the request and the second stage', () => {
    const queue = new FaultQueue(4, () => 0);
    const fault = { ...FAULT, access: 4, privileged: true, stage: 2 };
    expect(queue.record(fault)).toMatchObject({ ...fault, execute: true, text: '00:02.0 privileged execute 0x0: not present (stage 2)' });
    expect(queue.record({ ...fault, stage: 0 }).text).toBe('00:02.0 privileged execute 0x0: not present');
  });

  it('is numbered from 1 and kept until newer ones need the room', () => {
    let now = 0;
    const queue = new FaultQueue(3, () => ++now);
    for (let i = 0; i < 5; i++) queue.record({ ...FAULT, iova: BigInt(i) });
    expect(queue.records().map(({ number, timeNs, iova }) => [number, timeNs, iova])).toEqual([
      [3, 3, 2n],
      [4, 4, 3n],
      [5, 5, 4n],
    ]);
    expect(queue.overflow).toBe(2);
    expect(queue.records()).toHaveLength(3);
  });

  it('overflows nothing while there is room', () => {
    const queue = new FaultQueue(1, () => 0);
    expect(queue.records()).toEqual([]);
    queue.record(FAULT);
    expect(queue.overflow).toBe(0);
  });
});
