import { expect } from 'vitest';
import { untilInFlight } from '../kit/in-flight.ts';
import { scenario } from '../kit/scenario.ts';

const IOVA = 0x10000;

scenario('a mapped write lands, a rogue one lands nowhere, and a reset drops the late one', { preset: 'basic', seed: 7 }, async (m) => {
  const dev = m.function('00:02.0');
  const page = await m.memory.alloc(4096);
  await dev.dma.map({ iova: IOVA, address: page.address, bytes: 4096, access: 'rw' });

  expect(await dev.model.write(IOVA, 'hello')).toMatchObject({ outcome: 'performed', requests: 1, bytes: 5 });
  expect(await m.text(page.address, 5)).toBe('hello');

  expect(await dev.model.write(0x11000, 'rogue')).toMatchObject({ outcome: 'not-present', bytes: 0, failedIova: 0x11000n });
  expect(await m.faults.next()).toMatchObject({ text: '00:02.0 write 0x11000: not present', iova: 0x11000n, access: 'w' });

  const late = dev.model.write(IOVA, 'later', { hold: 'translated' });
  await untilInFlight(dev);
  expect(await dev.ledger()).toMatchObject([{ point: 'translated', held: true, iova: 0x10000n, bytes: 5 }]);

  const report = await dev.reset({ method: 'flr', deadlineMs: 10, onDeadline: 'abort' });
  expect(report).toMatchObject({ method: 'flr', aborted: 1, indeterminate: 0, timedOut: 0 });
  expect(await late).toMatchObject({ outcome: 'aborted', bytes: 0 });
  expect(await m.text(page.address, 5)).toBe('hello');
  expect(await dev.ledger()).toEqual([]);
});
