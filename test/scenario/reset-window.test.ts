/** The reset window over every driver: what a host sees of prepare, done, and of others in between. */
import { expect } from 'vitest';
import { untilInFlight } from '../kit/in-flight.ts';
import { refusal, scenario, settled } from '../kit/scenario.ts';

const IOVA = 0x10000;
const PAGE_BYTES = 4096;

scenario('prepare blocks, done gives back the mappings that are current then', {}, async (m) => {
  const dev = m.function('00:02.0');
  const old = await m.mapped(dev, IOVA);
  expect(await dev.model.write(IOVA, 'old', { translated: true })).toMatchObject({ outcome: 'performed' });

  const window = await dev.resetPrepare({ deadlineMs: 10 });
  expect(window.report).toMatchObject({ depth: 1, completed: 1, timedOut: 0 });
  expect(await m.windows.next()).toMatchObject({ open: true, depth: 1 });
  expect(await dev.model.write(IOVA, 'inside')).toMatchObject({ outcome: 'gate-closed' });
  expect(await dev.dma.unmap({ iova: IOVA, bytes: PAGE_BYTES })).toMatchObject({ bytes: 4096n, timedOut: 0 });
  const fresh = await m.mapped(dev, IOVA);
  await window.done();

  expect(await dev.model.write(IOVA, 'new', { translated: true })).toMatchObject({ outcome: 'performed' });
  expect([await m.text(old, 3), await m.text(fresh, 3)]).toEqual(['old', 'new']);
});

scenario('the same token gets the same answer, another one nests, an unknown one changes nothing', {}, async (m) => {
  const dev = m.function('00:02.0');
  const first = await dev.resetPrepare({ deadlineMs: 10, token: 'mine' });
  const again = await dev.resetPrepare({ deadlineMs: 10, token: 'mine' });
  expect(again.report).toMatchObject({ depth: 1, completed: first.report.completed });
  expect((await dev.resetPrepare({ deadlineMs: 10, token: 'nested' })).report.depth).toBe(2);

  expect(await dev.resetDone({ token: 'never opened' })).toMatchObject({
    depth: 2,
    warning: expect.stringContaining('never opened') as string,
  });
  expect((await dev.info()).windows).toEqual(['mine', 'nested']);
  expect(await dev.resetDone({ token: 'nested' })).toMatchObject({ depth: 1 });
  expect((await dev.info()).blocked).toBe(true);
  expect(await dev.resetDone({ token: 'mine' })).toMatchObject({ depth: 0 });
  expect((await dev.info()).blocked).toBe(false);
});

scenario('attach is EBUSY in the window, for the sibling too; detach is not', { preset: 'siblings' }, async (m) => {
  const [first, second] = [m.function('00:05.0'), m.function('00:05.1')];
  expect((await first.group()).members).toEqual(['00:05.0', '00:05.1']);
  const domain = await m.domains.alloc();
  const window = await first.resetPrepare({ deadlineMs: 10 });
  expect(await refusal(first.attach(domain))).toBe('EBUSY');
  expect(await refusal(second.attach(domain))).toBe('EBUSY');
  expect(await refusal(second.pasid(3).attach(domain))).toBe('EBUSY');
  expect(await refusal(first.claimOwner())).toBe('EBUSY');
  await second.detach();
  await window.done();
  await second.attach(domain);
  expect((await first.info()).physicalDomain).toMatchObject({ domain: domain.id });
});

scenario('a host that is gone leaves its function blocked, and another host ends the window', {}, async (m) => {
  const dev = m.function('00:02.0');
  await m.mapped(dev, IOVA);
  const other = await m.connect(['host']);
  await other.machine.function('00:02.0').resetPrepare({ deadlineMs: 10, token: 'theirs' });
  await other.close();
  expect(await dev.info()).toMatchObject({ blocked: true, windows: ['theirs'] });
  expect(await dev.model.write(IOVA, 'x')).toMatchObject({ outcome: 'gate-closed' });
  expect(await dev.resetDone({ all: true })).toMatchObject({ depth: 0 });
  expect(await dev.model.write(IOVA, 'x')).toMatchObject({ outcome: 'performed' });
});

scenario('while prepare drains, an attach waits its turn and a map does not', { clock: 'manual' }, async (m) => {
  const dev = m.function('00:02.0');
  await m.mapped(dev, IOVA);
  const held = dev.model.write(IOVA, 'held', { hold: 'translated' });
  await untilInFlight(dev);
  const prepare = dev.resetPrepare({ deadlineMs: 10 });
  const attach = refusal(dev.attach(await m.domains.alloc()));
  await m.mapped(dev, IOVA + PAGE_BYTES);
  expect(await dev.group()).toMatchObject({ busy: true, waiting: 1 });
  expect([await settled(prepare, m), await settled(attach, m)]).toEqual([false, false]);
  await m.clock.advance({ ms: 5 });
  await dev.release();
  expect(await held).toMatchObject({ outcome: 'performed' });
  expect((await prepare).report).toMatchObject({ drained: 1, aborted: 0, elapsedMs: 5 });
  expect(await attach).toBe('EBUSY');
});

scenario(
  'linux-7.1 without a window: the invalidation to a resetting function times out, and unmap succeeds',
  { behaviour: 'linux-7.1', clock: 'manual' },
  async (m) => {
    const dev = m.function('00:02.0');
    await m.mapped(dev, IOVA);
    await dev.model.write(IOVA, 'x', { translated: true });
    const reset = dev.reset({ method: 'flr', window: false, deadlineMs: 0 });
    const unmap = dev.dma.unmap({ iova: IOVA, bytes: PAGE_BYTES });
    await m.clock.advance({ ms: 100 });
    expect(await reset).toMatchObject({ method: 'flr', skipped: true });
    expect(await settled(unmap, m)).toBe(false);
    await m.clock.advance({ ms: 60_000 });
    expect(await unmap).toMatchObject({ bytes: 4096n, timedOut: 1, elapsedMs: 60_000 });
    expect((await m.logs.next()).text).toContain('did not answer an Invalidate Request');
  },
);

scenario('prepare and done on a machine without an IOMMU do nothing', { preset: 'no-iommu' }, async (m) => {
  const dev = m.function('00:02.0');
  const window = await dev.resetPrepare({ deadlineMs: 10 });
  expect(window.report).toMatchObject({ skipped: true, depth: 0 });
  expect(await window.done()).toMatchObject({ skipped: true });
});
