/** How a group's default domain is chosen, and changed: iommu.passthrough, what drivers insist on, untrusted functions, sysfs `type`. */
import { expect } from 'vitest';
import { refusal, scenario } from '../kit/scenario.ts';

const functions = [
  { address: '00:02.0', model: 'dma-probe' },
  { address: '00:03.0', model: 'dma-probe', defaultDomain: 'identity' },
  { address: '00:04.0', model: 'dma-probe', defaultDomain: 'paging' },
  { address: '00:05.0', model: 'dma-probe', untrusted: true },
];
const TOPOLOGY = { schema: 'iommud.topology/v1', functions };
const PASSTHROUGH = { ...TOPOLOGY, iommu: { defaultDomain: 'identity', dmaFlush: 'lazy' } };
const LAZY = { ...TOPOLOGY, iommu: { dmaFlush: 'lazy' } };
const PLACES = functions.map(({ address }) => address);

scenario('every group has the default domain that its functions and the machine agree on', { topology: TOPOLOGY }, async (m) => {
  const types = await Promise.all(PLACES.map(async (at) => (await m.function(at).group()).defaultType));
  expect(types).toEqual(['dma', 'identity', 'dma', 'dma']);
  expect((await m.function('00:02.0').info()).atsEnabled).toBe(true);
  expect(await m.function('00:05.0').info()).toMatchObject({ atsEnabled: false, logicalDomain: { type: 'paging' } });
  expect(await m.function('00:05.0').model.translate(0x1000)).toMatchObject({ outcome: 'ats-forbidden' });
});

scenario('iommu.passthrough=1 holds where no function says otherwise', { topology: PASSTHROUGH }, async (m) => {
  const types = await Promise.all(PLACES.map(async (at) => (await m.function(at).group()).defaultType));
  expect(types).toEqual(['identity', 'identity', 'dma', 'dma']);
});

scenario('lazy flush is for functions that are trusted', { topology: LAZY }, async (m) => {
  const types = await Promise.all(PLACES.map(async (at) => (await m.function(at).group()).defaultType));
  expect(types).toEqual(['dma-fq', 'identity', 'dma', 'dma']);
});

scenario(
  'in direct mode DMA addresses are physical, which is said once, and a reset keeps nothing out of its window',
  { topology: PASSTHROUGH },
  async (m) => {
    const dev = m.function('00:02.0');
    const page = await m.memory.alloc(4096);
    const mapped = await dev.dma.map({ address: page.address, bytes: 4096, access: 'rw' });
    expect(mapped.iova).toBe(page.address);
    expect(await dev.dma.iovaToPhys(page.address)).toBe(page.address);
    expect(await dev.model.write(page.address, 'direct')).toMatchObject({ outcome: 'performed' });
    const window = await dev.resetPrepare({ deadlineMs: 10 });
    expect(await dev.info()).toMatchObject({ blocked: true, logicalDomain: { type: 'identity' }, physicalDomain: { type: 'blocked' } });
    expect(await dev.model.write(page.address, 'astray')).toMatchObject({ outcome: 'gate-closed' });
    await window.done();
    expect(await dev.model.write(page.address, 'always')).toMatchObject({ outcome: 'performed' });
    expect(await dev.dma.unmap({ iova: page.address, bytes: 4096 })).toMatchObject({ bytes: 0n, timedOut: 0 });
    expect(await m.text(page.address, 6)).toBe('always');
  },
);

scenario('another default domain', { topology: TOPOLOGY }, async (m) => {
  const dev = m.function('00:02.0');
  const page = await m.memory.alloc(4096);
  const { iova } = await dev.dma.map({ address: page.address, bytes: 4096, access: 'rw' });
  const { defaultDomain: first } = await dev.group();

  // The domain stays: what is mapped in it does too.
  await dev.setDefaultDomain('dma-fq');
  expect(await dev.group()).toMatchObject({ defaultType: 'dma-fq', defaultDomain: first });
  expect(await dev.model.write(iova, 'one')).toMatchObject({ outcome: 'performed' });

  await dev.setDefaultDomain('identity');
  expect(await dev.group()).toMatchObject({ defaultType: 'identity', domain: { type: 'identity' } });
  expect(await dev.info()).toMatchObject({ physicalDomain: { type: 'identity' }, atsEnabled: false });
  expect(await dev.model.write(page.address, 'two')).toMatchObject({ outcome: 'performed' });
  expect(await refusal(m.domains.get(first!.domain).iovaToPhys(iova))).toBe('ENOENT');

  await dev.setDefaultDomain('auto');
  const { defaultDomain: second } = await dev.group();
  expect(second?.domain).not.toBe(first?.domain);
  expect(await dev.info()).toMatchObject({ physicalDomain: second, logicalDomain: second, atsEnabled: true });
  expect(await dev.model.write(iova, 'three')).toMatchObject({ outcome: 'not-present' });

  expect(await refusal(m.function('00:03.0').setDefaultDomain('dma'))).toBe('EINVAL');
  expect(await refusal(m.function('00:05.0').setDefaultDomain('identity'))).toBe('EINVAL');
  await dev.claimOwner();
  expect(await refusal(dev.setDefaultDomain('identity'))).toBe('EPERM');
  await dev.releaseOwner();
  const other = await m.domains.alloc({ type: 'paging' });
  await dev.attach(other);
  expect(await refusal(dev.setDefaultDomain('identity'))).toBe('EPERM');
  await dev.detach();
  const window = await dev.resetPrepare({ deadlineMs: 10 });
  expect(await refusal(dev.setDefaultDomain('identity'))).toBe('EBUSY');
  // Nothing is moved by this one.
  await dev.setDefaultDomain('dma-fq');
  await window.done();
  expect(await dev.group()).toMatchObject({ defaultType: 'dma-fq', defaultDomain: second });
});

scenario('what is not mapped of a domain', { topology: TOPOLOGY }, async (m) => {
  const domain = await m.domains.alloc({ type: 'paging' });
  const page = await m.memory.alloc(4096);
  const range = { iova: 0, bytes: 1n << 47n };
  expect(await domain.unmapped(range)).toEqual([{ first: 0n, last: (1n << 47n) - 1n }]);
  for (const iova of [0x2000, 0x3000, 0x5000]) await domain.map({ iova, address: page.address, bytes: 4096, access: 'rw' });
  expect(await domain.unmapped({ iova: 0x1000, bytes: 0x6000 })).toEqual([
    { first: 0x1000n, last: 0x1fffn },
    { first: 0x4000n, last: 0x4fffn },
    { first: 0x6000n, last: 0x6fffn },
  ]);
  expect(await domain.unmapped({ iova: 0x2000, bytes: 0x2000 })).toEqual([]);
  expect(await refusal(domain.unmapped({ iova: 0x2001, bytes: 0x2000 }))).toBe('EINVAL');
  expect(await refusal(domain.unmapped({ iova: 0x2000, bytes: 0 }))).toBe('EINVAL');
  const guest = await m.domains.alloc({ type: 'paging', format: 'riscv-sv39', root: page.address });
  expect(await refusal(guest.unmapped(range))).toBe('EOPNOTSUPP');
});

scenario('holes beyond what one answer has room for', { topology: TOPOLOGY }, async (m) => {
  const domain = await m.domains.alloc({ type: 'paging' });
  const page = await m.memory.alloc(4096);
  const maps = Array.from({ length: 1100 }, (_, i) => domain.map({ iova: i * 0x2000, address: page.address, bytes: 4096, access: 'r' }));
  await Promise.all(maps);
  const holes = await domain.unmapped({ iova: 0, bytes: 1100 * 0x2000 });
  expect(holes).toEqual(
    Array.from({ length: 1100 }, (_, i) => ({ first: BigInt(i * 0x2000 + 0x1000), last: BigInt(i * 0x2000 + 0x1fff) })),
  );
});
