/** What a reset does with requests that another peer's memory has: the reason why the ledger, the epoch and the fence exist. */
import { describe, expect, it } from 'vitest';
import { NO_PASID } from '../../../../server/src/core/base/index.ts';
import { CoreMachine, MS, PROBE, REMOTE, probe, remote, type TestPeer } from '../../../kit/core-machine.ts';

const IOVA = 0x4_0000;
const OWNED = 0x4000_0000n;

/** Emulator E plays 00:04.0, client M owns 64 KiB at 1 GiB, and the host is the test itself. */
function threeParties(clock: 'auto' | 'manual' = 'auto'): { m: CoreMachine; e: TestPeer; owner: TestPeer } {
  const m = new CoreMachine({ clock, functions: [probe(PROBE), remote(REMOTE)] });
  const e = m.attachPeer({ device: true });
  const owner = m.attachPeer({ memory: true });
  expect(m.start({ kind: 'device-claim', bdf: REMOTE }, e.id).reply).toMatchObject({ kind: 'device-claim' });
  expect(m.start({ kind: 'memory-claim', address: OWNED, bytes: 0x1_0000n, depth: 4 }, owner.id).reply).toMatchObject({ kind: 'ok' });
  m.map(REMOTE, IOVA, OWNED);
  return { m, e, owner };
}

function dmaWrite(m: CoreMachine, e: TestPeer, text: string, iova = IOVA) {
  const data = new TextEncoder().encode(text);
  return m.start({ kind: 'dma-write', bdf: REMOTE, data, iovaLow: iova, iovaHigh: 0, pasid: NO_PASID }, e.id);
}
function dmaRead(m: CoreMachine, e: TestPeer, bytes: number, iova = IOVA) {
  return m.start({ kind: 'dma-read', bdf: REMOTE, bytes, iovaLow: iova, iovaHigh: 0, pasid: NO_PASID }, e.id);
}

describe('a reset while the owner of the memory is silent', () => {
  it('gives its fence up when the watchdog has, also a fence that is asked afterwards; the range stays unusable', () => {
    const { m, e, owner } = threeParties();
    const write = dmaWrite(m, e, 'sent');
    const reset = m.startPrepare(REMOTE);
    expect(reset.reply).toBeUndefined();
    // The deadline can only pass now, and the abort asks a fence of a peer that is known to be silent.
    m.silence(owner);
    expect(write.reply).toMatchObject({ outcome: 'indeterminate' });
    expect(owner.calls.map(({ call }) => call.kind)).toEqual(['memory-write', 'memory-fence']);
    expect(reset.reply).toMatchObject({ kind: 'reset-prepare', indeterminate: 1, indeterminateRanges: [{ address: OWNED, bytes: 4 }] });
    expect(m.call('ledger', { kind: 'ledger', bdf: REMOTE }).entries).toMatchObject([{ point: 'indeterminate' }]);
    const unmap = m.startUnmap(REMOTE, IOVA);
    expect(unmap.reply).toBeUndefined();
    for (const { token } of owner.calls) m.answer(owner, token, { kind: 'ok' });
    expect(unmap.reply).toMatchObject({ kind: 'unmap', bytes: 4096n });
  });
});

describe('a write whose owner fell silent, from before', () => {
  /** Its first window is over; the write is still indeterminate. */
  function unanswered(): { m: CoreMachine; owner: TestPeer } {
    const { m, e, owner } = threeParties();
    dmaWrite(m, e, 'sent');
    m.startPrepare(REMOTE);
    m.silence(owner);
    m.done(REMOTE);
    expect(m.call('ledger', { kind: 'ledger', bdf: REMOTE }).entries).toMatchObject([{ point: 'indeterminate' }]);
    return { m, owner };
  }

  it.each(['abort', 'fail'] as const)('holds up no later window (%s), and is not counted as drained', (onDeadline) => {
    const { m } = unanswered();
    expect(m.startPrepare(REMOTE, 'second', { onDeadline }).reply).toMatchObject({ kind: 'reset-prepare', drained: 0, indeterminate: 0 });
    m.done(REMOTE, 'second');
    expect(m.group(REMOTE).busy).toBe(false);
  });

  it('holds up no reset', () => {
    const { m } = unanswered();
    const reset = m.reset(REMOTE);
    // The emulator has its reset to answer; the window in front of it is open.
    expect(m.info(REMOTE).blocked).toBe(true);
    expect(reset.reply).toBeUndefined();
  });

  it('nor where the emulator has gone first', () => {
    const { m, e, owner } = threeParties();
    dmaWrite(m, e, 'sent');
    m.detachPeer(e);
    m.silence(owner);
    expect(m.startPrepare(REMOTE).reply).toMatchObject({ kind: 'reset-prepare' });
  });

  it('is awaited again when its owner has come back', () => {
    const { m, owner } = unanswered();
    const host = m.start({ kind: 'memory-read', address: OWNED, bytes: 1 });
    m.answer(owner, owner.calls.at(-1)!.token, { kind: 'data', data: new Uint8Array(1) });
    expect(host.reply).toMatchObject({ kind: 'memory-read' });
    const prepare = m.startPrepare(REMOTE, 'second', { deadlineMs: 1000 });
    expect(prepare.reply).toBeUndefined();
    for (const { token } of owner.calls.slice(0, 2)) m.answer(owner, token, { kind: 'ok' });
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare' });
  });
});

describe('a DMA that waits for memory which another peer owns', () => {
  it('the write is sent, performed when the owner answers, and only then replied to', () => {
    const { m, e, owner } = threeParties();
    const write = dmaWrite(m, e, 'hello');
    expect(write.reply).toBeUndefined();
    expect(owner.calls).toMatchObject([{ call: { kind: 'memory-write', address: OWNED, epoch: 0 } }]);
    m.answer(owner, owner.calls[0]!.token, { kind: 'ok' });
    expect(write.reply).toMatchObject({ outcome: 'performed', bytesDone: 5 });
  });

  it('a read brings the owner’s bytes', () => {
    const { m, e, owner } = threeParties();
    const read = dmaRead(m, e, 4);
    m.answer(owner, owner.calls[0]!.token, { kind: 'data', data: Uint8Array.of(1, 2, 3, 4) });
    expect(read.reply).toMatchObject({ outcome: 'performed', data: Uint8Array.of(1, 2, 3, 4) });
  });

  it('an answer of the wrong size fails the request; one to a call that was not made is EPROTO, and the request goes on waiting', () => {
    const { m, e, owner } = threeParties();
    const read = dmaRead(m, e, 4);
    const { token } = owner.calls[0]!;
    expect(() => m.answer(owner, token + 1, { kind: 'ok' })).toThrow(/not outstanding/);
    expect(() => m.answer(e, token, { kind: 'ok' })).toThrow(/not outstanding/);
    expect(read.reply).toBeUndefined();
    m.answer(owner, token, { kind: 'data', data: new Uint8Array(3) });
    expect(read.reply).toMatchObject({ outcome: 'completer-abort', bytesDone: 0 });
    expect(() => m.answer(owner, token, { kind: 'data', data: new Uint8Array(4) })).toThrow(/not outstanding/);
  });

  it('no more than the owner’s depth is outstanding, and the rest follows in order', () => {
    const { m, e, owner } = threeParties();
    const write = dmaWrite(m, e, 'z'.repeat(256 * 6));
    expect(owner.calls).toHaveLength(4);
    for (let i = 0; i < 6; i++) m.answer(owner, owner.calls[i]!.token, { kind: 'ok' });
    expect(owner.calls.map(({ call }) => (call.kind === 'memory-write' ? call.address - OWNED : -1n))).toEqual([
      0n,
      256n,
      512n,
      768n,
      1024n,
      1280n,
    ]);
    expect(write.reply).toMatchObject({ outcome: 'performed', requests: 6 });
  });
});

describe('reset while the owner owes an answer', () => {
  it('the clock does not pass, so the drain’s deadline does not come; a host may force it', () => {
    const { m, e } = threeParties('manual');
    dmaWrite(m, e, 'late');
    const prepare = m.startPrepare(REMOTE, 'w', { deadlineMs: 10 });
    m.advance(10);
    expect(prepare.reply).toBeUndefined();
    m.advance(10, true);
    expect(m.call('ledger', { kind: 'ledger', bdf: REMOTE }).entries).toMatchObject([{ point: 'indeterminate' }]);
  });

  it('abort: the late answer is dropped by epoch, the fence is awaited, and the function goes on after the reset', () => {
    const { m, e, owner } = threeParties();
    const write = dmaWrite(m, e, 'late');
    const prepare = m.startPrepare(REMOTE, 'w', { deadlineMs: 0 });
    expect(write.reply).toMatchObject({ outcome: 'indeterminate', bytesDone: 0 });
    expect(prepare.reply).toBeUndefined();
    expect(owner.calls[1]).toMatchObject({ call: { kind: 'memory-fence', address: OWNED, bytes: 4096n, epoch: 1 } });

    m.answer(owner, owner.calls[0]!.token, { kind: 'ok' });
    expect(m.traced('late-answer')).toMatchObject([{ c: 0, d: 1 }]);
    expect(prepare.reply).toBeUndefined();

    m.answer(owner, owner.calls[1]!.token, { kind: 'ok' });
    expect(prepare.reply).toMatchObject({ indeterminate: 1, indeterminateRanges: [{ address: OWNED, bytes: 4 }], drained: 0, aborted: 0 });

    const trigger = m.start({ kind: 'reset-trigger', bdf: REMOTE, method: 'flr' });
    expect(e.calls).toMatchObject([{ call: { kind: 'device-reset', bdf: REMOTE, method: 'flr' } }]);
    expect(trigger.reply).toBeUndefined();
    expect(m.machine.nowNs).toBe(0);
    m.answer(e, e.calls[0]!.token, { kind: 'ok' });
    expect(trigger.reply).toMatchObject({ kind: 'ok', elapsedNs: 100 * MS });
    m.done(REMOTE);
    m.call('ok', { kind: 'region-write', bdf: REMOTE, region: 7, offset: 4, bytes: 2, valueLow: 6, valueHigh: 0 });

    const again = dmaWrite(m, e, 'again');
    m.answer(owner, owner.calls.at(-1)!.token, { kind: 'ok' });
    expect(again.reply).toMatchObject({ outcome: 'performed' });
  });

  it('abort: a read that was sent is forgotten, and its late data goes nowhere', () => {
    const { m, e, owner } = threeParties();
    const read = dmaRead(m, e, 4);
    expect(m.startPrepare(REMOTE, 'w', { deadlineMs: 0 }).reply).toMatchObject({ aborted: 1, indeterminate: 0 });
    expect(read.reply).toMatchObject({ outcome: 'aborted', bytesDone: 0 });
    m.answer(owner, owner.calls[0]!.token, { kind: 'data', data: Uint8Array.of(9, 9, 9, 9) });
    expect(m.traced('late-answer')).toHaveLength(1);
  });

  it('abort: writes that had no credit yet are dropped, not indeterminate', () => {
    const { m, e } = threeParties();
    dmaWrite(m, e, 'z'.repeat(256 * 6));
    m.startPrepare(REMOTE, 'w', { deadlineMs: 0 });
    const { entries } = m.call('ledger', { kind: 'ledger', bdf: REMOTE });
    expect(entries.map((entry) => entry.point)).toEqual(['indeterminate', 'indeterminate', 'indeterminate', 'indeterminate']);
  });

  it('an owner that is gone needs no fence', () => {
    const { m, e, owner } = threeParties();
    dmaWrite(m, e, 'late');
    const prepare = m.startPrepare(REMOTE, 'w', { deadlineMs: 0 });
    m.detachPeer(owner);
    expect(prepare.reply).toMatchObject({ indeterminate: 1 });
    expect(m.call('ledger', { kind: 'ledger', bdf: REMOTE }).entries).toEqual([]);
  });

  it('a silent owner lets prepare go on; the range stays listed until it answers', () => {
    const { m, e, owner } = threeParties();
    dmaWrite(m, e, 'late');
    const prepare = m.startPrepare(REMOTE, 'w', { deadlineMs: 0 });
    m.silence(owner);
    expect(prepare.reply).toMatchObject({ indeterminate: 1 });
    expect(m.call('ledger', { kind: 'ledger', bdf: REMOTE }).entries).toMatchObject([
      { point: 'indeterminate', waitsFor: expect.stringContaining('fence') as string },
    ]);
    const unmap = m.startUnmap(REMOTE, IOVA);
    expect(unmap.reply).toBeUndefined();
    for (const { token } of owner.calls) m.answer(owner, token, { kind: 'ok' });
    expect(unmap.reply).toMatchObject({ kind: 'unmap', bytes: 4096n });
    expect(m.call('ledger', { kind: 'ledger', bdf: REMOTE }).entries).toEqual([]);
  });

  it('an owner that is gone makes a read err and leaves a write indeterminate', () => {
    const { m, e, owner } = threeParties();
    const [read, write] = [dmaRead(m, e, 4), dmaWrite(m, e, 'late')];
    m.detachPeer(owner);
    expect(read.reply).toMatchObject({ outcome: 'completer-abort', absentOwner: owner.id });
    expect(write.reply).toMatchObject({ outcome: 'indeterminate', absentOwner: owner.id });
  });

  it('an emulator that is gone leaves its function absent and blocked by its window', () => {
    const { m, e } = threeParties();
    m.startPrepare(REMOTE);
    m.detachPeer(e);
    expect(m.info(REMOTE)).toMatchObject({ absent: true, blocked: true });
    const next = m.attachPeer({ device: true });
    expect(m.start({ kind: 'device-claim', bdf: REMOTE }, next.id).reply).toMatchObject({ kind: 'device-claim' });
    expect(dmaWrite(m, next, 'x').reply).toMatchObject({ outcome: 'gate-closed' });
    expect(() => dmaWrite(m, e, 'x')).toThrow(/not claimed/);
  });

  it('a peer that answers its reset early does not make the function ready early', () => {
    const { m, e } = threeParties('manual');
    m.start({ kind: 'reset-trigger', bdf: REMOTE, method: 'flr' });
    m.answer(e, e.calls[0]!.token, { kind: 'ok' });
    const vendor = () => m.call('region-read', { kind: 'region-read', bdf: REMOTE, region: 7, offset: 0, bytes: 4 }).valueLow;
    expect(vendor()).toBe(0xffff_ffff);
    m.advance(100);
    expect(vendor()).not.toBe(0xffff_ffff);
  });

  it('an FLR without a window: posted writes land, completions are discarded', () => {
    const { m, e, owner } = threeParties('manual');
    const [write, read] = [dmaWrite(m, e, 'lands'), dmaRead(m, e, 4)];
    m.start({ kind: 'reset-trigger', bdf: REMOTE, method: 'flr' });
    expect(read.reply).toMatchObject({ outcome: 'aborted' });
    expect(write.reply).toBeUndefined();
    m.answer(owner, owner.calls[0]!.token, { kind: 'ok' });
    expect(write.reply).toMatchObject({ outcome: 'performed' });
  });
});
