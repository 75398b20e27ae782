/** An emulator that is started anew while a window of its function is open: whatever hosts do about the window, it issues nothing before it has been reset. */
import { expect } from 'vitest';
import { eventually, scenario } from '../kit/scenario.ts';

const BDF = '00:04.0';
const IOVA = 0x10000;

scenario('another host ends all windows while a restarted emulator has not answered its reset', { preset: 'basic' }, async (m) => {
  const first = await m.connect(['device']);
  await first.claimDevice(BDF);
  const dev = m.function(BDF);
  const page = await m.mapped(dev, IOVA);
  await dev.resetPrepare({ deadlineMs: 0, onDeadline: 'abort' });
  await first.close();
  await eventually(async () => expect((await dev.info()).absent).toBe(true));

  let answer: () => void = () => undefined;
  const resets: string[] = [];
  const onReset = (method: string): Promise<void> => {
    resets.push(method);
    return new Promise((resolve) => (answer = resolve));
  };
  const fresh = await (await m.connect(['device'])).claimDevice(BDF, { onReset });
  await eventually(() => expect(resets).toEqual(['flr']));
  // Its own window is inside the other.
  expect(await dev.info()).toMatchObject({ resetDepth: 2, blocked: true, gateOpen: false });
  const write = (): Promise<unknown> => fresh.dma.write(IOVA, new TextEncoder().encode('here'));
  expect(await write()).toMatchObject({ outcome: 'gate-closed' });

  const other = await m.connect(['host']);
  await other.machine.function(BDF).resetDone({ all: true });
  // The reset that runs has its window to itself.
  expect(await dev.info()).toMatchObject({ resetDepth: 1, blocked: true, gateOpen: false });
  expect(await write()).toMatchObject({ outcome: 'gate-closed' });
  answer();
  await eventually(async () => expect(await write()).toMatchObject({ outcome: 'performed' }));
  expect(await m.text(page, 4)).toBe('here');
  expect(await dev.info()).toMatchObject({ resetDepth: 0, blocked: false, gateOpen: true, busMaster: true });
});
