/** What is wrong is refused with its code, and nothing has changed. */
import { expect } from 'vitest';
import { refusal, scenario } from '../kit/scenario.ts';

const IOVA = 0x10000;
const PAGE_BYTES = 4096;

scenario('maps: misaligned, empty, not canonical, too wide, overlapping', {}, async (m) => {
  const dev = m.function('00:02.0');
  const page = await m.mapped(dev, IOVA);
  const wrong = (fields: object) => refusal(dev.dma.map({ iova: 0x20000, address: page, bytes: PAGE_BYTES, access: 'rw', ...fields }));
  expect(await wrong({ iova: 0x20001 })).toBe('EINVAL');
  expect(await wrong({ address: page + 8n })).toBe('EINVAL');
  expect(await wrong({ bytes: 100 })).toBe('EINVAL');
  expect(await wrong({ bytes: 0 })).toBe('EINVAL');
  expect(await wrong({ iova: 0x0000_8000_0000_0000n })).toBe('EINVAL');
  expect(await wrong({ iova: 0x0010_0000_0002_0000n })).toBe('EINVAL');
  expect(await wrong({ address: 1n << 60n })).toBe('EINVAL');
  expect(await wrong({ iova: IOVA })).toBe('EADDRINUSE');
  expect(await wrong({ iova: IOVA - PAGE_BYTES, bytes: 3 * PAGE_BYTES })).toBe('EADDRINUSE');
  expect(await refusal(dev.dma.unmap({ iova: IOVA + 1, bytes: PAGE_BYTES }))).toBe('EINVAL');
  expect(await refusal(dev.dma.unmap({ iova: IOVA, bytes: 0 }))).toBe('EINVAL');
  expect(await dev.dma.iovaToPhys(IOVA - PAGE_BYTES)).toBeUndefined();
  expect(await dev.dma.iovaToPhys(0x20000)).toBeUndefined();
  expect(await dev.dma.iovaToPhys(IOVA + 5)).toBe(page + 5n);
});

scenario('DMA to addresses that a double would round faults for the right reason', {}, async (m) => {
  const dev = m.function('00:02.0');
  await m.mapped(dev, IOVA);
  for (const [iova, outcome] of [
    [0x0020_0000_0001_0000n, 'not-canonical'],
    [0x8000_0000_0001_0000n, 'not-canonical'],
    [0xffff_8000_0001_0000n, 'not-present'],
    [0xffff_ffff_ffff_ffffn, 'not-present'],
  ] as const) {
    expect(await dev.model.write(iova, 'x')).toMatchObject({ outcome, bytes: 0, failedIova: iova });
    expect(await m.faults.next()).toMatchObject({ iova });
  }
});

scenario('unknown functions, domains, PASIDs and models', {}, async (m) => {
  const [dev, nobody] = [m.function('00:02.0'), m.function('7f:1f.7')];
  expect(await refusal(nobody.info())).toBe('ENODEV');
  expect(await refusal(nobody.resetPrepare({ deadlineMs: 1 }))).toBe('ENODEV');
  expect(await refusal(dev.attach(m.domains.get(999)))).toBe('ENOENT');
  expect(await refusal(m.domains.get(999).free())).toBe('ENOENT');
  expect(await refusal(dev.pasid(0).attach(await m.domains.alloc()))).toBe('EINVAL');
  expect(await refusal(dev.pasid(5).unmap({ iova: IOVA, bytes: PAGE_BYTES }))).toBe('ENOENT');
  expect(await refusal(m.function('00:04.0').model.write(IOVA, 'x'))).toBe('EOPNOTSUPP');
  expect(await refusal(dev.reset({ method: 'pm', deadlineMs: 1 }))).toBe('ENOTTY');
  expect(await refusal(dev.release(12345))).toBe('ENOENT');
  expect(await refusal(dev.faults.arm('hold'))).toBe('EINVAL');
});

scenario('memory that is not there, too much of it, and roles that do not fit', {}, async (m) => {
  expect(await refusal(m.memory.read(0x10n, 16))).toBe('EFAULT');
  expect(await refusal(m.memory.write(0xff_ffff_ffff_f000n, new Uint8Array(8)))).toBe('EFAULT');
  const page = await m.pages(1);
  const owner = await m.connect(['memory']);
  expect(
    await refusal(owner.serveMemory({ address: page, bytes: PAGE_BYTES }, { read: () => new Uint8Array(0), write: () => undefined })),
  ).toBe('EADDRINUSE');
  expect(await refusal(owner.machine.function('00:02.0').config.read(0, 4))).toBe('EPERM');
  const watcher = await m.connect(['observer']);
  expect(await refusal(watcher.machine.function('00:02.0').config.write(4, 2, 0))).toBe('EPERM');
  expect(await refusal(watcher.machine.function('00:02.0').reset({ method: 'flr', deadlineMs: 0 }))).toBe('EPERM');
  expect((await m.function('00:02.0').info()).resetDepth).toBe(0);
});

// The probe is no slot.
scenario('a slot that is taken, or is no slot', { played: 'none' }, async (m) => {
  const [first, second] = [await m.connect(['device']), await m.connect(['device'])];
  await first.claimDevice('00:04.0', {});
  expect(await refusal(second.claimDevice('00:04.0', {}))).toBe('EBUSY');
  expect(await refusal(second.claimDevice('00:02.0', {}))).toBe('EOPNOTSUPP');
});

scenario('what an emulator gets wrong is a clear error, and never more than its own', {}, async (m) => {
  const emulator = await m.connect(['device']);
  const wide = { onRegionRead: () => 0x1_0000_0000n } as const;
  const device = await emulator.claimDevice('00:04.0', wide);
  const dev = m.function('00:04.0');
  // Too many bytes for a register of 4, and right for one of 8.
  expect(await refusal(dev.bar(0).read(0, 4))).toBe('EPROTO');
  expect(await dev.bar(0).read64(0)).toBe(0x1_0000_0000n);
  // Bus Master Enable is clear, or its window is open.
  await dev.config.write(0x04, 2, 2);
  expect(await device.dma.write(IOVA, new Uint8Array(4))).toMatchObject({ outcome: 'gate-closed', bytes: 0 });
  await dev.config.write(0x04, 2, 6);
  const window = await dev.resetPrepare({ deadlineMs: 0 });
  expect(await device.dma.read(IOVA, 4)).toMatchObject({ outcome: 'gate-closed' });
  await window.done();
  expect(await device.dma.read(IOVA, 4)).toMatchObject({ outcome: 'not-present' });
  // It may still be claimed by another when this one has gone.
  await device.release();
  expect(await refusal(device.dma.read(IOVA, 4))).toBe('EPERM');
});
