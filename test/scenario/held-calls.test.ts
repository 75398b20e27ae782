/** Calls that a host holds in the middle of their work, over the wire. */
import { expect } from 'vitest';
import { refusal, scenario, settled } from '../kit/scenario.ts';

const DEFERRED = {
  schema: 'iommud.topology/v1',
  functions: [{ address: '00:02.0', model: 'dma-probe', deferAttach: true }],
};

scenario('a prepare that is held before its Invalidate Request is sent, and an unmap meanwhile', { clock: 'manual' }, async (m) => {
  const dev = m.function('00:02.0');
  const page = await m.mapped(dev, 0x10000);
  const hold = await m.calls.hold('prepare', 'atc-sent', { function: '00:02.0' });
  const prepared = dev.resetPrepare({ deadlineMs: 10 });
  expect(await settled(prepared, m)).toBe(false);
  expect(await m.calls.held()).toMatchObject([{ call: 'prepare', step: 'atc-sent', function: '00:02.0', hold: hold.id, sinceNs: 0 }]);
  expect(await dev.dma.unmap({ iova: 0x10000, bytes: 4096 })).toMatchObject({ timedOut: 0 });
  await m.memory.free(page);
  await hold.release();
  expect(await prepared).toMatchObject({ report: { depth: 1 } });
  expect(await m.calls.held()).toEqual([]);
});

scenario('a deferred attach passes the test without the mutex, and finds the window when it has it', { topology: DEFERRED }, async (m) => {
  const dev = m.function('00:02.0');
  const hold = await m.calls.hold('deferred-attach', 'lock');
  const attached = dev.deferredAttach();
  expect(await settled(attached, m)).toBe(false);
  await dev.resetPrepare({ token: 'w', deadlineMs: 10 });
  await hold.release();
  // Prepare's move of the RID has ended the deferral: nothing is left to do, and the function stays blocked.
  await attached;
  expect(await dev.info()).toMatchObject({ blocked: true, physicalDomain: { type: 'blocked' } });
  await dev.resetDone({ token: 'w' });
  expect(await dev.info()).toMatchObject({ blocked: false, physicalDomain: { type: 'paging' } });
});

scenario('calls are let go step by step, and a connection takes its holds with it', {}, async (m) => {
  const dev = m.function('00:02.0');
  const hold = await m.calls.hold('detach');
  const detached = dev.detach();
  const steps: string[] = [];
  for (let [at] = await m.calls.held(); at !== undefined; [at] = await m.calls.held()) {
    steps.push(at.step);
    await hold.step(at.id);
  }
  await detached;
  expect(steps).toEqual(['test', 'lock', 'check', 'atc-completed', 'unlock']);
  await hold.release();
  expect(await refusal(hold.release())).toBe('ENOENT');
  expect(await refusal(m.calls.hold('detach', 'pasid'))).toBe('EINVAL');
});
