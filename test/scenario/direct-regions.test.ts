/** The questions of machines whose firmware uses a function, or left one attached: over the wire, from a topology document. */
import { expect } from 'vitest';
import { refusal, scenario } from '../kit/scenario.ts';

const TOPOLOGY = {
  schema: 'iommud.topology/v1',
  functions: [
    { address: '00:00.0', model: 'host-bridge' },
    { address: '00:02.0', model: 'dma-probe', directRegions: [{ address: '0x50000000', size: '64KiB' }] },
    { address: '00:03.0', model: 'dma-probe', deferAttach: true },
  ],
};

scenario('a function with a direct region can be reset and not claimed', { topology: TOPOLOGY }, async (m) => {
  const dev = m.function('00:02.0');
  expect((await dev.info()).directRegions).toEqual([{ address: 0x5000_0000n, bytes: 0x1_0000n, relaxable: false }]);
  expect(await dev.model.write(0x5000_fffc, 'firm')).toMatchObject({ outcome: 'performed' });
  expect(await m.text(0x5000_fffcn, 4)).toBe('firm');
  expect(await refusal(dev.claimOwner())).toBe('EINVAL');
  expect(await dev.reset({ method: 'flr', deadlineMs: 10 })).toMatchObject({ method: 'flr', timedOut: 0 });
  expect(await dev.model.write(0x5000_0000, 'ware')).toMatchObject({ outcome: 'performed' });
});

scenario('a deferred function is attached at its first use, and a reset in between does that too', { topology: TOPOLOGY }, async (m) => {
  const dev = m.function('00:03.0');
  const page = await m.memory.alloc(4096);
  await dev.dma.map({ iova: 0x1000, address: page.address, bytes: 4096, access: 'rw' });
  expect(await dev.model.write(0x1000, 'early')).toMatchObject({ outcome: 'blocked-domain' });
  expect((await dev.info()).attachDeferred).toBe(true);
  await dev.resetPrepare({ token: 'w', deadlineMs: 10 });
  await dev.deferredAttach();
  expect((await dev.info()).blocked).toBe(true);
  await dev.resetDone({ token: 'w' });
  expect((await dev.info()).attachDeferred).toBe(false);
  expect(await dev.model.write(0x1000, 'later')).toMatchObject({ outcome: 'performed' });
  await m.function('00:02.0').deferredAttach();
});
