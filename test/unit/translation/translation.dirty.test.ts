/** What the IOTLB and ATS make of tables that track writes. */
import { beforeEach, describe, expect, it } from 'vitest';
import { NO_PASID } from '../../../server/src/core/base/index.ts';
import type { AddressSpace } from '../../../server/src/core/translation/index.ts';
import { FIVE, KIB4, NONE, Probe, R, RW, W, X, nic } from './probe.ts';

let probe: Probe;
let space: AddressSpace;
beforeEach(() => {
  probe = new Probe();
  space = probe.t.createSpace('paging', { format: 'vtd-second-stage-4level', dirtyTracking: true });
  space.tables?.map(0n, 0x5000n, KIB4, RW);
  space.tables?.map(KIB4, 0x9000n, KIB4, R);
  space.tables?.map(2n * KIB4, 0x7000n, KIB4, W);
  space.tables?.dirty?.set(true);
  probe.t.setContext(nic, NO_PASID, space, true);
});

function dirty(clear = false): number[] {
  const found: number[] = [];
  space.tables?.dirty?.read(0n, 4n * KIB4, clear, (iova) => found.push(Number(iova / KIB4)));
  return found;
}

describe('a tracked page', () => {
  it('that was read is written through another walk, which marks it', () => {
    expect(probe.translate(nic, NO_PASID, 0n, R)).toBe(5);
    expect(dirty()).toEqual([]);
    expect(probe.translate(nic, NO_PASID, 0n, W)).toBe(5);
    expect(dirty()).toEqual([0]);
  });

  it('hides a write only behind an entry of the IOTLB, which whoever clears has to invalidate', () => {
    probe.translate(nic, NO_PASID, 0n, RW);
    expect(dirty(true)).toEqual([0]);
    probe.translate(nic, NO_PASID, 0n, W);
    expect(dirty()).toEqual([]);
    probe.t.invalidateRange(space, 0n, KIB4);
    probe.translate(nic, NO_PASID, 0n, W);
    expect(dirty()).toEqual([0]);
  });

  it('is not marked by a write that is refused', () => {
    expect(probe.translate(nic, NO_PASID, KIB4, W)).toBe('not-permitted');
    expect(probe.translate(nic, NO_PASID, 2n * KIB4, RW)).toBe('not-permitted');
    expect(dirty()).toEqual([]);
  });

  it('is marked by a translation request with NW clear, and by no other', () => {
    expect([probe.request(nic, NO_PASID, 0n, R), probe.t.resultAccess]).toEqual([5, R]);
    expect([probe.request(nic, NO_PASID, 0n, NONE), dirty()]).toEqual([5, []]);
    expect([probe.request(nic, NO_PASID, KIB4, RW), probe.t.resultAccess, dirty()]).toEqual([9, R, []]);
    expect([probe.request(nic, NO_PASID, 0n, RW), probe.t.resultAccess, dirty()]).toEqual([5, RW, [0]]);
  });

  it('that may only be written is granted to nobody who wants to read', () => {
    expect(probe.request(nic, NO_PASID, 2n * KIB4, R)).toBe('no-access');
    expect([probe.request(nic, NO_PASID, 2n * KIB4, W), probe.t.resultAccess]).toEqual([7, W]);
    expect(probe.t.liveGrants(nic)).toBe(1);
  });
});

describe('the stage of a fault', () => {
  it.each([
    ['x86-64', 1],
    ['riscv-sv39', 1],
    ['arm-s1-4k-48', 1],
    ['vtd-second-stage-3level', 2],
    ['amd-v1-2level', 2],
    ['riscv-sv39x4', 2],
    ['arm-s2-4k-40', 2],
  ])('of %s is %i', (format, stage) => {
    probe.t.setContext(nic, FIVE, probe.t.createSpace('paging', { format }), false);
    expect([probe.translate(nic, FIVE, 0n), probe.t.faultStage]).toEqual(['not-present', stage]);
  });

  it('is none where no tables were walked', () => {
    probe.translate(nic, NO_PASID, 3n * KIB4);
    probe.t.setContext(nic, FIVE, probe.t.createSpace('identity'), false);
    expect([probe.translate(nic, FIVE, 1n << 60n), probe.t.faultStage]).toEqual(['too-wide', 0]);
    probe.t.setContext(nic, FIVE, probe.t.createSpace('blocked'), false);
    expect([probe.translate(nic, FIVE, 0n), probe.t.faultStage]).toEqual(['blocked-domain', 0]);
  });
});

describe('privileged mode', () => {
  it('reaches pages of the supervisor, and leaves nothing in the IOTLB for others', () => {
    const { t } = probe;
    t.setContext(nic, FIVE, probe.paging([0n, 0x5000n, KIB4]), true);
    const context = t.contextHandle(nic, FIVE);
    expect([t.translatePrivileged(context, 0, 0, RW), t.resultPage]).toEqual([0, 5]);
    expect([t.translationRequest(context, 0, 0, R | X, true), t.resultAccess]).toEqual([0, R | X]);
    expect([t.translationRequest(context, 0, 0, RW), t.resultAccess]).toEqual([0, RW]);
  });

  it('has nothing in a page of users where the architecture keeps it from them', () => {
    const { t } = probe;
    const users = t.createSpace('paging', { format: 'riscv-sv39' });
    users.tables?.map(0n, 0x5000n, KIB4, RW);
    t.setContext(nic, FIVE, users, true);
    const context = t.contextHandle(nic, FIVE);
    expect(probe.translate(nic, FIVE, 0n)).toBe(5);
    expect(t.translatePrivileged(context, 0, 0, R)).not.toBe(0);
    expect(t.faultStage).toBe(1);
  });
});
