/** An error on the bus from its log to the recovery from it, as a host sees it. */
import { expect } from 'vitest';
import { untilInFlight } from '../kit/in-flight.ts';
import { scenario } from '../kit/scenario.ts';

const IOVA = 0x10000;

scenario('a poisoned read is logged, told, and recovered from', { preset: 'switch' }, async (m) => {
  const bridges = (await m.functions()).filter(({ secondaryBus }) => secondaryBus !== undefined);
  const [root] = bridges;
  const at = '03:00.0';
  const dev = m.function(at);
  const address = await m.mapped(dev, IOVA);
  await m.enableErrorReporting();

  await dev.faults.arm('poisoned-data');
  expect(await dev.model.read(IOVA, 4)).toMatchObject({ outcome: 'poisoned', bytes: 0 });
  expect(await m.errors.next()).toMatchObject({
    function: at,
    error: 'poisoned',
    severity: 'nonfatal',
    message: 'nonfatal',
    root: root?.function,
    interrupt: true,
    contained: undefined,
  });

  await dev.recovery.vote('error-detected', 'need-reset');
  const lost = dev.model.read(IOVA, 4, { hold: 'translated' });
  await untilInFlight(dev);
  expect(await dev.recovery.recover()).toMatchObject({ recovered: true, reset: 'bus', warning: undefined });
  expect(await lost).toMatchObject({ outcome: 'aborted' });
  expect(await dev.model.write(IOVA, 'back')).toMatchObject({ outcome: 'performed' });
  expect(await m.text(address, 4)).toBe('back');

  await dev.recovery.vote('error-detected', 'no-driver');
  expect(await dev.recovery.recover({ frozen: true })).toMatchObject({ recovered: false, status: 'no-driver', reset: 'none' });
});
