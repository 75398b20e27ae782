/** Functions that are taken out: nothing that names them waits for ever, and nothing of them stays behind. */
import { describe, expect, it } from 'vitest';
import type { Behaviour } from '../../../../server/src/core/machine/index.ts';
import {
  BELOW,
  CoreMachine,
  FIRST,
  INVALIDATION_TIMEOUT_MS,
  MS,
  PORT,
  PROBE,
  REMOTE,
  SECOND,
  SIBLINGS,
  port,
  probe,
  remote,
} from '../../../kit/core-machine.ts';

const BEHAVIOURS = ['strict', 'linux-7.1'] as const;
const IOVA = 0x4000;

/** A probe that has written a page: its ATC knows it where `translated`. */
function working(
  behaviour: Behaviour = 'strict',
  more: ConstructorParameters<typeof CoreMachine>[0] = {},
): { m: CoreMachine; page: bigint } {
  const m = new CoreMachine({ behaviour, ...more });
  const page = m.allocPage();
  m.map(PROBE, IOVA, page);
  expect(m.outcome(PROBE, IOVA, 'before', { translated: true })).toBe('performed');
  return { m, page };
}

// long: a suite
describe.each(BEHAVIOURS)('function-unplug in %s', (behaviour) => {
  it('takes the function out: it is not listed, and calls that name it are ENODEV', () => {
    const { m } = working(behaviour, { functions: [probe(PROBE), ...SIBLINGS] });
    expect(m.unplug(PROBE).reply).toMatchObject({ kind: 'function-unplug', functions: [PROBE], aborted: 0, timedOut: 0 });
    const { functions } = m.call('function-list', { kind: 'function-list' });
    expect(functions.map(({ bdf }) => bdf)).toEqual([FIRST, SECOND]);
    expect(() => m.info(PROBE)).toThrow('no function at 00:02.0');
    expect(() => m.unplug(PROBE)).toThrow('no function at 00:02.0');
    expect(m.events.at(-1)).toMatchObject({ kind: 'hotplug', bdf: PROBE, present: false, reason: 'unplugged' });
  });

  it('in order: what is in flight may end until the deadline, and what has not ended then is dropped', () => {
    const { m, page } = working(behaviour, { clock: 'manual' });
    const soon = m.write(PROBE, IOVA, 'soon', { hold: 'issued', holdNs: 2 * MS });
    const never = m.write(PROBE, IOVA + 16, 'never', { hold: 'issued' });
    const gone = m.unplug(PROBE, { deadlineMs: 5 });
    expect(m.outcome(PROBE, IOVA)).toBe('gate-closed');
    m.advance(4);
    expect([soon.reply?.kind, gone.reply]).toEqual(['dma', undefined]);
    m.advance(1);
    expect(gone.reply).toMatchObject({ kind: 'function-unplug', drained: 1, aborted: 1 });
    expect(soon.reply).toMatchObject({ kind: 'dma', outcome: 'performed' });
    expect(never.reply).toMatchObject({ kind: 'dma', outcome: 'aborted' });
    expect(m.text(page, 4)).toBe('soon');
  });

  it('pulled out: what is in flight is lost, accesses that wait end in all ones', () => {
    const { m, page } = working(behaviour);
    const write = m.write(PROBE, IOVA, 'lost', { hold: 'translated' });
    const read = m.start({ kind: 'region-read', bdf: PROBE, region: 0, offset: 0, bytes: 4 });
    expect(read.reply).toBeUndefined();
    const gone = m.unplug(PROBE, { surprise: true, deadlineMs: 5 });
    expect(gone.reply).toMatchObject({ kind: 'function-unplug', drained: 0, aborted: 1 });
    expect(write.reply).toMatchObject({ kind: 'dma', outcome: 'aborted' });
    expect(read.reply).toMatchObject({ kind: 'region-read', valueLow: 0xffff_ffff });
    expect(m.text(page, 6)).toBe('before');
  });

  it('49: every pending page request of it is answered Invalid', () => {
    const m = new CoreMachine({ behaviour });
    m.call('ok', m.attach(PROBE, m.allocFaultDomain()));
    const asked = m.requestPages(PROBE, { iova: 0x9000, group: 3 });
    expect(m.pageFaults()).toHaveLength(1);
    m.unplug(PROBE);
    expect(asked.reply).toMatchObject({ kind: 'page-request', answer: 'invalid' });
    expect(m.call('page-faults', { kind: 'page-faults' }).faults).toEqual([]);
    expect(m.respond(1, 'success').reply).toMatchObject({ kind: 'refused', code: 'EINVAL' });
  });

  it('a window of it is closed with it, and its group counts it no more (7)', () => {
    const m = new CoreMachine({ behaviour, functions: SIBLINGS });
    m.prepare(FIRST);
    expect(m.group(SECOND).recoveryCount).toBe(1);
    m.unplug(FIRST);
    expect(m.group(SECOND)).toMatchObject({ members: [SECOND], recoveryCount: 0, busy: false });
    expect(m.events.filter((event) => event.kind === 'window').at(-1)).toMatchObject({ bdf: FIRST, open: false, depth: 0 });
    m.call('ok', m.attach(SECOND, m.allocDomain()));
  });

  it('waits for the group mutex; calls that stand in line for the function are refused, those of its sibling go on', () => {
    const m = new CoreMachine({ behaviour, functions: SIBLINGS });
    const hold = m.call('call-hold', { kind: 'call-hold', call: 'attach', step: 'group-domain', bdf: SECOND, count: 1 }).hold;
    const domain = m.allocDomain();
    const held = m.start(m.attach(SECOND, domain));
    const gone = m.unplug(FIRST);
    const prepare = m.startPrepare(FIRST);
    const attach = m.start(m.attach(FIRST, domain));
    const sibling = m.startPrepare(SECOND);
    expect([held, gone, prepare, attach, sibling].map(({ reply }) => reply)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    m.call('ok', { kind: 'call-release', hold, stopped: 0, keep: false });
    expect(held.reply).toMatchObject({ kind: 'ok' });
    expect(gone.reply).toMatchObject({ kind: 'function-unplug' });
    expect(prepare.reply).toMatchObject({ kind: 'refused', code: 'ENODEV' });
    expect(attach.reply).toMatchObject({ kind: 'refused', code: 'ENODEV' });
    expect(sibling.reply).toMatchObject({ kind: 'reset-prepare' });
  });

  it('waits for a reset of it; resets that stand in line are refused', () => {
    const m = new CoreMachine({ behaviour, clock: 'manual' });
    const first = m.reset(PROBE);
    const second = m.reset(PROBE);
    const gone = m.unplug(PROBE);
    expect(gone.reply).toBeUndefined();
    m.advance(200);
    expect(first.reply).toMatchObject({ kind: 'reset' });
    expect(gone.reply).toMatchObject({ kind: 'function-unplug' });
    expect(second.reply).toMatchObject({ kind: 'refused', code: 'ENODEV' });
  });

  it('a second one of the same function is EBUSY while the first waits', () => {
    const m = new CoreMachine({ behaviour });
    const held = m.write(PROBE, IOVA, 'x', { hold: 'issued' });
    const first = m.call('call-hold', { kind: 'call-hold', call: 'leave', step: 'unlock', bdf: PROBE, count: 1 }).hold;
    const gone = m.unplug(PROBE);
    expect(m.unplug(PROBE).reply).toMatchObject({ kind: 'refused', code: 'EBUSY' });
    m.call('ok', { kind: 'call-release', hold: first, stopped: 0, keep: false });
    expect(gone.reply).toMatchObject({ kind: 'function-unplug' });
    expect(held.reply).toMatchObject({ kind: 'dma' });
  });

  it('of a root port takes what is below it, and the port stays; the last member takes its group along', () => {
    const m = new CoreMachine({
      behaviour,
      functions: [port(), probe(BELOW, { multiFunction: true }), probe((BELOW + 1) as typeof BELOW, { multiFunction: true })],
    });
    const before = m.machine.inspect().functions.map(({ group }) => group.id);
    expect(new Set(before).size).toBe(2);
    expect(m.unplug(PORT).reply).toMatchObject({ kind: 'function-unplug', functions: [BELOW, BELOW + 1] });
    expect(m.machine.inspect().functions.map(({ bdf }) => bdf)).toEqual([PORT]);
    expect(() => m.unplug(PORT)).toThrow('nothing below');
  });

  it('domains of hosts stay, those of its group are gone: a domain that was attached can be freed', () => {
    const { m } = working(behaviour);
    const domain = m.allocDomain();
    m.call('ok', m.attach(PROBE, domain));
    m.call('ok', m.attachPasid(PROBE, 5, domain));
    expect(m.call('refused', { kind: 'domain-free', domain }).code).toBe('EBUSY');
    m.unplug(PROBE);
    m.call('ok', { kind: 'domain-free', domain });
  });

  it("what a remote function's peer plays is released: its accesses are refused", () => {
    const m = new CoreMachine({ behaviour, functions: [remote(REMOTE)] });
    const peer = m.attachPeer({ device: true });
    m.call('device-claim', { kind: 'device-claim', bdf: REMOTE }, peer.id);
    const read = m.start({ kind: 'region-read', bdf: REMOTE, region: 0, offset: 0, bytes: 8 });
    expect(read.reply).toBeUndefined();
    const gone = m.unplug(REMOTE, { surprise: true });
    expect(read.reply).toMatchObject({ kind: 'region-read', valueLow: 0xffff_ffff, valueHigh: -1 });
    // Linux awaits its Invalidate Completion until time is up, and time passes when the peer owes nothing.
    if (behaviour === 'strict') expect(gone.reply).toMatchObject({ kind: 'function-unplug' });
    m.answer(peer, peer.calls[0]?.token ?? 0, { kind: 'value', valueLow: 1, valueHigh: 2 });
    expect(gone.reply).toMatchObject({ kind: 'function-unplug' });
    expect(() => m.start({ kind: 'dma-read', bdf: REMOTE, iovaLow: 0, iovaHigh: 0, bytes: 4, pasid: -1 as never }, peer.id)).toThrow(
      'no function',
    );
  });
});

describe('invalidations of a function that is pulled out', () => {
  const unmapped = (behaviour: Behaviour): { m: CoreMachine; unmap: ReturnType<CoreMachine['startUnmap']> } => {
    const { m } = working(behaviour, { clock: 'manual' });
    m.arm(PROBE, 'ignore-invalidations', { count: 100 });
    const unmap = m.startUnmap(PROBE, IOVA);
    expect(unmap.reply).toBeUndefined();
    return { m, unmap };
  };

  it('strict: come back as unsupported at once, which is no error (37)', () => {
    const { m, unmap } = unmapped('strict');
    expect(m.unplug(PROBE, { surprise: true }).reply).toMatchObject({ kind: 'function-unplug', timedOut: 0 });
    expect(unmap.reply).toMatchObject({ kind: 'unmap', timedOut: 0 });
    expect(m.machine.nowNs).toBe(0);
  });

  it('linux-7.1: are awaited until their time is up, and so is the whole ATC of its last move', () => {
    const { m, unmap } = unmapped('linux-7.1');
    const gone = m.unplug(PROBE, { surprise: true });
    expect([unmap.reply, gone.reply]).toEqual([undefined, undefined]);
    expect(m.vendor(PROBE)).toBe(0xffff);
    m.advance(INVALIDATION_TIMEOUT_MS - 1);
    expect([unmap.reply, gone.reply]).toEqual([undefined, undefined]);
    m.advance(1);
    expect(unmap.reply).toMatchObject({ kind: 'unmap', timedOut: 1 });
    expect(gone.reply).toMatchObject({ kind: 'function-unplug', timedOut: 2 });
  });

  it('that a host holds on their way are not delivered to a function that comes to its place', () => {
    const { m } = working('strict', { clock: 'manual' });
    const hold = m.call('call-hold', { kind: 'call-hold', call: 'invalidate', step: '', bdf: PROBE, count: 1 }).hold;
    const unmap = m.startUnmap(PROBE, IOVA);
    expect(unmap.reply).toBeUndefined();
    m.unplug(PROBE, { surprise: true });
    expect(unmap.reply).toMatchObject({ kind: 'unmap', timedOut: 0 });
    expect(m.machine.stopped()).toEqual([]);
    m.plug([probe(PROBE)]);
    m.call('ok', { kind: 'call-release', hold, stopped: 0, keep: false });
    expect(m.traced('ats-dropped', PROBE)).toEqual([]);
  });
});

// long: a suite
describe.each(BEHAVIOURS)('%s: pulled out in each phase of a reset', (behaviour) => {
  const started = (prepareHeld: boolean): { m: CoreMachine; reset: ReturnType<CoreMachine['reset']> } => {
    const { m } = working(behaviour, { clock: 'manual' });
    if (prepareHeld) m.arm(PROBE, 'ignore-invalidations', { count: 100 });
    return { m, reset: m.reset(PROBE) };
  };
  const endsGone = (m: CoreMachine, reset: ReturnType<CoreMachine['reset']>): void => {
    const gone = m.unplug(PROBE, { surprise: true });
    for (let i = 0; i < 20 && gone.reply === undefined; i++) m.advance(500);
    expect(reset.reply).toMatchObject({ kind: 'refused', code: 'ENOTTY', message: expect.stringContaining('disconnected') as string });
    expect(gone.reply).toMatchObject({ kind: 'function-unplug' });
    expect(m.machine.inspect().functions).toEqual([]);
    m.advance(200_000);
    expect(m.machine.inspect().nextAlarmNs).toBeUndefined();
  };

  it('the wait for pending transactions', () => {
    const { m } = working(behaviour, { clock: 'manual' });
    m.start({
      kind: 'model-dma',
      bdf: PROBE,
      operation: 'read',
      bytes: 4,
      data: undefined,
      iovaLow: IOVA,
      iovaHigh: 0,
      pasid: -1 as never,
      translated: false,
      hold: 'issued',
      holdNs: 0,
    });
    const reset = m.reset(PROBE);
    m.advance(50);
    expect(reset.reply).toBeUndefined();
    endsGone(m, reset);
  });

  it('prepare draining', () => {
    const { m } = working(behaviour, { clock: 'manual' });
    m.write(PROBE, IOVA, 'held', { hold: 'issued' });
    const reset = m.reset(PROBE);
    expect(reset.reply).toBeUndefined();
    endsGone(m, reset);
  });

  it('the fence awaiting invalidations', () => {
    const { m, reset } = started(true);
    expect(reset.reply).toBeUndefined();
    endsGone(m, reset);
  });

  it('the wait for readiness', () => {
    const { m, reset } = started(false);
    m.advance(50);
    expect(reset.reply).toBeUndefined();
    endsGone(m, reset);
  });

  it('done held before it restores', () => {
    const { m } = working(behaviour, { clock: 'manual' });
    m.call('call-hold', { kind: 'call-hold', call: 'done', step: 'rid', bdf: PROBE, count: 1 });
    const reset = m.reset(PROBE);
    m.advance(200);
    expect(reset.reply).toBeUndefined();
    const gone = m.unplug(PROBE, { surprise: true });
    expect(gone.reply).toBeUndefined();
    const { calls } = m.call('calls-held', { kind: 'calls-held' });
    m.call('ok', { kind: 'call-release', hold: calls[0]?.hold ?? 0, stopped: 0, keep: false });
    expect(reset.reply).toMatchObject({ kind: 'reset' });
    m.advance(INVALIDATION_TIMEOUT_MS);
    expect(gone.reply).toMatchObject({ kind: 'function-unplug' });
  });
});
