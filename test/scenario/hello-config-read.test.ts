import { expect } from 'vitest';
import { refusal, scenario } from '../kit/scenario.ts';

const COMMAND = 0x04;
const BAR0 = 0x10;
const CLASS_AND_REVISION = 0x08;
const BUS_MASTER = 0x4;

scenario('a host reads the configuration space of a function', { preset: 'basic' }, async (m) => {
  const info = await m.function('00:02.0').info();
  const dev = m.function('00:02.0');

  expect(await dev.config.read(0, 4)).toBe(((info.device << 16) | info.vendor) >>> 0);
  expect((await dev.config.read(CLASS_AND_REVISION, 4)) >>> 8).toBe(info.classCode);
  // Registers of one word, read as one, two and four bytes, agree.
  const [whole, low, high] = await Promise.all([dev.config.read(0, 4), dev.config.read(0, 2), dev.config.read(2, 2)]);
  expect(whole).toBe(((high << 16) | low) >>> 0);
  expect(await dev.config.readBytes(0, 64)).toHaveLength(64);
});

scenario('what a host writes to a register is what it reads', { preset: 'basic' }, async (m) => {
  const { config } = m.function('00:02.0');
  const before = await config.read(COMMAND, 2);
  await config.write(COMMAND, 2, before & ~BUS_MASTER);
  expect(await config.read(COMMAND, 2)).toBe(before & ~BUS_MASTER);
  await config.write(COMMAND, 2, before | BUS_MASTER);
  expect(await config.read(COMMAND, 2)).toBe(before | BUS_MASTER);
});

scenario('an access that configuration space does not have is refused', { preset: 'basic' }, async (m) => {
  const { config } = m.function('00:02.0');
  expect(await refusal(config.read(0, 3))).toBe('EINVAL');
  expect(await refusal(config.read(2, 4))).toBe('EINVAL');
  expect(await refusal(config.read(4096, 4))).toBe('EINVAL');
  expect(await refusal(config.read64(0))).toBe('EINVAL');
  expect(await refusal(m.function('00:1f.7').config.read(0, 4))).toBe('ENODEV');
});

scenario('many registers are read at once as they are one by one', { preset: 'basic' }, async (m) => {
  const { config } = m.function('00:02.0');
  const whole = await config.readBytes(0, 4096);
  expect(whole).toHaveLength(4096);
  const words = new DataView(whole.buffer, whole.byteOffset);
  for (const offset of [0, 4, 0x3c, 0x40, 0x100, 4092]) expect(words.getUint32(offset, true)).toBe(await config.read(offset, 4));
  expect(await config.readBytes(0xc, 8)).toEqual(whole.slice(0xc, 0x14));
  expect(await config.readBytes(0, 0)).toHaveLength(0);
  expect(await refusal(config.readBytes(2, 4))).toBe('EINVAL');
  expect(await refusal(config.readBytes(0, 6))).toBe('EINVAL');
  expect(await refusal(config.readBytes(4092, 8))).toBe('EINVAL');
  expect(await refusal(config.readBytes(0, 8192))).toBe('EINVAL');
  // Nobody plays it.
  expect(await m.function('00:04.0').config.readBytes(0, 8)).toEqual(new Uint8Array(8).fill(0xff));
});

scenario('a host is told where base address registers are, and how large', { preset: 'basic' }, async (m) => {
  const dev = m.function('00:02.0');
  const [bar, msix] = await dev.regions();
  expect([bar, msix]).toMatchObject([
    { region: 0, kind: 'memory32', bytes: 4096n },
    { region: 2, kind: 'memory32', bytes: 65536n },
  ]);
  // By sizing: all ones are written, and the address that is left says the size; what it tells follows what software programs.
  await dev.config.write(BAR0, 4, 0xffff_ffff);
  expect(~(await dev.config.read(BAR0, 4)) & ~0xf).toBe(4096 - 0x10);
  await dev.config.write(BAR0, 4, 0xfe00_0000);
  expect(await dev.regions()).toEqual([{ ...bar, address: 0xfe00_0000n }, msix]);
  expect(await m.function('00:00.0').regions()).toEqual([]);
  expect(await refusal(m.function('00:1f.7').regions())).toBe('ENODEV');
});
