/** Invariants 29, 30, 33, 34 and 39: pci_reset_function() round the window, and what a failed reset leaves. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, MS, PROBE } from '../kit/core-machine.ts';

const IOVA = 0x1_0000;
const COMMAND = 4;
const BUS_MASTER = 4;
const BOTH = ['strict', 'linux-7.1'] as const;

function mapped(options: ConstructorParameters<typeof CoreMachine>[0] = {}): CoreMachine {
  const m = new CoreMachine(options);
  m.map(PROBE, IOVA, m.allocPage());
  return m;
}

function command(m: CoreMachine): number {
  return m.call('region-read', { kind: 'region-read', bdf: PROBE, region: 7, offset: COMMAND, bytes: 2 }).valueLow;
}

describe('29 to 34 the sequence', () => {
  it('29 a prepare that fails: no trigger, the state restored, the error reported', () => {
    const m = mapped();
    const before = command(m);
    m.write(PROBE, IOVA, 'held', { hold: 'translated' });
    const reset = m.start({ kind: 'reset', bdf: PROBE, method: 'flr', window: true, deadlineNs: 5 * MS, onDeadline: 'fail' });
    expect(reset.reply).toMatchObject({ kind: 'refused', code: 'ETIMEDOUT' });
    expect(m.traced('function-reset')).toHaveLength(0);
    expect(command(m)).toBe(before);
    m.release(PROBE);
    expect(m.outcome(PROBE, IOVA)).toBe('performed');
  });

  it('30 pending wait, prepare, trigger, readiness, done: in this order', () => {
    const m = mapped();
    m.write(PROBE, IOVA, '', { operation: 'read', bytes: 8, data: undefined, hold: 'translated' });
    const reset = m.reset(PROBE);
    expect(reset.reply).toMatchObject({ kind: 'reset', pendingTimedOut: true, aborted: 1 });
    const order = m.trace
      .filter((record) => ['drained', 'function-reset', 'function-ready', 'done'].includes(record.kind))
      .map((record) => [record.kind, record.timeNs / MS]);
    // The pending wait takes 100 + 200 + 400 ms, the drain its deadline.
    expect(order).toEqual([
      ['drained', 710],
      ['function-reset', 710],
      ['function-ready', 810],
      ['done', 810],
    ]);
  });

  it('30 the pending wait sees reads, and no posted writes', () => {
    const m = mapped();
    m.write(PROBE, IOVA, 'held', { hold: 'translated' });
    expect(m.reset(PROBE).reply).toMatchObject({ pendingTimedOut: false, elapsedNs: (10 + 100) * MS });
  });

  it.each(BOTH)('33 %s: bus mastering is off from save until restore: no DMA between done and restore', (behaviour) => {
    const m = mapped({ behaviour, clock: 'manual' });
    expect(command(m) & BUS_MASTER).toBe(BUS_MASTER);
    // A read that the switch holds keeps the reset in its pending wait, before there is a window.
    m.write(PROBE, IOVA, '', { operation: 'read', bytes: 8, data: undefined, hold: 'translated' });
    const reset = m.reset(PROBE);
    m.advance(50);
    expect(m.traced('function-reset')).toHaveLength(0);
    expect(command(m) & BUS_MASTER).toBe(0);
    expect(m.outcome(PROBE, IOVA)).toBe('gate-closed');
    m.release(PROBE);
    m.advance(100);
    expect(m.traced('function-reset')).toHaveLength(1);
    expect(m.outcome(PROBE, IOVA)).toBe('gate-closed');
    m.advance(50);
    m.advance(50);
    expect(reset.reply).toMatchObject({ kind: 'reset' });
    expect(command(m) & BUS_MASTER).toBe(BUS_MASTER);
    expect(m.outcome(PROBE, IOVA)).toBe('performed');
  });

  it.each(BOTH)('34 %s: readiness polls double; never ready is ENOTTY past 60 s', (behaviour) => {
    const m = mapped({ behaviour });
    m.arm(PROBE, 'never-ready', { count: 0 });
    const { reply } = m.reset(PROBE);
    // 100 ms of FLR, then 1 + 2 + … + 32768 ms, and the poll at 65536 is not made.
    expect(reply).toMatchObject({ kind: 'refused', code: 'ENOTTY', elapsedNs: (100 + 65_535) * MS });
    expect(m.logs().some((line) => line.includes('not ready 65535 ms'))).toBe(true);
  });

  it('39 strict: after a failed reset the function stays blocked until one succeeds', () => {
    const m = mapped();
    m.arm(PROBE, 'never-ready', { count: 0 });
    m.reset(PROBE);
    expect(m.info(PROBE)).toMatchObject({ blocked: true, resetDepth: 0 });
    expect(m.group(PROBE).recoveryCount).toBe(0);
    m.call('ok', { kind: 'fault-disarm', bdf: PROBE, fault: 'never-ready' });
    expect(m.outcome(PROBE, IOVA)).not.toBe('performed');
    expect(m.reset(PROBE).reply).toMatchObject({ kind: 'reset' });
    expect(m.info(PROBE)).toMatchObject({ blocked: false });
  });

  it('39 strict: it ends too where the owner releases the group, which does not end it, resets the function, and claims it anew', () => {
    const m = mapped();
    const domain = m.allocDomain();
    m.map({ domain }, IOVA, m.allocPage());
    m.call('ok', { kind: 'owner-claim', bdf: PROBE });
    m.call('ok', m.attach(PROBE, domain));
    m.arm(PROBE, 'never-ready');
    m.reset(PROBE);
    m.call('ok', { kind: 'fault-disarm', bdf: PROBE, fault: 'never-ready' });
    const isBlocked = { blocked: true, physicalDomain: { type: 'blocked' }, gate: 'closed' };
    expect(m.info(PROBE)).toMatchObject({ ...isBlocked, logicalDomain: { id: domain } });
    m.call('ok', { kind: 'owner-release', bdf: PROBE });
    expect(m.info(PROBE)).toMatchObject({ ...isBlocked, logicalDomain: m.group(PROBE).defaultDomain });
    expect(m.reset(PROBE).reply).toMatchObject({ kind: 'reset' });
    expect(m.info(PROBE)).toMatchObject({ blocked: false, physicalDomain: m.group(PROBE).defaultDomain });
    m.call('ok', { kind: 'owner-claim', bdf: PROBE });
    m.call('ok', m.attach(PROBE, domain));
    // Nothing could be restored after the reset that failed.
    m.call('ok', { kind: 'region-write', bdf: PROBE, region: 7, offset: COMMAND, bytes: 2, valueLow: 2 | BUS_MASTER, valueHigh: 0 });
    expect(m.outcome(PROBE, IOVA)).toBe('performed');
    expect(m.outcome(PROBE, IOVA, 'y', { translated: true })).toBe('performed');
  });

  it.each(['claim', 'attach', 'detach', 'window'] as const)('39 strict: a %s does not end it', (what) => {
    const m = mapped();
    m.arm(PROBE, 'never-ready');
    m.reset(PROBE);
    m.call('ok', { kind: 'fault-disarm', bdf: PROBE, fault: 'never-ready' });
    if (what === 'claim') m.start({ kind: 'owner-claim', bdf: PROBE });
    else if (what === 'attach') m.start(m.attach(PROBE, m.allocDomain()));
    else if (what === 'detach') m.start({ kind: 'domain-detach', bdf: PROBE });
    else m.prepare(PROBE);
    if (what === 'window') m.done(PROBE);
    expect(m.info(PROBE)).toMatchObject({ blocked: true, resetDepth: 0, physicalDomain: { type: 'blocked' }, gate: 'closed' });
    for (const fields of [{}, { translated: true }]) expect(m.outcome(PROBE, IOVA, 'x', fields)).not.toBe('performed');
  });

  it('39 linux-7.1 gives translation back although the reset failed', () => {
    const m = mapped({ behaviour: 'linux-7.1' });
    m.arm(PROBE, 'never-ready', { count: 0 });
    m.reset(PROBE);
    expect(m.info(PROBE)).toMatchObject({ blocked: false, physicalDomain: { type: 'paging' } });
  });

  it('a method that the function does not announce is ENOTTY, and nothing happens', () => {
    const m = mapped();
    const before = command(m);
    expect(m.start({ kind: 'reset', bdf: PROBE, method: 'pm', window: true, deadlineNs: 0, onDeadline: 'abort' }).reply).toMatchObject({
      code: 'ENOTTY',
    });
    expect(command(m)).toBe(before);
    expect(m.traced('prepare')).toHaveLength(0);
  });

  it('two resets of one function run one after the other', () => {
    const m = mapped({ clock: 'manual' });
    const [first, second] = [m.reset(PROBE), m.reset(PROBE)];
    m.advance(100);
    expect([first.reply?.kind, second.reply?.kind]).toEqual(['reset', undefined]);
    m.advance(100);
    expect(second.reply).toMatchObject({ kind: 'reset' });
    expect(m.traced('function-reset')).toHaveLength(2);
  });
});
