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
