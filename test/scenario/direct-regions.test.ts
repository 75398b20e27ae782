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

const OPEN_IN_WINDOWS = { ...TOPOLOGY, iommu: { isolation: 'direct-regions' } };

scenario('firmware goes on through a reset window that leaves direct regions open', { topology: OPEN_IN_WINDOWS }, async (m) => {
  const dev = m.function('00:02.0');
  const page = await m.memory.alloc(4096);
  await dev.dma.map({ iova: 0x1000, address: page.address, bytes: 4096, access: 'rw' });
  const { logicalDomain } = await dev.info();
  const window = await dev.resetPrepare({ deadlineMs: 10 });
  expect(await dev.info()).toMatchObject({ blocked: true, logicalDomain, physicalDomain: { type: 'paging' }, atsEnabled: false });
  expect(await dev.model.write(0x5000_fffc, 'firm')).toMatchObject({ outcome: 'performed' });
  expect(await dev.model.write(0x5000_fffe, 'over')).toMatchObject({ outcome: 'gate-closed' });
  expect(await dev.model.write(0x1000, 'astray')).toMatchObject({ outcome: 'gate-closed' });
  expect(await dev.model.write(0x5000_0000, 'stale', { translated: true })).toMatchObject({ outcome: 'gate-closed' });
  await window.done();
  expect(await m.text(0x5000_fffcn, 4)).toBe('firm');
  expect(await dev.info()).toMatchObject({ blocked: false, physicalDomain: logicalDomain });
  expect(await dev.model.write(0x1000, 'driver')).toMatchObject({ outcome: 'performed' });
});

const WITHOUT = {
  schema: 'iommud.topology/v1',
  iommu: { blockedDomain: false },
  functions: [
    { address: '00:02.0', model: 'dma-probe' },
    { address: '00:03.0', model: 'dma-probe', defaultDomain: 'none' },
  ],
};

scenario('a driver without a blocked domain, and a group without a domain', { topology: WITHOUT }, async (m) => {
  const dev = m.function('00:02.0');
  const window = await dev.resetPrepare({ deadlineMs: 10 });
  expect(await dev.info()).toMatchObject({ blocked: true, physicalDomain: { type: 'paging' } });
  await window.done();
  expect(await refusal(m.domains.alloc({ type: 'blocked' }))).toBe('EOPNOTSUPP');
  const none = m.function('00:03.0');
  expect(await none.info()).toMatchObject({ logicalDomain: undefined, blocked: false });
  expect((await none.group()).defaultDomain).toBeUndefined();
  expect(await none.reset({ method: 'flr', deadlineMs: 10 })).toMatchObject({ warning: undefined });
  expect((await none.info()).logicalDomain).toBeUndefined();
  await none.attach(await m.domains.alloc({ type: 'paging' }));
  expect((await none.info()).logicalDomain?.type).toBe('paging');
});
