// long: a suite
/** Faults on purpose: what each does, in which occurrences and times, and that it can be seen and taken away. */
import { describe, expect, it } from 'vitest';
import { bdf, type Bdf } from '../../../../server/src/core/base/index.ts';
import type { Command, FunctionSpec } from '../../../../server/src/core/machine/index.ts';
import { bridgeConfig } from '../../../../server/src/core/pci/index.ts';
import { CoreMachine, FIRST, INVALIDATION_TIMEOUT_MS, MS, PROBE, SECOND, SIBLINGS, probe } from '../../../kit/core-machine.ts';

const IOVA = 0x1_0000;
const READ = { operation: 'read', bytes: 4, data: undefined } as const;

type Arm = Extract<Command, { kind: 'fault-arm' }>;
function arm(m: CoreMachine, at: Bdf | undefined, fault: Arm['fault'], fields: Partial<Arm> = {}): number {
  return m.call('fault-armed', armCommand(at, fault, fields)).armed;
}
function armCommand(at: Bdf | undefined, fault: Arm['fault'], fields: Partial<Arm> = {}): Command {
  return { kind: 'fault-arm', bdf: at, fault, first: 1, count: 1, point: undefined, delayNs: 0, ...fields };
}
const listed = (m: CoreMachine) => m.call('fault-list', { kind: 'fault-list' }).faults;

function mapped(options: ConstructorParameters<typeof CoreMachine>[0] = { clock: 'manual' }, at = PROBE): { m: CoreMachine; page: bigint } {
  const m = new CoreMachine(options);
  const page = m.allocPage();
  m.map(at, IOVA, page);
  return { m, page };
}
const poke = (m: CoreMachine, address: bigint, text: string) =>
  m.call('ok', { kind: 'memory-write', address, data: new TextEncoder().encode(text) });
const config = (m: CoreMachine, at: Bdf, offset = 0) =>
  m.call('region-read', { kind: 'region-read', bdf: at, region: 7, offset, bytes: 4 }).valueLow >>> 0;

describe('the list', () => {
  it('shows every fault by number with what it has done and will do, and forgets one that is over', () => {
    const { m, page } = mapped();
    const late = arm(m, PROBE, 'late-completions', { first: 2, count: 2, delayNs: MS });
    const errs = arm(m, undefined, 'memory-errors', { count: 0, range: { address: page, bytes: 16n }, error: 'poisoned' });
    expect(listed(m)).toMatchObject([
      { armed: late, fault: 'late-completions', bdf: PROBE, passes: 1, acted: 0, left: 2, delayNs: MS, inForce: true },
      { armed: errs, fault: 'memory-errors', bdf: undefined, range: { address: page, bytes: 16n }, error: 'poisoned', left: undefined },
    ]);
    m.call('ok', { kind: 'fault-disarm', armed: errs });
    m.write(PROBE, IOVA, '', READ);
    m.write(PROBE, IOVA, '', READ);
    expect(listed(m)).toMatchObject([{ armed: late, passes: 0, acted: 1, left: 1 }]);
    expect(listed(m)[0]?.text).toBe('00:02.0 late-completions by 1000000 ns: acted 1, 1 left');
    m.write(PROBE, IOVA, '', READ);
    expect(listed(m)).toEqual([]);
    expect(m.refusal({ kind: 'fault-disarm', armed: late })).toBe('ENOENT');
  });

  it.each([
    ['function', armCommand(undefined, 'hold', { point: 'issued' })],
    ['address', armCommand(undefined, 'memory-errors')],
    ['address', armCommand(PROBE, 'poisoned-data', { range: { address: 0n, bytes: 1n } })],
    ['bytes', armCommand(undefined, 'memory-stalls', { range: { address: 0n, bytes: 0n } })],
    ['bytes', armCommand(undefined, 'memory-stalls', { range: { address: 2n ** 56n - 1n, bytes: 2n } })],
    ['until_ns', armCommand(PROBE, 'late-completions', { fromNs: 5, untilNs: 5 })],
    ['until_ns', armCommand(PROBE, 'late-completions', { untilNs: 0 })],
  ])('what cannot be is EINVAL naming %s, and nothing is armed', (field, command) => {
    const { m } = mapped();
    expect(() => m.start(command)).toThrow(expect.objectContaining({ code: 'EINVAL', field }));
    expect(listed(m)).toEqual([]);
  });
});

describe('a time', () => {
  it('begins and ends the fault on the machine’s clock, occurrences before it not counted', () => {
    const { m } = mapped();
    arm(m, PROBE, 'poisoned-data', { count: 0, fromNs: 5 * MS, untilNs: 7 * MS });
    expect(m.outcome(PROBE, IOVA)).toBe('performed');
    expect(listed(m)).toMatchObject([{ inForce: false, acted: 0 }]);
    m.advance(5);
    expect(m.outcome(PROBE, IOVA)).toBe('poisoned');
    m.advance(1);
    expect(m.outcome(PROBE, IOVA)).toBe('poisoned');
    m.advance(1);
    expect(m.outcome(PROBE, IOVA)).toBe('performed');
    expect(listed(m)).toEqual([]);
  });

  it('is nothing that an automatic clock runs for', () => {
    const { m } = mapped({ clock: 'auto' });
    arm(m, PROBE, 'poisoned-data', { count: 0, fromNs: 5 * MS, untilNs: 7 * MS });
    expect(m.machine.nowNs).toBe(0);
    expect(listed(m)).toHaveLength(1);
  });
});

describe('completions', () => {
  it('late: a read comes so much later, a posted write does not', () => {
    const { m, page } = mapped({ clock: 'auto' });
    poke(m, page, 'here');
    arm(m, PROBE, 'late-completions', { count: 0, delayNs: 3 * MS });
    expect(m.write(PROBE, IOVA, 'x').reply).toMatchObject({ elapsedNs: 0 });
    expect(m.write(PROBE, IOVA, '', READ).reply).toMatchObject({ outcome: 'performed', elapsedNs: 3 * MS });
  });

  it('later than the Completion Timeout, which is 50 ms, end the operation then, without its data', () => {
    const { m } = mapped({ clock: 'auto' });
    arm(m, PROBE, 'late-completions', { delayNs: 80 * MS });
    expect(m.write(PROBE, IOVA, '', READ).reply).toMatchObject({ outcome: 'completion-timeout', bytesDone: 0, elapsedNs: 50 * MS });
    expect(m.call('ledger', { kind: 'ledger', bdf: PROBE }).entries).toEqual([]);
  });

  it('corrupt: one bit of what was read is another, the same one for the same seed', () => {
    const read = (): Uint8Array => {
      const { m, page } = mapped();
      poke(m, page, 'good');
      arm(m, PROBE, 'corrupt-completions');
      return (m.write(PROBE, IOVA, '', READ).reply as { data: Uint8Array }).data;
    };
    const got = read();
    const flipped = [...got].map((byte, i) => byte ^ 'good'.charCodeAt(i)).filter((difference) => difference !== 0);
    expect(flipped).toHaveLength(1);
    expect(Math.log2(flipped[0] ?? 0) % 1).toBe(0);
    expect(read()).toEqual(got);
  });

  it('duplicate: the second Invalidate Completion completes nothing, and its tag goes on to serve', () => {
    const { m } = mapped({ clock: 'auto' });
    m.write(PROBE, IOVA, 'a', { translated: true });
    arm(m, PROBE, 'duplicate-completions');
    expect(m.startUnmap(PROBE, IOVA).reply).toMatchObject({ kind: 'unmap', timedOut: 0, elapsedNs: 0 });
    expect(m.traced('invalidation-late', PROBE)).toHaveLength(1);
    m.arm(PROBE, 'ignore-invalidations');
    m.map(PROBE, IOVA, m.allocPage());
    expect(m.startUnmap(PROBE, IOVA).reply).toMatchObject({ timedOut: 1 });
  });

  it('with a wrong ITag: the request that was sent times out', () => {
    const { m } = mapped({ clock: 'auto' });
    arm(m, PROBE, 'wrong-itag');
    expect(m.startUnmap(PROBE, IOVA).reply).toMatchObject({ timedOut: 1, elapsedNs: INVALIDATION_TIMEOUT_MS * MS });
    expect(m.traced('invalidation-late', PROBE)).toHaveLength(1);
  });
});

describe('poisoned data', () => {
  it('is taken by no memory and given to no function', () => {
    const { m, page } = mapped();
    poke(m, page, 'old!');
    arm(m, PROBE, 'poisoned-data', { count: 2 });
    expect(m.write(PROBE, IOVA, 'new!').reply).toMatchObject({ outcome: 'poisoned', bytesDone: 0, failedIova: BigInt(IOVA) });
    expect(m.write(PROBE, IOVA, '', READ).reply).toMatchObject({ outcome: 'poisoned', data: new Uint8Array(0) });
    expect(m.text(page, 4)).toBe('old!');
    // The IOMMU refused nothing.
    expect(m.call('fault-records', { kind: 'fault-records' }).records).toEqual([]);
  });
});

describe('memory', () => {
  it.each([
    ['unsupported-request', 'unsupported-request'],
    ['completer-abort', 'completer-abort'],
    ['poisoned', 'poisoned'],
  ] as const)('that errs answers %s, byte for byte in its range only, and keeps what it has', (error, outcome) => {
    const { m, page } = mapped();
    poke(m, page, '0123456789');
    arm(m, undefined, 'memory-errors', { count: 0, error, range: { address: page + 4n, bytes: 2n } });
    expect(m.outcome(PROBE, IOVA, 'abcd')).toBe('performed');
    expect(m.outcome(PROBE, IOVA + 6, 'ghij')).toBe('performed');
    expect(m.outcome(PROBE, IOVA + 2, 'XXX')).toBe(outcome);
    expect(m.write(PROBE, IOVA + 5, '', { ...READ, bytes: 1 }).reply).toMatchObject({ outcome });
    expect(m.text(page, 10)).toBe('abcd45ghij');
  });

  it('that errs for one function does so for it alone', () => {
    const m = new CoreMachine({ functions: SIBLINGS, clock: 'manual' });
    const page = m.allocPage();
    m.map(FIRST, IOVA, page);
    arm(m, SECOND, 'memory-errors', { count: 0, range: { address: page, bytes: 4096n } });
    expect(m.outcome(FIRST, IOVA)).toBe('performed');
    expect(m.outcome(SECOND, IOVA)).toBe('completer-abort');
  });

  it('that stalls keeps a write and what stands behind it until it is let go', () => {
    const { m, page } = mapped();
    const stall = arm(m, undefined, 'memory-stalls', { range: { address: page, bytes: 4n } });
    const stalled = m.write(PROBE, IOVA, 'slow');
    const behind = m.write(PROBE, IOVA + 0x100, 'next');
    expect([stalled.reply, behind.reply]).toEqual([undefined, undefined]);
    m.advance(1000);
    expect(m.text(page, 4)).toBe('\0\0\0\0');
    // Its one occurrence is over, and it is no longer armed; the request is let go like any that is held.
    expect(m.refusal({ kind: 'fault-disarm', armed: stall })).toBe('ENOENT');
    m.release(PROBE);
    expect([stalled.reply, behind.reply]).toMatchObject([{ outcome: 'performed' }, { outcome: 'performed' }]);
    expect(m.text(page, 4)).toBe('slow');
  });

  it('that stalls lets go when it is disarmed, and its time is up when it has one', () => {
    const { m, page } = mapped();
    const stall = arm(m, undefined, 'memory-stalls', { count: 0, range: { address: page, bytes: 4096n } });
    const first = m.write(PROBE, IOVA, 'a');
    m.call('ok', { kind: 'fault-disarm', armed: stall });
    expect(first.reply).toMatchObject({ outcome: 'performed' });
    arm(m, undefined, 'memory-stalls', { delayNs: 2 * MS, range: { address: page, bytes: 4096n } });
    const second = m.write(PROBE, IOVA, '', READ);
    m.advance(1);
    expect(second.reply).toBeUndefined();
    m.advance(1);
    expect(second.reply).toMatchObject({ outcome: 'performed' });
  });

  it('that stalls a read for ever ends it by the Completion Timeout', () => {
    const { m, page } = mapped({ clock: 'auto' });
    arm(m, undefined, 'memory-stalls', { range: { address: page, bytes: 4096n } });
    expect(m.write(PROBE, IOVA, '', READ).reply).toMatchObject({ outcome: 'completion-timeout', elapsedNs: 50 * MS });
  });
});

describe('surprise-down', () => {
  const PORT = bdf(0, 0, 3, 0);
  const BELOW = bdf(0, 1, 0, 0);
  const TREE: readonly FunctionSpec[] = [
    {
      bdf: PORT,
      model: 'bridge',
      config: bridgeConfig({ kind: 'root-port', primary: 0, secondary: 1, subordinate: 1 }),
      label: '',
      latencyNs: 0,
    },
    probe(BELOW),
  ];

  it('the function answers all ones, sends nothing, and what it had in flight vanishes but for writes past the link', () => {
    const { m, page } = mapped();
    const sent = m.write(PROBE, IOVA, 'sent', { hold: 'translated' });
    const unsent = m.write(PROBE, IOVA + 8, 'gone', { hold: 'issued' });
    const read = m.write(PROBE, IOVA, '', { ...READ, hold: 'translated' });
    arm(m, PROBE, 'surprise-down', { count: 0 });
    expect([unsent.reply, read.reply]).toMatchObject([{ outcome: 'aborted' }, { outcome: 'aborted' }]);
    m.release(PROBE);
    expect(sent.reply).toMatchObject({ outcome: 'performed' });
    expect(m.text(page, 4)).toBe('sent');
    expect(config(m, PROBE)).toBe(0xffff_ffff);
    expect(m.outcome(PROBE, IOVA)).toBe('gate-closed');
  });

  it('its invalidations time out, and a reset of it does not get it ready', () => {
    const { m } = mapped({ clock: 'auto' });
    arm(m, PROBE, 'surprise-down', { count: 0 });
    expect(m.startUnmap(PROBE, IOVA).reply).toMatchObject({ timedOut: 1 });
    expect(m.reset(PROBE).reply).toMatchObject({ kind: 'refused', code: 'ENOTTY' });
  });

  it('disarmed it is there again, as after a hot reset', () => {
    const { m } = mapped();
    const vendor = config(m, PROBE);
    m.call('ok', { kind: 'region-write', bdf: PROBE, region: 7, offset: 4, bytes: 2, valueLow: 6, valueHigh: 0 });
    arm(m, PROBE, 'surprise-down', { count: 0 });
    m.call('ok', { kind: 'fault-disarm', bdf: PROBE, fault: 'surprise-down' });
    expect(config(m, PROBE)).toBe(vendor);
    expect(config(m, PROBE, 4) & 6).toBe(0);
    expect(m.info(PROBE).atsEnabled).toBe(false);
  });

  it('counted, it loses so many things from the n-th on', () => {
    const { m } = mapped();
    const vendor = config(m, PROBE);
    arm(m, PROBE, 'surprise-down', { first: 2, count: 2 });
    expect([1, 2, 3, 4].map(() => config(m, PROBE))).toEqual([vendor, 0xffff_ffff, 0xffff_ffff, vendor]);
    expect(listed(m)).toEqual([]);
  });

  it('takes the device’s other functions and all below a port with it', () => {
    const siblings = new CoreMachine({ functions: SIBLINGS, clock: 'manual' });
    arm(siblings, FIRST, 'surprise-down', { count: 0 });
    expect(config(siblings, SECOND)).toBe(0xffff_ffff);
    const m = new CoreMachine({ functions: TREE, clock: 'manual' });
    const [vendor, port] = [config(m, BELOW), config(m, PORT)];
    expect(() => m.start(armCommand(PORT, 'surprise-down'))).toThrow(expect.objectContaining({ code: 'EINVAL', field: 'count' }));
    const armed = arm(m, PORT, 'surprise-down', { count: 0 });
    expect([config(m, BELOW), config(m, PORT)]).toEqual([0xffff_ffff, port]);
    m.call('ok', { kind: 'fault-disarm', armed });
    expect(config(m, BELOW)).toBe(vendor);
  });
});

describe('memory that is at fault for hosts too', () => {
  const hosts = (page: bigint) => ({ range: { address: page, bytes: 8n }, hosts: true });
  const read = (page: bigint): Command => ({ kind: 'memory-read', address: page, bytes: 4 });

  it('errs: the access ends with EIO and does nothing, and the next one is performed', () => {
    const { m, page } = mapped();
    poke(m, page, 'well');
    arm(m, undefined, 'memory-errors', { ...hosts(page), count: 3, error: 'poisoned' });
    expect(m.call('refused', read(page))).toMatchObject({ code: 'EIO', message: expect.stringContaining('poisoned') });
    expect(m.refusal({ kind: 'memory-write', address: page + 7n, data: new Uint8Array(1) })).toBe('EIO');
    expect(m.outcome(PROBE, IOVA, 'lost')).toBe('poisoned');
    expect(m.text(page, 4)).toBe('well');
  });

  it('stalls: the access comes late, or when the fault is taken away, and others pass it', () => {
    const { m, page } = mapped();
    poke(m, page, 'well');
    arm(m, undefined, 'memory-stalls', { ...hosts(page), delayNs: 5 * MS });
    const late = m.start(read(page));
    expect(m.text(page, 4)).toBe('well');
    poke(m, page, 'more');
    m.advance(4);
    expect(late.reply).toBeUndefined();
    m.advance(1);
    expect(late.reply).toMatchObject({ kind: 'memory-read', data: new TextEncoder().encode('more') });
    const endless = arm(m, undefined, 'memory-stalls', { ...hosts(page), count: 0 });
    const [first, second] = [m.start({ kind: 'memory-write', address: page, data: new Uint8Array([0x21]) }), m.start(read(page))];
    m.advance(10_000);
    expect([first.reply, second.reply]).toEqual([undefined, undefined]);
    m.call('ok', { kind: 'fault-disarm', armed: endless });
    expect([first.reply?.kind, m.text(page, 4)]).toEqual(['ok', '!ore']);
    expect(second.reply).toMatchObject({ data: new TextEncoder().encode('!ore') });
  });

  it('first stalls and then errs where both are armed, and an earlier one is not asked again', () => {
    const { m, page } = mapped();
    arm(m, undefined, 'memory-stalls', { ...hosts(page), count: 0, delayNs: MS });
    arm(m, undefined, 'memory-errors', { ...hosts(page) });
    const access = m.start(read(page));
    m.advance(1);
    expect(access.reply).toMatchObject({ kind: 'refused', code: 'EIO' });
  });

  it('leaves hosts alone where it does not say so, and elsewhere', () => {
    const { m, page } = mapped();
    arm(m, undefined, 'memory-errors', { range: { address: page, bytes: 8n }, count: 0 });
    arm(m, undefined, 'memory-errors', { ...hosts(page + 8n), count: 0 });
    expect(m.text(page, 8)).toBe('\0'.repeat(8));
    expect(m.refusal({ kind: 'memory-read', address: page, bytes: 9 })).toBe('EIO');
    expect(listed(m).map(({ hosts: also, acted }) => [also, acted])).toEqual([
      [false, 0],
      [true, 1],
    ]);
  });

  it.each([
    [PROBE, 'memory-errors'],
    [PROBE, 'late-completions'],
  ] as const)('is refused of a function (%i) and of %s', (at, fault) => {
    const { m, page } = mapped();
    const range = fault === 'memory-errors' ? { range: { address: page, bytes: 8n } } : {};
    expect(() => m.start(armCommand(at, fault, { ...range, hosts: true }))).toThrow('no one function');
  });
});
