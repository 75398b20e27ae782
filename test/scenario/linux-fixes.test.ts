/** A host meets a Linux that lacks a fix. */
import { expect } from 'vitest';
import { refusal, scenario } from '../kit/scenario.ts';

scenario('linux-7.0 has no window within a window: a reset inside one fails', { behaviour: 'linux-7.0' }, async (m) => {
  const dev = m.function('00:02.0');
  await dev.resetPrepare({ token: 'outer', deadlineMs: 10 });
  expect(await refusal(dev.resetPrepare({ token: 'inner', deadlineMs: 10 }))).toBe('EBUSY');
  expect(await refusal(dev.reset({ method: 'flr', deadlineMs: 10 }))).toBe('EBUSY');
  expect(await dev.resetDone({ token: 'outer' })).toMatchObject({ depth: 0 });
  expect(await dev.reset({ method: 'flr', deadlineMs: 10 })).toMatchObject({ method: 'flr' });
});

scenario('a fix can be switched off by its commit', { behaviour: 'linux-7.1', withoutFixes: ['0d5fd7a9323c'] }, async (m) => {
  const dev = m.function('00:02.0');
  await dev.resetPrepare({ token: 'outer', deadlineMs: 10 });
  expect(await refusal(dev.resetPrepare({ token: 'inner', deadlineMs: 10 }))).toBe('EBUSY');
});
