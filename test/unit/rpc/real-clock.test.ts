import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { RealClock } from '../../../server/src/rpc/real-clock.ts';
import { FakeMachine } from './fake-machine.ts';
import { setup } from './setup.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

it('tells the machine how much real time has passed', () => {
  const machine = new FakeMachine();
  const clock = new RealClock(machine, () => undefined);
  clock.pass();
  vi.advanceTimersByTime(1500);
  clock.pass();
  expect(machine.passed).toEqual([0, 1_500_000_000]);
});

it('is due at the machine’s next alarm, in place of an earlier one, and never after its stop', () => {
  const machine = new FakeMachine();
  const due = vi.fn<() => void>();
  const clock = new RealClock(machine, due);
  clock.arm();
  vi.advanceTimersByTime(1e6);
  expect(due).not.toHaveBeenCalled();
  machine.alarmNs = 2_500_000;
  clock.arm();
  machine.alarmNs = 9_000_001;
  clock.arm();
  vi.advanceTimersByTime(9);
  expect(due).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(due).toHaveBeenCalledOnce();
  clock.arm();
  clock.stop();
  clock.arm();
  vi.advanceTimersByTime(1e6);
  expect(due).toHaveBeenCalledOnce();
});

it('lets real time pass before each input of a host whose machine wants it', async () => {
  const { machine, host } = setup({ realTime: true });
  machine.alarmNs = 20_000_000;
  await host.call({ kind: 'clock-info' });
  machine.alarmNs = 40_000_000;
  vi.advanceTimersByTime(20);
  machine.alarmNs = undefined;
  vi.advanceTimersByTime(40);
  expect(machine.passed).toEqual([0, 20_000_000, 60_000_000]);
  const { machine: other, host: still } = setup();
  await still.call({ kind: 'clock-info' });
  expect(other.passed).toEqual([]);
});
