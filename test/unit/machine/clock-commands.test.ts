import { expect, it } from 'vitest';
import { CoreMachine, PROBE } from '../../kit/core-machine.ts';

it('the clock goes to a day before its end and no further, and a reset still works there', () => {
  const m = new CoreMachine({ clock: 'manual' });
  const end = Number.MAX_SAFE_INTEGER - 86_400_000_000_000;
  expect(() => m.start({ kind: 'clock-advance', ns: end + 1, force: false })).toThrow(/where this clock ends/);
  expect(m.start({ kind: 'clock-advance', ns: end, force: false }).reply).toMatchObject({ nowNs: end });
  expect(() => m.start({ kind: 'clock-advance', ns: 1, force: false })).toThrow(/where this clock ends/);
  const auto = new CoreMachine();
  auto.call('clock', { kind: 'clock-advance', ns: end, force: false });
  expect(auto.reset(PROBE).reply).toMatchObject({ kind: 'reset', elapsedNs: 100_000_000 });
});
