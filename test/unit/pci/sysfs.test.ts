/** Against what Linux 6.x prints (drivers/pci/pci-sysfs.c, `include/linux/ioport.h`); the flags are restated here. */
import { describe, expect, it } from 'vitest';
import { parseBdf, type Bdf } from '../../../server/src/core/base/index.ts';
import { sysfsFiles, sysfsName, sysfsSlot, type SysfsFunction, type SysfsRegion } from '../../../server/src/core/pci/index.ts';

const NOTHING = '0x0000000000000000 0x0000000000000000 0x0000000000000000';

function image(bytes: number, ...writes: readonly (readonly [offset: number, width: 1 | 2 | 4, value: number])[]): Uint8Array {
  const data = new Uint8Array(bytes);
  const view = new DataView(data.buffer);
  for (const [offset, width, value] of writes) {
    if (width === 1) view.setUint8(offset, value);
    else if (width === 2) view.setUint16(offset, value, true);
    else view.setUint32(offset, value, true);
  }
  return data;
}

function at(text: string): Bdf {
  const bdf = parseBdf(text);
  if (bdf === undefined) throw new Error(text);
  return bdf;
}

function fn(config: Uint8Array, rest: Partial<SysfsFunction> = {}): SysfsFunction {
  return { bdf: at('0001:02:1f.7'), config, regions: [], resetMethods: [], ...rest };
}

function lines(given: SysfsFunction): string[] {
  const text = sysfsFiles(given).get('resource');
  expect(text).toMatch(/\n$/);
  return String(text).trimEnd().split('\n');
}

const IDENTITY = [
  [0, 2, 0x8086],
  [2, 2, 0xabcd],
  [8, 4, 0x0c033001],
  [0x2c, 2, 0x1028],
  [0x2e, 2, 0x0a1b],
] as const;

describe('the files of an endpoint', () => {
  const files = sysfsFiles(fn(image(256, ...IDENTITY, [4, 2, 0x0400], [0x3c, 1, 11], [0x3d, 1, 1])));

  it('say what it is', () => {
    expect(Object.fromEntries(files)).toMatchObject({
      vendor: '0x8086\n',
      device: '0xabcd\n',
      class: '0x0c0330\n',
      revision: '0x01\n',
      subsystem_vendor: '0x1028\n',
      subsystem_device: '0x0a1b\n',
      irq: '11\n',
      enable: '0\n',
      numa_node: '-1\n',
      modalias: 'pci:v00008086d0000ABCDsv00001028sd00000A1Bbc0Csc03i30\n',
      uevent:
        'PCI_CLASS=C0330\nPCI_ID=8086:ABCD\nPCI_SUBSYS_ID=1028:0A1B\nPCI_SLOT_NAME=0001:02:1f.7\nMODALIAS=pci:v00008086d0000ABCDsv00001028sd00000A1Bbc0Csc03i30\n',
    });
  });

  it('have none of a bridge, a link, power management or a reset that it lacks', () => {
    for (const absent of ['secondary_bus_number', 'max_link_speed', 'power_state', 'reset', 'reset_method'])
      expect(files.has(absent)).toBe(false);
  });

  it('have no interrupt line where there is no pin', () => {
    expect(sysfsFiles(fn(image(256, ...IDENTITY, [0x3c, 1, 255]))).get('irq')).toBe('0\n');
  });

  it.each([1, 2, 4])('say that it is enabled when Command is %i', (command) => {
    expect(sysfsFiles(fn(image(256, ...IDENTITY, [4, 2, command]))).get('enable')).toBe('1\n');
  });

  it('list reset methods in order, and a reset that can be written', () => {
    const with2 = sysfsFiles(fn(image(256, ...IDENTITY), { resetMethods: ['flr', 'pm'] }));
    expect([with2.get('reset_method'), with2.get('reset')]).toEqual(['flr pm\n', '']);
  });
});

describe('the resources of an endpoint', () => {
  const region = (rest: Partial<SysfsRegion>): SysfsRegion => ({
    region: 0,
    kind: 'memory32',
    prefetchable: false,
    address: 0xfe00_0000n,
    bytes: 0x1000n,
    ...rest,
  });

  it.each([
    [region({}), '0x00000000fe000000 0x00000000fe000fff 0x0000000000040200'],
    [region({ prefetchable: true }), '0x00000000fe000000 0x00000000fe000fff 0x0000000000042208'],
    [region({ kind: 'memory64', address: 0x38_0000_0000n, bytes: 1n << 33n }), '0x0000003800000000 0x00000039ffffffff 0x0000000000140204'],
    [region({ kind: 'memory64', prefetchable: true }), '0x00000000fe000000 0x00000000fe000fff 0x000000000014220c'],
    [region({ kind: 'io', address: 0xc000n, bytes: 0x20n }), '0x000000000000c000 0x000000000000c01f 0x0000000000040101'],
    [region({ region: 6, kind: 'rom', address: 0n, bytes: 0x2_0000n }), '0x0000000000000000 0x000000000001ffff 0x0000000000046200'],
    [region({ bytes: undefined }), NOTHING],
  ])('%o', (given, line) => {
    const all = lines(fn(image(256, ...IDENTITY), { regions: [given] }));
    expect(all).toHaveLength(13);
    expect(all[given.region]).toBe(line);
    expect(all.filter((one) => one !== NOTHING)).toHaveLength(line === NOTHING ? 0 : 1);
  });
});

describe('the files of a bridge', () => {
  const BRIDGE = [
    [0, 2, 0x8086],
    [0xe, 1, 1],
    [0x19, 1, 5],
    [0x1a, 1, 9],
  ] as const;
  const windowsOf = (...writes: Parameters<typeof image>[1][]): string[] => lines(fn(image(256, ...BRIDGE, ...writes))).slice(13);

  it('have its buses, and four windows after the virtual functions of an endpoint', () => {
    const given = fn(image(256, ...BRIDGE));
    expect(lines(given)).toHaveLength(17);
    expect(sysfsFiles(given).get('secondary_bus_number')).toBe('5\n');
    expect(sysfsFiles(given).get('subordinate_bus_number')).toBe('9\n');
  });

  it('tell windows of 16 bits of I/O and 32 bits of memory', () => {
    expect(windowsOf([0x1c, 2, 0xd0c0], [0x20, 4, 0xfe9f_fe80], [0x24, 4, 0xc010_c000])).toEqual([
      '0x000000000000c000 0x000000000000dfff 0x0000000000000100',
      '0x00000000fe800000 0x00000000fe9fffff 0x0000000000000200',
      '0x00000000c0000000 0x00000000c01fffff 0x0000000000002200',
      NOTHING,
    ]);
  });

  it('tell windows of 32 bits of I/O and 64 bits of memory, both halves of both ends', () => {
    expect(
      windowsOf(
        [0x1c, 2, 0x11f1],
        [0x30, 4, 0x0003_0002],
        [0x20, 4, 0x0000_fff0],
        [0x24, 4, 0x0011_fff1],
        [0x28, 4, 0x38],
        [0x2c, 4, 0x39],
      ),
    ).toEqual([
      '0x000000000002f000 0x0000000000031fff 0x0000000000000101',
      NOTHING,
      '0x00000038fff00000 0x00000039001fffff 0x0000000000102201',
      NOTHING,
    ]);
  });

  it('have the subsystem of its capability', () => {
    const given = image(256, ...BRIDGE, [6, 2, 0x10], [0x34, 1, 0x40], [0x40, 4, 0x000d], [0x44, 4, 0x5678_1234]);
    expect(sysfsFiles(fn(given)).get('subsystem_vendor')).toBe('0x1234\n');
    expect(sysfsFiles(fn(given)).get('subsystem_device')).toBe('0x5678\n');
    expect(sysfsFiles(fn(image(256, ...BRIDGE, [0x2c, 4, 0x5678_1234]))).get('subsystem_vendor')).toBe('0x0000\n');
  });
});

describe('of a PCI Express function', () => {
  /** Type in bits 7:4 of its flags; x4 at 8 GT/s of x16 at 32 GT/s. */
  const express = (flags: number, ...more: Parameters<typeof image>[1][]): Uint8Array =>
    image(
      256,
      [0, 2, 0x8086],
      [6, 2, 0x10],
      [0x34, 1, 0x40],
      [0x40, 2, 0x10],
      [0x42, 2, flags],
      [0x4c, 4, 0x105],
      [0x52, 2, 0x43],
      ...more,
    );

  it('its link is told', () => {
    expect(Object.fromEntries(sysfsFiles(fn(express(2))))).toMatchObject({
      max_link_speed: '32.0 GT/s PCIe\n',
      max_link_width: '16\n',
      current_link_speed: '8.0 GT/s PCIe\n',
      current_link_width: '4\n',
    });
    expect(sysfsFiles(fn(express(2, [0x52, 2, 0]))).get('current_link_speed')).toBe('Unknown\n');
  });

  it.each([0x92, 0xa2])('an integrated one has no link: flags %i', (flags) => {
    expect(sysfsFiles(fn(express(flags))).has('max_link_speed')).toBe(false);
  });

  it('a slot has its number, and the address behind it', () => {
    const port = express(0x142, [0xe, 1, 1], [0x19, 1, 0x3a], [0x54, 4, (27 << 19) | 0x60]);
    expect(sysfsSlot(fn(port))).toEqual({ slot: 27, address: '0001:3a:00' });
    expect(sysfsSlot(fn(express(0x42, [0xe, 1, 1])))).toBeUndefined();
    expect(sysfsSlot(fn(image(256)))).toBeUndefined();
  });

  it('its power state is told', () => {
    const d3 = image(256, [6, 2, 0x10], [0x34, 1, 0x40], [0x40, 2, 1], [0x44, 2, 3]);
    expect(sysfsFiles(fn(d3)).get('power_state')).toBe('D3hot\n');
  });
});

it('a name has the segment always', () => {
  expect([at('00:02.0'), at('abcd:ff:1f.7')].map(sysfsName)).toEqual(['0000:00:02.0', 'abcd:ff:1f.7']);
});
