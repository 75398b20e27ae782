import { beforeEach, describe, expect, it } from 'vitest';
import { CONFIG_EFFECT, ConfigSpace, bridgeConfig, dmaProbeConfig, endpointConfig } from '../../../server/src/core/pci/index.ts';

// Offsets and bits are those of the PCI specifications, restated here.
const COMMAND = 0x04;
const STATUS = 0x06;
const BAR0 = 0x10;
const BAR2 = 0x18;
const PMCSR = 0x44;
const DEVICE_CONTROL = 0x50;
const MSIX_CONTROL = 0x86;
const AER = 0x100;
const ATS_CONTROL = 0x132;
const PRI_CONTROL = 0x138;
const PASID_CONTROL = 0x14a;
const INITIATE_FLR = 0x8000;

const PROBE_BARS = [0x1000n, 0n, 0x10000n];

function probe(): ConfigSpace {
  return new ConfigSpace(dmaProbeConfig({ integrated: false, addresses: [0xe001_0000n, 0n, 0xe000_0000n] }), { barBytes: PROBE_BARS });
}

function thrown(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('a dma-probe at power-up', () => {
  const space = probe();

  it('is what its registers say', () => {
    expect(space).toMatchObject({
      bytes: 4096,
      vendor: 0x1234,
      device: 0x11d0,
      classCode: 0xff0000,
      headerType: 0,
      multiFunction: false,
      isBridge: false,
      busMaster: true,
      memorySpace: true,
      maxPayloadBytes: 256,
      maxReadRequestBytes: 512,
      atsSupported: true,
      atsEnabled: false,
      atsQueueDepth: 32,
      unitPagesLg2: 0,
      pasidSupported: true,
      pasidEnabled: false,
      pasidWidth: 20,
      priEnabled: false,
      powerState: 0,
      secondaryBus: 0,
      subordinateBus: 0,
      warnings: [],
    });
    expect(space.resetMethods()).toEqual(['flr']);
  });

  it('has its capabilities where the tests below expect them', () => {
    expect(space.capabilities.map(({ id, offset, extended }) => [id, offset, extended])).toEqual([
      [0x01, 0x40, false],
      [0x10, 0x48, false],
      [0x11, 0x84, false],
      [0x01, AER, true],
      [0x0f, 0x12c, true],
      [0x13, 0x134, true],
      [0x1b, 0x144, true],
    ]);
  });

  it('reads unsigned and little-endian in each width', () => {
    expect(space.read(0, 4)).toBe(0x11d0_1234);
    expect(space.read(2, 2)).toBe(0x11d0);
    expect(space.read(3, 1)).toBe(0x11);
    const ones = new Uint8Array(64).fill(0xff);
    expect(new ConfigSpace(ones).read(0, 4)).toBe(0xffff_ffff);
  });
});

describe('writing', () => {
  let space: ConfigSpace;
  beforeEach(() => {
    space = probe();
  });

  it('leaves identity alone and reports nothing', () => {
    for (const offset of [0x00, 0x08, 0x0c, 0x2c, 0x34]) {
      const before = space.read(offset, 4) & ~0xff;
      expect(space.write(offset, 4, 0xffff_ff00)).toBe(0);
      expect(space.read(offset, 4) & ~0xff).toBe(before);
    }
  });

  it('of Command reports it, and once', () => {
    expect(space.write(COMMAND, 2, 0)).toBe(CONFIG_EFFECT.command);
    expect([space.busMaster, space.memorySpace]).toEqual([false, false]);
    expect(space.write(COMMAND, 2, 0)).toBe(0);
  });

  it('keeps PCIe functions from having the bits that PCIe hard-wires to zero', () => {
    space.write(COMMAND, 2, 0xffff);
    expect(space.read(COMMAND, 2)).toBe(0x0547);
  });

  it('of all ones to a BAR shows its size', () => {
    expect(space.write(BAR0, 4, 0xffff_ffff)).toBe(CONFIG_EFFECT.bars);
    expect(space.read(BAR0, 4)).toBe(0xffff_f000);
    space.write(BAR2, 4, 0xffff_ffff);
    expect(space.read(BAR2, 4)).toBe(0xffff_0000);
    expect(space.write(BAR0 + 4, 4, 0xffff_ffff)).toBe(0);
    expect(space.read(BAR0 + 4, 4)).toBe(0);
  });

  it('by bytes does what the whole word would', () => {
    const other = probe();
    other.write(DEVICE_CONTROL, 2, 0x2f5f);
    space.write(DEVICE_CONTROL, 1, 0x5f);
    space.write(DEVICE_CONTROL + 1, 1, 0x2f);
    expect(space.image()).toEqual(other.image());
  });

  it('of Device Control moves payload and read request sizes', () => {
    expect(space.write(DEVICE_CONTROL, 2, 0x5020)).toBe(CONFIG_EFFECT.deviceControl);
    expect([space.maxPayloadBytes, space.maxReadRequestBytes]).toEqual([256, 4096]);
    space.write(DEVICE_CONTROL, 2, 0x0000);
    expect([space.maxPayloadBytes, space.maxReadRequestBytes]).toEqual([128, 128]);
  });

  it('of Initiate FLR triggers, and the bit reads zero', () => {
    const before = space.read(DEVICE_CONTROL, 2);
    expect(space.write(DEVICE_CONTROL, 2, before | INITIATE_FLR)).toBe(CONFIG_EFFECT.flr);
    expect(space.read(DEVICE_CONTROL, 2)).toBe(before);
  });

  it('of ATS Enable reports it', () => {
    expect(space.write(ATS_CONTROL, 2, 0x8003)).toBe(CONFIG_EFFECT.ats);
    expect([space.atsEnabled, space.unitPagesLg2]).toEqual([true, 3]);
    space.setAtsEnable(false);
    expect([space.atsEnabled, space.unitPagesLg2]).toEqual([false, 3]);
  });

  it('of the Smallest Translation Unit is taken while ATS Enable is clear, and in the write that sets it', () => {
    space.write(ATS_CONTROL, 2, 0x0009);
    expect(space.unitPagesLg2).toBe(9);
    space.write(ATS_CONTROL, 2, 0x8004);
    for (const [bytes, value] of [
      [1, 7],
      [2, 0x8000],
      [2, 0x0001],
    ] as const) {
      space.setAtsEnable(true);
      space.write(ATS_CONTROL, bytes, value);
      expect(space.unitPagesLg2).toBe(4);
    }
    expect(space.atsEnabled).toBe(false);
    space.write(ATS_CONTROL, 1, 0xff);
    expect([space.unitPagesLg2, space.read(ATS_CONTROL, 2)]).toEqual([31, 0x1f]);
  });

  it('of PASID, PRI and MSI-X reports each', () => {
    expect(space.write(PASID_CONTROL, 2, 0xffff)).toBe(CONFIG_EFFECT.pasid);
    expect(space.read(PASID_CONTROL, 2)).toBe(7);
    expect(space.pasidEnabled).toBe(true);
    expect(space.write(PRI_CONTROL, 2, 1)).toBe(CONFIG_EFFECT.pri);
    expect(space.priEnabled).toBe(true);
    expect(space.write(PRI_CONTROL, 2, 3)).toBe(CONFIG_EFFECT.priReset);
    expect(space.read(PRI_CONTROL, 2)).toBe(1);
    expect(space.write(MSIX_CONTROL, 2, 0xffff)).toBe(CONFIG_EFFECT.msi);
    expect(space.read(MSIX_CONTROL, 2)).toBe(0xc01f);
  });

  it('of a power state that the function lacks is dropped', () => {
    expect(space.write(PMCSR, 2, 3)).toBe(CONFIG_EFFECT.power);
    expect(space.powerState).toBe(3);
    space.write(PMCSR, 2, 1);
    expect(space.powerState).toBe(3);
    space.write(PMCSR, 2, 0);
    expect(space.powerState).toBe(0);
  });

  it('of one clears a status bit, of zero does not', () => {
    const image = dmaProbeConfig({ integrated: false });
    image[STATUS + 1] = 0x30;
    const dirty = new ConfigSpace(image);
    dirty.write(STATUS, 2, 0);
    expect(dirty.read(STATUS, 2)).toBe(0x3010);
    dirty.write(STATUS, 2, 0x1000);
    expect(dirty.read(STATUS, 2)).toBe(0x2010);
  });

  it('of an ATS Enable that there is no capability for does nothing', () => {
    const plain = new ConfigSpace(dmaProbeConfig({ integrated: false, ats: false }));
    const before = plain.image();
    plain.setAtsEnable(true);
    expect(plain.image()).toEqual(before);
    expect(plain).toMatchObject({ atsSupported: false, atsEnabled: false, atsQueueDepth: 0, pasidSupported: false, pasidWidth: 0 });
  });
});

describe('what it is made from', () => {
  it.each([0, 63, 65, 255, 4095, 8192])('is not %i bytes', (bytes) => {
    expect(thrown(() => new ConfigSpace(new Uint8Array(bytes)))).toMatchObject({ code: 'EINVAL', field: 'config' });
  });

  it('is copied', () => {
    const image = dmaProbeConfig({ integrated: true });
    const space = new ConfigSpace(image);
    image.fill(0);
    expect(space.vendor).toBe(0x1234);
    expect(space.read(0, 2)).toBe(0x1234);
  });

  it('puts a name in front of each warning', () => {
    const image = endpointConfig({ vendor: 1, device: 2, classCode: 0, bars: [], capabilities: { power: { noSoftReset: false } } });
    image[0x41] = 0x40;
    expect(new ConfigSpace(image, { name: '00:02.0' }).warnings).toEqual([
      '00:02.0: the capability chain loops: the pointer at 0x41 leads back to 0x40',
    ]);
  });
});

describe('a bridge', () => {
  it('routes by its bus numbers, and says when they change', () => {
    const space = new ConfigSpace(bridgeConfig({ kind: 'root-port', primary: 0, secondary: 2, subordinate: 5 }));
    expect(space).toMatchObject({
      isBridge: true,
      secondaryBus: 2,
      subordinateBus: 5,
      headerType: 1,
      acsCapable: true,
      acsEnabledRedirect: true,
    });
    expect(space.write(0x18, 4, 0x00_09_07_00)).toBe(CONFIG_EFFECT.routing);
    expect([space.secondaryBus, space.subordinateBus]).toEqual([7, 9]);
    expect(space.write(0x3e, 2, 0x40)).toBe(CONFIG_EFFECT.bridgeControl);
  });

  it('isolates only while every service that it offers is enabled', () => {
    const space = new ConfigSpace(bridgeConfig({ kind: 'downstream-port', primary: 1, secondary: 2, subordinate: 2 }));
    const acs = space.capabilities.find((c) => c.extended && c.id === 0x0d)!.offset;
    expect(space.write(acs + 6, 2, 0x1d & ~0x04)).toBe(CONFIG_EFFECT.acs);
    expect(space.acsEnabledRedirect).toBe(false);
    space.write(acs + 6, 2, 0x1d);
    expect(space.acsEnabledRedirect).toBe(true);
  });
});
