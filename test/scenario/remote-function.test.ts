/** A function that another process plays: how it may be accessed, and who keeps its configuration space. */
import { expect } from 'vitest';
import type { DeviceHandlers } from '../../client/src/index.ts';
import { eventually, refusal, scenario } from '../kit/scenario.ts';

const BDF = '00:04.0';
const COMMAND = 0x04;
const [MEMORY, MASTER] = [2, 4];

scenario('posted writes are done in order, and a read behind them sees them', { preset: 'basic' }, async (m) => {
  const log: string[] = [];
  const registers = new Map<number, bigint>();
  const emulator = await m.connect(['device']);
  await emulator.claimDevice(
    BDF,
    {
      async onRegionWrite({ offset, value }) {
        await Promise.resolve();
        log.push(`write ${offset}`);
        registers.set(offset, value);
      },
      onRegionRead({ offset }) {
        log.push(`read ${offset}`);
        return registers.get(offset) ?? 0n;
      },
    },
    { postedWrites: true },
  );
  const bar = m.function(BDF).bar(0);
  await bar.write(0, 4, 1);
  await bar.writeMany([
    { offset: 4, bytes: 4, value: 2 },
    { offset: 8, bytes: 2, value: 3 },
  ]);
  expect(await bar.read(8, 4)).toBe(3);
  expect(log).toEqual(['write 0', 'write 4', 'write 8', 'read 8']);
});

scenario('writes of one call: the first error is the answer, and all were made', { preset: 'basic' }, async (m) => {
  const seen: number[] = [];
  const emulator = await m.connect(['device']);
  await emulator.claimDevice(BDF, {
    onRegionWrite({ offset }) {
      seen.push(offset);
      if (offset === 4) throw new Error('no such register');
    },
  });
  const bar = m.function(BDF).bar(0);
  const writes = [0, 4, 8].map((offset) => ({ offset, bytes: 4, value: 1 }));
  expect(await refusal(bar.writeMany(writes))).toBe('EIO');
  expect(seen).toEqual([0, 4, 8]);
  expect(await refusal(bar.writeMany([...writes, { offset: 1, bytes: 4, value: 1 }]))).toBe('EINVAL');
  expect(seen).toEqual([0, 4, 8]);
});

scenario('a width that the emulator does not take is refused, and says which it takes', { preset: 'basic' }, async (m) => {
  const emulator = await m.connect(['device']);
  await emulator.claimDevice(BDF, { onRegionRead: () => 0x55n }, { widths: [4] });
  const bar = m.function(BDF).bar(0);
  expect(await bar.read(0, 4)).toBe(0x55);
  await expect(bar.read(0, 2)).rejects.toThrow('takes accesses of 4 bytes, not of 2');
});

scenario('the widths of the emulator are not those of its MSI-X table, which the server has', { preset: 'basic' }, async (m) => {
  const seen: number[] = [];
  const emulator = await m.connect(['device']);
  await emulator.claimDevice(
    BDF,
    { onRegionRead: ({ offset }) => (seen.push(offset), 0x55) },
    { widths: [1], declare: { bars: [{ bar: 2, size: '64KiB' }], capabilities: { msix: { vectors: 2 } } } },
  );
  const bar = m.function(BDF).bar(2);
  await bar.write(0, 8, 0xfee0_1000n);
  await bar.write(8, 4, 0x1234_5678);
  await bar.writeMany([{ offset: 16, bytes: 8, value: 0xfee0_2000n }]);
  expect([await bar.read(0, 4), await bar.read64(8), await bar.read(16, 4)]).toEqual([0xfee0_1000, 0x1_1234_5678n, 0xfee0_2000]);
  expect([await bar.read(0x20, 1), seen]).toEqual([0x55, [0x20]]);
  expect(await refusal(bar.read(0x20, 4))).toBe('EINVAL');
});

scenario('an emulator that keeps its configuration space', { preset: 'basic' }, async (m) => {
  const space = new Uint8Array(4096);
  const resets: string[] = [];
  const view = new DataView(space.buffer);
  const handlers: DeviceHandlers = {
    onRegionRead: ({ region, offset, bytes }) =>
      region === 7 ? (bytes === 4 ? view.getUint32(offset, true) : bytes === 2 ? view.getUint16(offset, true) : view.getUint8(offset)) : 0,
    onRegionWrite({ region, offset, bytes, value }) {
      if (region === 7) for (let i = 0; i < bytes; i++) space[offset + i] = Number((value >> BigInt(8 * i)) & 0xffn);
    },
    onReset(method) {
      resets.push(method);
      view.setUint16(COMMAND, 0, true);
    },
  };
  const emulator = await m.connect(['device']);
  const device = await emulator.claimDevice(BDF, handlers, { config: 'emulator' });
  space.set(device.config);
  view.setUint32(0, 0x0abc_1234, true);
  const dev = m.function(BDF);
  // Read-only registers are as the emulator has them.
  expect(await dev.config.read(0, 4)).toBe(0x0abc_1234);
  expect((await dev.config.readBytes(0, 8)).slice(0, 4)).toEqual(Uint8Array.of(0x34, 0x12, 0xbc, 0x0a));

  const page = await m.mapped(dev, 0x10000);
  await dev.config.write(COMMAND, 2, MEMORY);
  expect(await device.dma.write(0x10000, Uint8Array.of(1))).toMatchObject({ outcome: 'gate-closed' });
  await dev.config.write(COMMAND, 2, MEMORY | MASTER);
  expect(await device.dma.write(0x10000, new TextEncoder().encode('mine'))).toMatchObject({ outcome: 'performed' });
  expect(await m.text(page, 4)).toBe('mine');

  // The server saves and restores what it knows; the emulator is told.
  await dev.reset({ method: 'flr', deadlineMs: 10 });
  expect(resets).toEqual(['flr']);
  await eventually(() => expect(view.getUint16(COMMAND, true)).toBe(MEMORY | MASTER));
  expect(await dev.info()).toMatchObject({ busMaster: true });
});

scenario('a scatter list is one call with a result for each range', { preset: 'basic' }, async (m) => {
  const emulator = await m.connect(['device']);
  const { dma } = await emulator.claimDevice(BDF);
  const page = await m.mapped(m.function(BDF), 0x10000);
  const data = (words: string): Uint8Array => new TextEncoder().encode(words);
  const written = await dma.writeList([
    { iova: 0x10010, data: data('second') },
    { iova: 0x20000, data: data('nowhere') },
    { iova: 0x10000, data: data('first') },
  ]);
  expect(written.map(({ outcome, bytes }) => [outcome, bytes])).toEqual([
    ['performed', 6],
    ['not-present', 0],
    ['performed', 5],
  ]);
  expect([await m.text(page, 5), await m.text(page + 16n, 6)]).toEqual(['first', 'second']);
  const read = await dma.readList([
    { iova: 0x10fff, bytes: 2 },
    { iova: 0x10000, bytes: 5 },
  ]);
  expect(read).toMatchObject([
    { outcome: 'not-present', bytes: 1, failedIova: 0x11000n, data: Uint8Array.of(0) },
    { outcome: 'performed', data: data('first') },
  ]);
  expect(await refusal(dma.readList([{ iova: 0, bytes: 0 }]))).toBe('EINVAL');
});
