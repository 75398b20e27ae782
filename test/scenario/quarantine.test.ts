/** A function whose reset has failed, over every driver: what it is kept from, and its ways out. */
import { expect } from 'vitest';
import type { FunctionHandle } from '../../client/src/index.ts';
import { refusal, scenario, type ScenarioMachine } from '../kit/scenario.ts';

const IOVA = 0x10000;
const COMMAND = 4;
const MEMORY_AND_BUS_MASTER = 6;

/** Claimed, with a domain of its owner, and dead once. */
async function quarantined(m: ScenarioMachine): Promise<{ dev: FunctionHandle; attach: () => Promise<unknown>; page: bigint }> {
  const dev = m.function('00:02.0');
  const domain = await m.domains.alloc();
  const page = await m.pages(1);
  await domain.map({ iova: IOVA, address: page, bytes: 4096, access: 'rw' });
  await dev.claimOwner();
  await dev.attach(domain);
  expect(await dev.model.write(IOVA, 'first', { translated: true })).toMatchObject({ outcome: 'performed' });
  await dev.faults.arm('never-ready');
  expect(await refusal(dev.reset({ method: 'flr', deadlineMs: 10 }))).toBe('ENOTTY');
  await dev.faults.disarm('never-ready');
  return { dev, attach: () => dev.attach(domain), page };
}

scenario('release, reset and claim bring back a function whose reset failed', {}, async (m) => {
  const { dev, attach, page } = await quarantined(m);
  expect(await dev.info()).toMatchObject({ blocked: true, windows: [] });
  await dev.releaseOwner();
  expect(await dev.info()).toMatchObject({ blocked: true });
  expect(await dev.model.write(IOVA, 'never', { translated: true })).toMatchObject({ outcome: 'gate-closed' });
  expect(await dev.reset({ deadlineMs: 10 })).toMatchObject({ method: 'flr', depth: 0 });
  expect(await dev.info()).toMatchObject({ blocked: false });
  await dev.claimOwner();
  await attach();
  await dev.config.write(COMMAND, 2, MEMORY_AND_BUS_MASTER);
  expect(await dev.model.write(IOVA, 'again', { translated: true })).toMatchObject({ outcome: 'performed' });
  expect(await m.text(page, 5)).toBe('again');
});

scenario('its owner may also reset it where it is', {}, async (m) => {
  const { dev, page } = await quarantined(m);
  expect(await dev.reset({ deadlineMs: 10 })).toMatchObject({ method: 'flr' });
  await dev.config.write(COMMAND, 2, MEMORY_AND_BUS_MASTER);
  expect(await dev.model.write(IOVA, 'again', { translated: true })).toMatchObject({ outcome: 'performed' });
  expect(await m.text(page, 5)).toBe('again');
});

scenario('another reset that fails leaves it there', {}, async (m) => {
  const { dev, page } = await quarantined(m);
  await dev.faults.arm('never-ready');
  expect(await refusal(dev.reset({ method: 'flr', deadlineMs: 10 }))).toBe('ENOTTY');
  await dev.config.write(COMMAND, 2, MEMORY_AND_BUS_MASTER);
  expect(await dev.info()).toMatchObject({ blocked: true });
  expect(await dev.model.write(IOVA, 'never')).toMatchObject({ outcome: 'gate-closed' });
  expect(await m.text(page, 5)).toBe('first');
});

scenario('linux-7.1 quarantines nobody', { behaviour: 'linux-7.1' }, async (m) => {
  const { dev } = await quarantined(m);
  expect(await dev.info()).toMatchObject({ blocked: false });
});
