/** An emulator that is started anew, or never again; and functions that come with their claims. */
import { expect } from 'vitest';
import { eventually, refusal, scenario } from '../kit/scenario.ts';

const BDF = '00:04.0';
const IOVA = 0x10000;
const DECLARED = { vendor: '0x1af4', device: '0x1041', class: '0x020000', bars: [{ bar: 0, size: '16KiB' }] };

scenario('an emulator that is started anew finds what hosts have set up, and the host sees a reset', { preset: 'basic' }, async (m) => {
  const first = await m.connect(['device']);
  const old = await first.claimDevice(BDF);
  const dev = m.function(BDF);
  const page = await m.mapped(dev, IOVA);
  await dev.config.write(0x3c, 1, 0x2a);
  expect(await old.dma.write(IOVA, new TextEncoder().encode('old'))).toMatchObject({ outcome: 'performed' });
  await first.close();
  await eventually(async () => expect((await dev.info()).absent).toBe(true));
  expect(await dev.config.read(0, 4)).toBe(0xffff_ffff);

  const resets: string[] = [];
  const second = await m.connect(['device']);
  const fresh = await second.claimDevice(BDF, { onReset: (method) => void resets.push(method) });
  expect([fresh.restarted, fresh.config[0x3c]]).toEqual([true, 0x2a]);
  await eventually(() => expect(m.driverCalls.take().map(({ callback }) => callback)).toContain('reset_done'));
  expect(resets).toEqual(['flr']);
  expect(await dev.config.read(0x3c, 1)).toBe(0x2a);
  expect(await fresh.dma.write(IOVA, new TextEncoder().encode('new'))).toMatchObject({ outcome: 'performed' });
  expect(await m.text(page, 3)).toBe('new');
  expect(m.hotplug.take()).toEqual([]);
});

scenario(
  'an emulator that does not come back is pulled out, and its slot can be claimed again',
  { preset: 'basic', peerGraceMs: 20 },
  async (m) => {
    const first = await m.connect(['device']);
    await first.claimDevice(BDF);
    await first.close();
    const gone = await m.hotplug.next();
    expect(gone).toMatchObject({ function: BDF, present: false, reason: 'surprise' });
    expect(await refusal(m.function(BDF).info())).toBe('ENODEV');
    const second = await m.connect(['device']);
    const fresh = await second.claimDevice(BDF);
    expect(fresh.restarted).toBe(false);
    expect(await m.hotplug.next()).toMatchObject({ function: BDF, present: true });
    expect((await m.function(BDF).info()).absent).toBe(false);
  },
);

scenario('what a claim declares takes the place of the slot', { preset: 'basic' }, async (m) => {
  const emulator = await m.connect(['device']);
  await emulator.claimDevice(BDF, { onRegionRead: ({ offset }) => offset }, { declare: DECLARED });
  const dev = m.function(BDF);
  expect(await dev.info()).toMatchObject({ vendor: 0x1af4, device: 0x1041, classCode: 0x02_0000 });
  expect(await dev.regions()).toMatchObject([{ region: 0, kind: 'memory32', bytes: 16384n }]);
  expect(await dev.bar(0).read(0x3ffc, 4)).toBe(0x3ffc);
  const other = await m.connect(['device']);
  const bars = [
    { bar: 0, size: '4KiB', kind: 'memory64' },
    { bar: 1, size: '4KiB' },
  ];
  expect(await refusal(other.claimDevice(BDF, {}, { declare: { bars } }))).toBe('EINVAL');
  expect(await refusal(other.claimDevice(BDF, {}, { declare: DECLARED }))).toBe('EBUSY');
});

const WITH_PORT = {
  schema: 'iommud.topology/v1',
  functions: [{ address: '00:1c.0', model: 'root-port', slot: { memory: '2MiB' } }],
};

scenario('a function that is plugged below a port with its claim goes with it', { topology: WITH_PORT }, async (m) => {
  const emulator = await m.connect(['device']);
  const device = await emulator.plugDevice('00:1c.0', { onRegionRead: () => 0x77n }, { declare: { address: '00.0', ...DECLARED } });
  expect(device.bdf).toBe('01:00.0');
  expect(await m.hotplug.next()).toMatchObject({ function: '01:00.0', present: true });
  const dev = m.function('01:00.0');
  expect(await dev.config.read(0, 4)).toBe(0x1041_1af4);
  expect(await dev.bar(0).read(0, 4)).toBe(0x77);
  expect(await refusal(emulator.plugDevice('00:1c.0', {}, { declare: { address: '00.0' } }))).toBe('EBUSY');
  await device.release();
  expect(await m.hotplug.next()).toMatchObject({ function: '01:00.0', present: false });
  expect(await refusal(dev.info())).toBe('ENODEV');
});
