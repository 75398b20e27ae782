import { describe, expect, it } from 'vitest';
import { CONFIG_EFFECT, ConfigSpace, dmaProbeConfig, endpointConfig } from '../../../server/src/core/pci/index.ts';

// Offsets and bits are those of the PCI specifications, restated here.
const COMMAND = 0x04;
const BAR0 = 0x10;
const BAR2 = 0x18;
const PMCSR = 0x44;
const DEVICE_CONTROL = 0x50;
const DEVICE_STATUS = 0x52;
const MSIX_CONTROL = 0x86;
const AER = 0x100;
const ATS_CONTROL = 0x132;
const PRI_CONTROL = 0x138;
const PRI_ALLOCATION = 0x140;
const PASID_CONTROL = 0x14a;

const PROBE_BARS = [0x1000n, 0n, 0x10000n];

function probe(): ConfigSpace {
  return new ConfigSpace(dmaProbeConfig({ integrated: false, addresses: [0xe001_0000n, 0n, 0xe000_0000n] }), { barBytes: PROBE_BARS });
}

describe('reset', () => {
  it('by FLR clears what PCIe §6.6.2 does not except', () => {
    const space = probe();
    space.write(ATS_CONTROL, 2, 0x8003);
    space.write(PASID_CONTROL, 2, 7);
    space.write(PRI_ALLOCATION, 4, 100);
    space.write(PRI_CONTROL, 2, 1);
    space.write(MSIX_CONTROL, 2, 0x8000);
    space.write(DEVICE_CONTROL, 2, 0x002f);
    space.reset('flr');
    expect(space).toMatchObject({
      busMaster: false,
      memorySpace: false,
      atsEnabled: false,
      unitPagesLg2: 0,
      pasidEnabled: false,
      priEnabled: false,
    });
    expect(space.read(COMMAND, 2)).toBe(0);
    expect([space.read(BAR0, 4), space.read(BAR2, 4)]).toEqual([0, 0]);
    expect([space.read(PRI_ALLOCATION, 4), space.read(MSIX_CONTROL, 2)]).toEqual([0, 0x001f]);
    // Relaxed ordering, no snoop and 512-byte reads by default; MPS is kept.
    expect(space.read(DEVICE_CONTROL, 2)).toBe(0x2830);
    expect(space.read(DEVICE_STATUS, 2) & 0x20).toBe(0);
    expect(space.read(0, 4)).toBe(0x11d0_1234);
  });

  it('keeps sticky registers over both kinds, and MPS over FLR only', () => {
    const space = probe();
    space.write(AER + 0x08, 4, 0x0010_0000);
    space.write(DEVICE_CONTROL, 2, 0x0020);
    space.reset('flr');
    expect(space.maxPayloadBytes).toBe(256);
    space.reset('conventional');
    expect(space.maxPayloadBytes).toBe(128);
    expect(space.read(AER + 0x08, 4)).toBe(0x0010_0000);
  });

  it('keeps the type bits of a BAR', () => {
    const image = endpointConfig({
      vendor: 1,
      device: 2,
      classCode: 0,
      bars: [
        { index: 0, bytes: 0x100n, kind: 'io', address: 0x1100n },
        { index: 2, bytes: 0x4_0000_0000n, kind: 'memory64', prefetchable: true, address: 0x4_0000_0000n },
      ],
      capabilities: {},
    });
    const space = new ConfigSpace(image, { barBytes: [0x100n, 0n, 0x4_0000_0000n] });
    space.reset('flr');
    expect([space.read(BAR0, 4), space.read(BAR2, 4), space.read(BAR2 + 4, 4)]).toEqual([1, 0xc, 0]);
  });
});

describe('save and restore', () => {
  it('brings back everything that an FLR took', () => {
    const space = probe();
    space.write(ATS_CONTROL, 2, 0x8001);
    space.write(PASID_CONTROL, 2, 1);
    space.write(MSIX_CONTROL, 2, 0x8000);
    const saved = space.save();
    space.reset('flr');
    const effects = space.restore(saved);
    expect(space.image()).toEqual(saved);
    expect(space).toMatchObject({ busMaster: true, memorySpace: true, atsEnabled: true, unitPagesLg2: 1, pasidEnabled: true });
    // Command, ATS, BARs, PASID, MSI-X.
    expect(effects & (1 | 4 | 16 | 128 | 2048)).toBe(1 | 4 | 16 | 128 | 2048);
  });

  it('leaves the power state and read-only bits', () => {
    const space = probe();
    const saved = space.save();
    saved[PMCSR] = 3;
    saved[0] = 0;
    space.restore(saved);
    expect([space.powerState, space.vendor, space.read(0, 2)]).toEqual([0, 0x1234, 0x1234]);
  });

  it('refuses another size', () => {
    expect(() => probe().restore(new Uint8Array(256))).toThrow(/256 saved bytes for a space of 4096/);
  });

  it('takes a copy', () => {
    const space = probe();
    space.image().fill(0);
    space.save().fill(0);
    expect(space.read(0, 2)).toBe(0x1234);
  });
});

describe('reset methods', () => {
  const methods = (capabilities: Parameters<typeof endpointConfig>[0]['capabilities']): readonly string[] =>
    new ConfigSpace(endpointConfig({ vendor: 1, device: 2, classCode: 0, bars: [], capabilities })).resetMethods();

  it('come in the order of Linux', () => {
    const express = { portType: 0, flr: true, maxPayloadBytes: 128, maxReadRequestBytes: 128 };
    expect(methods({ power: { noSoftReset: false }, advancedFeatures: {}, express })).toEqual(['flr', 'af_flr', 'pm']);
  });

  it('are left out where a bit says so', () => {
    const express = { portType: 0, flr: false, maxPayloadBytes: 128, maxReadRequestBytes: 128 };
    expect(methods({ power: { noSoftReset: true }, express })).toEqual([]);
  });

  it('need both bits for af_flr, and its trigger reads zero', () => {
    const image = endpointConfig({ vendor: 1, device: 2, classCode: 0, bars: [], capabilities: { advancedFeatures: {} } });
    const space = new ConfigSpace(image);
    expect(space.write(0x44, 1, 1)).toBe(CONFIG_EFFECT.flr);
    expect(space.read(0x44, 1)).toBe(0);
    expect(space.transactionsPendingBits(0x45, 1)).toBe(1);
    image[0x43] = 1;
    const withoutFlr = new ConfigSpace(image);
    expect(withoutFlr.resetMethods()).toEqual([]);
    expect(withoutFlr.write(0x44, 1, 1)).toBe(0);
  });
});
