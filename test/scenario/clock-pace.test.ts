/** The machine's clock in the hand of one who takes part: a simulation that sets the pace. */
import { expect } from 'vitest';
import { eventually, refusal, scenario, settled } from '../kit/scenario.ts';

const BDF = '00:02.0';
const MS = 1_000_000;

scenario('a reset takes as long as the simulation grants', {}, async (m) => {
  const simulation = await m.connect(['device']);
  const pace = await simulation.machine.clock.hold();
  const reset = m.function(BDF).reset({ method: 'flr', deadlineMs: 10 });
  expect(await settled(reset, m)).toBe(false);
  expect(await pace.grant({ ms: 60 })).toEqual({ nowNs: 60 * MS });
  expect(await settled(reset, m)).toBe(false);
  // Time that nothing happens in passes too.
  expect(await pace.grant({ ms: 60 })).toEqual({ nowNs: 120 * MS });
  expect(await reset).toMatchObject({ method: 'flr' });
  expect(await m.clock.info()).toEqual({ nowNs: 120 * MS });
  const [first, second] = await Promise.all([pace.grant({ ms: 1 }), pace.grant({ ms: 2 })]);
  expect([first.nowNs, second.nowNs]).toEqual([121 * MS, 123 * MS]);
});

scenario('of two that hold it the one that has granted least decides', {}, async (m) => {
  const [one, other] = [await m.connect(['device']), await m.connect(['memory'])];
  const fast = await one.machine.clock.hold();
  const slow = await other.machine.clock.hold();
  const far = fast.grant({ ms: 100 });
  expect(await slow.grant({ ms: 30 })).toEqual({ nowNs: 30 * MS });
  expect(await settled(far, m)).toBe(false);
  await slow.grant({ ms: 50 });
  expect(await settled(far, m)).toBe(false);
  // Without the slow one, what the fast one has granted passes.
  await slow.release();
  expect(await far).toEqual({ nowNs: 100 * MS });
  expect(await refusal(slow.grant({ ms: 1 }))).toBe('EINVAL');
});

scenario('a host waits for it, unless it forces the clock', {}, async (m) => {
  const simulation = await m.connect(['device']);
  const pace = await simulation.machine.clock.hold();
  const advance = m.clock.advance({ ms: 10 });
  // It has come, by another connection, before the grant does.
  expect(await settled(advance, m)).toBe(false);
  await pace.grant({ ms: 4 });
  expect(await settled(advance, m)).toBe(false);
  expect(await m.clock.info()).toEqual({ nowNs: 4 * MS });
  expect(await m.clock.advance({ ms: 1, force: true })).toEqual({ nowNs: 5 * MS, movedNs: MS });
  expect(await settled(advance, m)).toBe(false);
  await pace.grant({ ms: 6 });
  expect(await advance).toEqual({ nowNs: 10 * MS, movedNs: 10 * MS });
});

scenario('its end lets the clock go', {}, async (m) => {
  const simulation = await m.connect(['device']);
  await simulation.machine.clock.hold();
  const reset = m.function(BDF).reset({ method: 'flr', deadlineMs: 10 });
  expect(await settled(reset, m)).toBe(false);
  await simulation.close();
  expect(await reset).toMatchObject({ method: 'flr' });
});

scenario('a quantum ends when those who owe answers have given them', {}, async (m) => {
  const emulator = await m.connect(['device']);
  const answers: ((value: number) => void)[] = [];
  await emulator.claimDevice('00:04.0', {
    onRegionRead: () => new Promise<number>((resolve) => answers.push(resolve)),
  });
  const simulation = await m.connect(['device']);
  const pace = await simulation.machine.clock.hold();
  const read = m.function('00:04.0').bar(0).read(0, 4);
  await eventually(() => expect(answers).toHaveLength(1));
  const quantum = pace.grant({ ns: 100 });
  expect(await settled(quantum, m)).toBe(false);
  answers[0]?.(5);
  expect(await read).toBe(5);
  expect(await quantum).toEqual({ nowNs: 100 });
});

scenario('an observer does not hold it', { clock: 'manual' }, async (m) => {
  const observer = await m.connect(['observer']);
  expect(await refusal(observer.machine.clock.hold())).toBe('EPERM');
  const simulation = await m.connect(['device']);
  const pace = await simulation.machine.clock.hold();
  expect(await refusal(pace.grant({ ns: Number.MAX_SAFE_INTEGER }))).toBe('EINVAL');
  // Where hosts move the clock, it does too.
  expect(await pace.grant({ ms: 3 })).toEqual({ nowNs: 3 * MS });
});

scenario('real time nobody holds', { clock: 'real' }, async (m) => {
  const simulation = await m.connect(['device']);
  expect(await refusal(simulation.machine.clock.hold())).toBe('EOPNOTSUPP');
});
