/** Invariants 16, 36 and 38 where a function completes several Invalidate Requests by one message (PCIe §10.3.2: an ITag vector with several bits set). */
import { describe, expect, it } from 'vitest';
import { CoreMachine, FIRST, PROBE, SECOND, SIBLINGS, type Pending } from '../kit/core-machine.ts';

const IOVA = 0x10_0000;
const TOGETHER = 'coalesced-completions';

function withPages(m: CoreMachine, at: typeof PROBE, pages: number): void {
  for (let i = 0; i < pages; i++) {
    m.map(at, IOVA + i * 0x1000, m.allocPage());
    expect(m.outcome(at, IOVA + i * 0x1000, 'x', { translated: true })).toBe('performed');
  }
}
function unmaps(m: CoreMachine, at: typeof PROBE, pages: number): readonly Pending[] {
  return Array.from({ length: pages }, (_, i) => m.startUnmap(at, IOVA + i * 0x1000));
}
/** Messages of the function's ATC: performed requests without bytes. */
function messages(m: CoreMachine, at: typeof PROBE): number {
  return m.traced('dma-performed', at).filter((record) => record.d === 0).length;
}
function done(calls: readonly Pending[]): number {
  return calls.filter((call) => call.reply !== undefined).length;
}

describe('one message for several Invalidate Requests', () => {
  it('completes each of them, when the last has come', () => {
    const m = new CoreMachine({ clock: 'manual' });
    withPages(m, PROBE, 4);
    m.arm(PROBE, TOGETHER, { count: 3 });
    const first = unmaps(m, PROBE, 2);
    expect([done(first), m.info(PROBE).itags, messages(m, PROBE)]).toEqual([0, 2, 0]);
    const third = m.startUnmap(PROBE, IOVA + 0x2000);
    expect([done([...first, third]), m.info(PROBE).itags, messages(m, PROBE)]).toEqual([3, 0, 1]);
    for (const call of [...first, third]) expect(call.reply).toMatchObject({ bytes: 4096n, timedOut: 0 });
    // The next one is answered alone.
    expect([done([m.startUnmap(PROBE, IOVA + 0x3000)]), messages(m, PROBE)]).toEqual([1, 2]);
  });

  it('goes after a time where fewer come, and at once when the fault is disarmed', () => {
    const m = new CoreMachine({ clock: 'manual' });
    withPages(m, PROBE, 40);
    m.arm(PROBE, TOGETHER, { count: 0, delayMs: 100 });
    const calls = unmaps(m, PROBE, 40);
    m.advance(99);
    expect([done(calls), messages(m, PROBE)]).toEqual([0, 0]);
    m.advance(1);
    expect([done(calls), messages(m, PROBE)]).toEqual([32, 1]);
    m.call('ok', { kind: 'fault-disarm', bdf: PROBE, fault: TOGETHER });
    expect([done(calls), messages(m, PROBE)]).toEqual([40, 2]);
    m.advance(2000);
    expect(m.traced('invalidation-late')).toEqual([]);
  });

  it('without end and without a time is no such thing', () => {
    const m = new CoreMachine();
    expect(() => m.arm(PROBE, TOGETHER, { count: 0 })).toThrow(/need a delay/);
  });

  it('stands behind the writes that were issued before it, and not before those that were issued while it was gathered', () => {
    const m = new CoreMachine({ clock: 'manual' });
    withPages(m, PROBE, 3);
    m.arm(PROBE, TOGETHER, { count: 2 });
    const first = m.startUnmap(PROBE, IOVA);
    const write = m.write(PROBE, IOVA + 0x2000, 'y', { hold: 'translated' });
    const second = m.startUnmap(PROBE, IOVA + 0x1000);
    expect([write.reply, first.reply, second.reply]).toEqual([undefined, undefined, undefined]);
    m.release(PROBE);
    expect([first, second].map((call) => call.reply)).toMatchObject([{ timedOut: 0 }, { timedOut: 0 }]);
  });

  it('38 loses no completion of another function, and takes none from it', () => {
    const m = new CoreMachine({ clock: 'manual', functions: SIBLINGS });
    withPages(m, FIRST, 3);
    for (let i = 0; i < 3; i++) expect(m.outcome(SECOND, IOVA + i * 0x1000, 'x', { translated: true })).toBe('performed');
    m.arm(FIRST, TOGETHER, { count: 3 });
    m.arm(SECOND, 'late-invalidations', { first: 2, delayMs: 500 });
    const calls = unmaps(m, FIRST, 3);
    const completed = (at: typeof PROBE): readonly number[] => m.traced('invalidation-completed', at).map((record) => record.b);
    // The same tags are in use by both; what completes those of one leaves those of the other.
    expect([completed(FIRST), completed(SECOND), done(calls)]).toEqual([[0, 1, 2], [0], 1]);
    expect([m.info(FIRST).itags, m.info(SECOND).itags]).toEqual([0, 2]);
    m.advance(500);
    // Tag 0 was free again when the third request went out.
    expect([completed(SECOND), done(calls)]).toEqual([[0, 0, 1], 3]);
    for (const call of calls) expect(call.reply).toMatchObject({ timedOut: 0 });
    expect(m.traced('invalidation-late')).toEqual([]);
  });

  it('38 loses nothing of a function that timed out meanwhile', () => {
    const m = new CoreMachine({ clock: 'manual', functions: SIBLINGS });
    withPages(m, FIRST, 2);
    for (let i = 0; i < 2; i++) m.outcome(SECOND, IOVA + i * 0x1000, 'x', { translated: true });
    m.arm(FIRST, 'ignore-invalidations', { count: 2 });
    m.arm(SECOND, TOGETHER, { count: 2, delayMs: 900 });
    const lost = m.startUnmap(FIRST, IOVA);
    m.advance(500);
    const late = m.startUnmap(FIRST, IOVA + 0x1000);
    expect(m.traced('invalidation-completed', SECOND).map((record) => record.b)).toEqual([0, 1]);
    m.advance(1000);
    expect([lost.reply, late.reply]).toMatchObject([{ timedOut: 1 }, { timedOut: 1 }]);
    expect(m.traced('invalidation-timeout').map((record) => record.a)).toEqual([FIRST, FIRST]);
  });

  it('36 pays for the request that timed out, and completes the one that did not', () => {
    const m = new CoreMachine({ clock: 'manual' });
    withPages(m, PROBE, 2);
    m.arm(PROBE, TOGETHER, { count: 2 });
    const first = m.startUnmap(PROBE, IOVA);
    m.advance(1000);
    expect(first.reply).toMatchObject({ timedOut: 1 });
    expect(m.startUnmap(PROBE, IOVA + 0x1000).reply).toMatchObject({ timedOut: 0 });
    expect(m.traced('invalidation-late', PROBE).map((record) => record.b)).toEqual([0]);
    expect(m.traced('invalidation-completed', PROBE).map((record) => record.b)).toEqual([1]);
  });

  it('16 is awaited by prepare, as the requests that it completes', () => {
    const m = new CoreMachine({ clock: 'manual' });
    withPages(m, PROBE, 2);
    m.arm(PROBE, TOGETHER, { count: 5, delayMs: 300 });
    const calls = unmaps(m, PROBE, 2);
    const prepare = m.startPrepare(PROBE, 'w', { deadlineMs: 500 });
    m.advance(299);
    expect([done(calls), prepare.reply]).toEqual([0, undefined]);
    m.advance(1);
    expect([done(calls), messages(m, PROBE)]).toEqual([2, 1]);
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare', completed: 3, timedOut: 0 });
  });

  it('36 is forgotten in a reset of the function, whose requests time out', () => {
    const m = new CoreMachine({ clock: 'manual' });
    withPages(m, PROBE, 2);
    m.arm(PROBE, TOGETHER, { count: 2, delayMs: 300 });
    const unmap = m.startUnmap(PROBE, IOVA);
    m.start({ kind: 'reset-trigger', bdf: PROBE, method: 'flr' });
    m.advance(999);
    expect([unmap.reply, m.info(PROBE).itags]).toEqual([undefined, 1]);
    m.advance(1);
    expect(unmap.reply).toMatchObject({ timedOut: 1 });
    expect([m.info(PROBE).itags, m.traced('invalidation-late').length]).toEqual([0, 0]);
  });
});
