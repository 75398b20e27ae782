/** pcie_do_recovery(): votes, the reset of what is below the port, and what becomes of what was in flight. */
import { describe, expect, it } from 'vitest';
import { bdf, type Bdf } from '../../../../server/src/core/base/index.ts';
import { merged } from '../../../../server/src/core/machine/errors/recover.ts';
import type { Behaviour, ErrorCallback, FunctionSpec, Reply, Vote } from '../../../../server/src/core/machine/index.ts';
import { bridgeConfig } from '../../../../server/src/core/pci/index.ts';
import { BELOW, probe } from '../../../kit/core-machine.ts';
import { HoldMachine } from '../../../kit/hold-machine.ts';
import { FIRST as VIRTUAL, IOVA as VF_IOVA, SriovMachine } from '../../../kit/sriov-machine.ts';

const PORT = bdf(0, 0, 3, 0);
const FIRST = bdf(0, 1, 0, 0);
const SECOND = bdf(0, 1, 1, 0);
const ALONE = bdf(0, 0, 2, 0);
const IOVA = 0x1_0000;

const port = bridgeConfig({
  kind: 'root-port',
  primary: 0,
  secondary: 1,
  subordinate: 1,
  capabilities: { dpc: { poisonedBlocking: false, softwareTrigger: false } },
});
const TREE: readonly FunctionSpec[] = [
  probe(ALONE),
  { bdf: PORT, model: 'bridge', config: port, label: '', latencyNs: 0 },
  probe(FIRST),
  probe(SECOND),
];

function tree(behaviour: Behaviour = 'strict'): HoldMachine {
  return new HoldMachine({ behaviour, functions: TREE });
}
function vote(m: HoldMachine, at: Bdf, callback: ErrorCallback, says: Vote): void {
  m.call('ok', { kind: 'error-vote', bdf: at, callback, vote: says });
}
const recover = (m: HoldMachine, at: Bdf, frozen = false): Reply | undefined => m.start({ kind: 'error-recover', bdf: at, frozen }).reply;
const registers = (m: HoldMachine, at: Bdf, offset: number) =>
  m.call('region-read', { kind: 'region-read', bdf: at, region: 7, offset, bytes: 4 }).valueLow >>> 0;

describe('merge_result()', () => {
  it.each([
    ['can-recover', 'recovered', 'recovered'],
    ['recovered', 'disconnect', 'disconnect'],
    ['disconnect', 'need-reset', 'need-reset'],
    ['disconnect', 'can-recover', 'disconnect'],
    ['need-reset', 'disconnect', 'need-reset'],
    ['need-reset', 'recovered', 'need-reset'],
    ['need-reset', 'no-driver', 'no-driver'],
    ['no-driver', 'need-reset', 'no-driver'],
  ] as const)('%s and then %s is %s', (status, says, result) => {
    expect(merged(status, says)).toBe(result);
  });
});

describe.each(['strict', 'linux-7.1'] as const)('a recovery in %s', (behaviour) => {
  it('from an error that is not fatal resets nothing, and leaves what is in flight', () => {
    const m = tree(behaviour);
    m.map(FIRST, IOVA, m.allocPage());
    const held = m.write(FIRST, IOVA, 'x', { hold: 'translated' });
    expect(recover(m, FIRST)).toMatchObject({
      recovered: true,
      status: 'recovered',
      reset: 'none',
      affected: [FIRST, SECOND],
      elapsedNs: 0,
    });
    m.release(FIRST);
    expect(held.reply).toMatchObject({ outcome: 'performed' });
  });

  it('resets all below the port when one driver needs it, and gives back configuration and translation', () => {
    const m = tree(behaviour);
    m.map(FIRST, IOVA, m.allocPage());
    const before = [registers(m, FIRST, 4) & 0xffff, registers(m, SECOND, 0x10)];
    const lost = m.write(FIRST, IOVA, '', { operation: 'read', bytes: 4, data: undefined, hold: 'translated' });
    vote(m, SECOND, 'error-detected', 'need-reset');
    expect(recover(m, FIRST)).toMatchObject({ recovered: true, reset: 'bus', affected: [FIRST, SECOND], warning: '' });
    expect(lost.reply).toMatchObject({ outcome: 'aborted' });
    expect([registers(m, FIRST, 4) & 0xffff, registers(m, SECOND, 0x10)]).toEqual(before);
    expect(m.info(FIRST)).toMatchObject({ atsEnabled: true, blocked: false, resetDepth: 0, gate: 'open' });
    expect(m.outcome(FIRST, IOVA)).toBe('performed');
  });

  it('of a frozen link asks no driver to touch registers, and resets', () => {
    const m = tree(behaviour);
    vote(m, FIRST, 'mmio-enabled', 'disconnect');
    expect(recover(m, PORT, true)).toMatchObject({ recovered: true, reset: 'bus' });
    expect(recover(m, PORT)).toMatchObject({ recovered: false, status: 'disconnect', reset: 'none' });
  });
});

describe.each(['strict', 'linux-7.1'] as const)('a recovery in %s', (behaviour) => {
  it('of an integrated endpoint is an FLR of it alone', () => {
    const m = tree(behaviour);
    expect(recover(m, ALONE, true)).toMatchObject({ recovered: true, reset: 'flr', affected: [ALONE], elapsedNs: 100_000_000 });
  });

  it('fails for all where one has no driver that handles errors, and resets none', () => {
    const m = tree(behaviour);
    vote(m, SECOND, 'error-detected', 'no-driver');
    expect(recover(m, FIRST, true)).toMatchObject({ recovered: false, status: 'no-driver', reset: 'none' });
  });

  it('fails where a function is not there again', () => {
    const m = tree(behaviour);
    m.arm(SECOND, 'never-ready');
    expect(recover(m, FIRST, true)).toMatchObject({
      recovered: false,
      status: 'disconnect',
      warning: expect.stringContaining('01:01.0') as string,
    });
  });

  it('fails where a driver does not come back from the reset', () => {
    const m = tree(behaviour);
    vote(m, FIRST, 'slot-reset', 'disconnect');
    expect(recover(m, SECOND, true)).toMatchObject({ recovered: false, status: 'disconnect', reset: 'bus' });
  });

  it('ends a containment', () => {
    const m = tree(behaviour);
    m.map(FIRST, IOVA, m.allocPage());
    m.call('ok', { kind: 'error-reporting' });
    let dpc = 0x100;
    while ((registers(m, PORT, dpc) & 0xffff) !== 0x1d) dpc = registers(m, PORT, dpc) >>> 20;
    m.call('ok', { kind: 'region-write', bdf: PORT, region: 7, offset: dpc + 6, bytes: 2, valueLow: 2, valueHigh: 0 });
    m.arm(FIRST, 'poisoned-data');
    m.write(FIRST, IOVA, '', { operation: 'read', bytes: 4, data: undefined });
    expect(registers(m, SECOND, 0)).toBe(0xffff_ffff);
    expect(recover(m, PORT, true)).toMatchObject({ recovered: true, reset: 'bus' });
    expect(registers(m, SECOND, 0)).toBe(0x11d0_1234);
    expect(registers(m, PORT, dpc + 8) & 1).toBe(0);
    expect(m.outcome(FIRST, IOVA)).toBe('performed');
  });
});

describe.each(['strict', 'linux-7.1'] as const)('a recovery of virtual functions in %s', (behaviour) => {
  it('has them back with the physical one, whose VF Enable is restored', () => {
    const m = new SriovMachine({ behaviour });
    m.enable(2);
    m.half(BELOW, 4, 6);
    const page = m.drive(VIRTUAL);
    expect(m.outcome(VIRTUAL, VF_IOVA, 'one')).toBe('performed');
    const there = m.functions();
    expect(m.start({ kind: 'error-recover', bdf: BELOW, frozen: true }).reply).toMatchObject({ recovered: true, reset: 'bus' });
    expect(m.functions()).toEqual(there);
    // Its registers are as after the reset, and its driver sets it up again.
    m.half(VIRTUAL, 4, 4);
    expect(m.outcome(VIRTUAL, VF_IOVA, 'two')).toBe('performed');
    expect(m.text(page, 3)).toBe('two');
  });
});

const MS = 1_000_000;

describe.each(['strict', 'linux-7.1'] as const)('the wait of a recovery in %s', (behaviour) => {
  it('is that of a bus reset: 2 ms, 20 until the link is up, and 100', () => {
    expect(recover(tree(behaviour), FIRST, true)).toMatchObject({ recovered: true, elapsedNs: 122 * MS });
  });

  it('goes on until the first function below is ready', () => {
    const m = new HoldMachine({ behaviour, functions: TREE, clock: 'manual' });
    m.map(FIRST, IOVA, m.allocPage());
    m.arm(FIRST, 'never-ready');
    const call = m.start({ kind: 'error-recover', bdf: PORT, frozen: true });
    m.advance(3000);
    expect([call.reply, m.outcome(FIRST, IOVA)]).toEqual([undefined, 'gate-closed']);
    m.call('ok', { kind: 'fault-disarm', bdf: FIRST, fault: 'never-ready' });
    m.advance(2000);
    // Asked after 1, 2, 4, ... ms: 4095 after the first time.
    expect(call.reply).toMatchObject({ recovered: true, elapsedNs: (122 + 4095) * MS });
    expect(m.outcome(FIRST, IOVA)).toBe('performed');
  });

  it('ends after a minute', () => {
    const m = tree(behaviour);
    m.arm(FIRST, 'never-ready', { count: 0 });
    const reply = recover(m, FIRST, true);
    expect(reply).toMatchObject({ recovered: false, status: 'disconnect', elapsedNs: (122 + 65_535) * MS });
    expect(reply).toMatchObject({ warning: expect.stringContaining('was not ready 65535 ms after bus') as string });
    expect([m.info(FIRST).blocked, m.info(SECOND).blocked]).toEqual([behaviour === 'strict', false]);
  });

  it('of an integrated endpoint too', () => {
    const m = tree(behaviour);
    m.arm(ALONE, 'never-ready', { count: 0 });
    expect(recover(m, ALONE, true)).toMatchObject({ recovered: false, status: 'disconnect', elapsedNs: (100 + 65_535) * MS });
  });

  it('is no longer than a second where the link stays down', () => {
    const m = tree(behaviour);
    for (const at of [FIRST, SECOND]) m.arm(at, 'surprise-down', { count: 0 });
    // The windows of strict await invalidations that nobody answers.
    const fenced = behaviour === 'strict' ? 1000 : 0;
    expect(recover(m, PORT, true)).toMatchObject({ recovered: false, status: 'disconnect', elapsedNs: (fenced + 1022) * MS });
  });

  it('keeps other resets of these functions waiting, and no others', () => {
    const m = new HoldMachine({ behaviour, functions: TREE, clock: 'manual' });
    const recovery = m.start({ kind: 'error-recover', bdf: PORT, frozen: true });
    const resets = [m.reset(FIRST), m.reset(ALONE)];
    m.advance(100);
    expect(resets.map(({ reply }) => reply?.kind)).toEqual([undefined, 'reset']);
    m.advance(22);
    expect(recovery.reply).toMatchObject({ recovered: true });
    m.advance(100);
    expect(resets[0]?.reply).toMatchObject({ kind: 'reset' });
  });
});

describe('its steps', () => {
  it('can be held, and a driver’s vote given in between', () => {
    const m = tree();
    const { steps, reply } = m.stepsOf((one) => one.start({ kind: 'error-recover', bdf: FIRST, frozen: false }));
    expect(steps).toEqual([
      'recover error-detected',
      'recover mmio-enabled',
      'recover reset-subordinates',
      'recover slot-reset',
      'recover resume',
    ]);
    expect(reply).toMatchObject({ recovered: true });
    const hold = m.hold('recover', 'mmio-enabled');
    const call = m.start({ kind: 'error-recover', bdf: FIRST, frozen: false });
    expect(m.refusal({ kind: 'error-recover', bdf: SECOND, frozen: false })).toBe('EBUSY');
    vote(m, FIRST, 'mmio-enabled', 'need-reset');
    m.letGo(hold);
    expect(call.reply).toMatchObject({ recovered: true, reset: 'bus' });
  });

  it('strict opens a window of each function round the reset, Linux opens none', () => {
    const depths = (behaviour: Behaviour): readonly number[] => {
      const m = tree(behaviour);
      recover(m, FIRST, true);
      return m.events.flatMap((event) => (event.kind === 'window' ? [event.depth] : []));
    };
    expect(depths('strict')).toEqual([1, 1, 0, 0]);
    expect(depths('linux-7.1')).toEqual([]);
  });
});
