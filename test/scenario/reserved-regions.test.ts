/** Reserved regions, and addresses that the kernel chooses: over the wire, from a topology document. */
import { expect } from 'vitest';
import { refusal, scenario } from '../kit/scenario.ts';

const TOPOLOGY = {
  schema: 'iommud.topology/v1',
  iommu: { dmaFlush: 'lazy' },
  functions: [
    { address: '00:00.0', model: 'host-bridge' },
    {
      address: '00:02.0',
      model: 'dma-probe',
      directRegions: [{ address: '0x50000000', size: '64KiB' }],
      reservedRegions: [
        { address: '0x8000000', size: '1MiB', type: 'sw-msi' },
        { address: '0x50010000', size: '64KiB', type: 'direct' },
        { address: '0x60000000', size: '4KiB', type: 'reserved' },
      ],
    },
  ],
};

scenario('reserved regions are as sysfs shows them', { topology: TOPOLOGY }, async (m) => {
  const dev = m.function('00:02.0');
  expect((await dev.info()).reservedRegions).toEqual([
    { address: 0x800_0000n, bytes: 0x10_0000n, type: 'msi' },
    { address: 0x5000_0000n, bytes: 0x2_0000n, type: 'direct' },
    { address: 0x6000_0000n, bytes: 0x1000n, type: 'reserved' },
    { address: 0xfee0_0000n, bytes: 0x10_0000n, type: 'msi' },
  ]);
  expect(await dev.model.write(0x5001_fffc, 'firm')).toMatchObject({ outcome: 'performed' });
});

scenario('what a driver maps without an address gets one, and is flushed later', { topology: TOPOLOGY, clock: 'manual' }, async (m) => {
  const dev = m.function('00:02.0');
  const address = await m.pages(2);
  const { iova } = await dev.dma.map({ address, bytes: 8192, access: 'rw' });
  expect(iova).toBe(0xffff_e000n);
  expect(await dev.model.write(iova, 'mine')).toMatchObject({ outcome: 'performed' });
  expect(await dev.dma.unmap({ iova, bytes: 8192 })).toMatchObject({ bytes: 8192n });
  expect(await dev.model.write(iova, 'late')).toMatchObject({ outcome: 'performed' });
  await m.clock.advance({ ms: 10 });
  expect(await dev.model.write(iova, 'gone')).toMatchObject({ outcome: 'not-present' });
  expect(await m.text(address, 4)).toBe('late');
  const { defaultDomain } = await dev.group();
  expect(await refusal(m.domains.get(defaultDomain!.domain).map({ address, bytes: 8192, access: 'rw' }))).toBe('EINVAL');
});

/** An Arm virtual machine: IORT has its GIC's doorbell as a region that is mapped 1:1 (RMR), so that MSIs pass both stages. */
const MSI_THROUGH_RMR = {
  schema: 'iommud.topology/v1',
  functions: [
    { address: '00:00.0', model: 'host-bridge' },
    { address: '00:02.0', model: 'dma-probe', reservedRegions: [{ address: '0x50000000', size: '64KiB', type: 'direct' }] },
    { address: '00:03.0', model: 'dma-probe', reservedRegions: [{ address: '0x50000000', size: '64KiB', type: 'direct-relaxable' }] },
  ],
};

for (const behaviour of ['strict', 'linux-7.1'] as const) {
  const options = { topology: MSI_THROUGH_RMR, behaviour };
  scenario(`${behaviour}: what is MSI's way through a reserved region can be reset, and never claimed`, options, async (m) => {
    const dev = m.function('00:02.0');
    const doorbell = 0x5000_0040n;
    expect(await dev.model.write(doorbell, 'msi0')).toMatchObject({ outcome: 'performed' });
    // Policy: neither an owner, nor a blocking domain, nor an address space that would leave the region out.
    expect(await refusal(dev.claimOwner())).toBe('EINVAL');
    expect(await refusal(dev.attach(await m.domains.alloc({ type: 'blocked' })))).toBe('EINVAL');
    expect(await refusal(dev.attach(await m.ioas.create()))).toBe('EINVAL');
    // The low-level attach of the window asks nobody: the function is blocked, its doorbell too, and afterwards all is as it was.
    const window = await dev.resetPrepare({ deadlineMs: 10 });
    expect(await dev.info()).toMatchObject({ blocked: true, physicalDomain: { type: 'blocked' }, logicalDomain: { type: 'paging' } });
    expect(await refusal(dev.claimOwner())).toBe('EBUSY');
    await window.done();
    expect(await dev.info()).toMatchObject({ blocked: false, physicalDomain: { type: 'paging' } });
    expect(await dev.reset({ method: 'flr', deadlineMs: 10 })).toMatchObject({ method: 'flr', warning: undefined });
    expect(await dev.model.write(doorbell, 'msi1')).toMatchObject({ outcome: 'performed' });
    expect(await m.text(doorbell, 4)).toBe('msi1');
    // Where the function can do without it, all of it is allowed, and an area may even be there.
    const relaxed = m.function('00:03.0');
    await relaxed.claimOwner();
    const ioas = await m.ioas.create();
    await ioas.map({ iova: doorbell & ~0xfffn, address: await m.pages(1), bytes: 4096, access: 'rw' });
    await relaxed.attach(ioas);
  });
}
