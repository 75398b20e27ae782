/** Faults on purpose as a host arms, sees and clears them; what each does is test/unit/machine/fault-commands.test.ts. */
import { expect } from 'vitest';
import { untilInFlight } from '../kit/in-flight.ts';
import { refusal, scenario } from '../kit/scenario.ts';

const IOVA = 0x10000;

scenario('faults are armed, seen, act and are cleared', { clock: 'manual' }, async (m) => {
  const dev = m.function('00:02.0');
  const address = await m.mapped(dev, IOVA);
  const late = await dev.faults.arm('late-completions', { count: 2, delayMs: 3, fromMs: 1 });
  const errs = await m.armed.armMemory('memory-errors', { address, bytes: 16, error: 'poisoned', count: 0, function: dev });
  expect(await m.armed.list()).toMatchObject([
    { armed: late, fault: 'late-completions', function: '00:02.0', acted: 0, left: 2, delayMs: 3, fromMs: 1, inForce: false },
    { armed: errs, fault: 'memory-errors', function: '00:02.0', address, bytes: 16n, error: 'poisoned', left: undefined, inForce: true },
  ]);
  expect((await dev.info()).armedFaults).toEqual(['late-completions']);

  expect(await dev.model.write(IOVA, 'lost')).toMatchObject({ outcome: 'poisoned', bytes: 0 });
  expect(await dev.model.write(IOVA + 16, 'kept')).toMatchObject({ outcome: 'performed' });
  await m.armed.disarm(errs);
  expect(await m.text(address, 4)).toBe('\0\0\0\0');
  expect(await refusal(m.armed.disarm(errs))).toBe('ENOENT');

  await m.clock.advance({ ms: 1 });
  const read = dev.model.read(IOVA + 16, 4);
  await m.clock.advance({ ms: 3 });
  expect(await read).toMatchObject({ outcome: 'performed', elapsedMs: 3 });
  expect(await m.armed.list()).toMatchObject([{ armed: late, acted: 1, left: 1, inForce: true }]);
});

scenario('a function that drops off the bus answers all ones, and is as after a hot reset when it is back', {}, async (m) => {
  const dev = m.function('00:02.0');
  await m.mapped(dev, IOVA);
  const id = await dev.config.read(0, 4);
  const gone = dev.model.write(IOVA, 'gone', { hold: 'issued' });
  await untilInFlight(dev);
  await dev.faults.arm('surprise-down', { count: 0 });
  expect(await gone).toMatchObject({ outcome: 'aborted' });
  expect(await dev.config.read(0, 4)).toBe(0xffffffff);
  expect(await refusal(dev.reset({ method: 'flr', deadlineMs: 10 }))).toBe('ENOTTY');
  await dev.faults.disarm('surprise-down');
  expect(await dev.config.read(0, 4)).toBe(id);
  expect(await dev.reset({ method: 'flr', deadlineMs: 10 })).toMatchObject({ method: 'flr' });
});
