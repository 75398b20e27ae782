import { describe, expect, it } from 'vitest';
import {
  ConfigSpace,
  PROBE_BAR_BYTES,
  dmaProbeConfig,
  hostBridgeConfig,
  probeBarBytes,
  probeResources,
  remoteConfig,
  type CapabilityChoices,
} from '../../../server/src/core/pci/index.ts';

describe('our own functions', () => {
  it('are told apart by their device IDs', () => {
    const ids = [dmaProbeConfig({ integrated: true }), remoteConfig({ integrated: true }), hostBridgeConfig()].map(
      (image) => new ConfigSpace(image).device,
    );
    expect(new Set(ids).size).toBe(3);
  });

  it('have no link on a root bus', () => {
    const space = new ConfigSpace(dmaProbeConfig({ integrated: true }));
    expect(space.portType).toBe(9);
    const express = space.capabilities.find((c) => !c.extended && c.id === 0x10)!.offset;
    expect(space.read(express + 0xc, 4)).toBe(0);
    expect(space.write(express + 0x10, 2, 0xffff)).toBe(0);
    expect(space.read(express + 0x10, 2)).toBe(0);
  });

  it('have ACS when asked', () => {
    expect(new ConfigSpace(dmaProbeConfig({ integrated: true, multiFunction: true, acs: true }))).toMatchObject({
      acsEnabledRedirect: true,
      multiFunction: true,
    });
    expect(new ConfigSpace(dmaProbeConfig({ integrated: true })).acsCapable).toBe(false);
  });
});

const SRIOV: NonNullable<CapabilityChoices['sriov']> = {
  functions: 3,
  firstOffset: 1,
  stride: 1,
  dependency: 0,
  device: 0x11d6,
  bars: [
    { index: 0, bytes: 0x4000n, kind: 'memory64', prefetchable: true },
    { index: 2, bytes: 0x1000n, kind: 'memory32' },
  ],
  pageSizes: 1,
};
const RESIZABLE = { bars: [{ index: 4, sizesLg2: [20, 22], sizeLg2: 22 }] };

function probe(capabilities: CapabilityChoices, addresses: readonly (bigint | undefined)[] = []): ConfigSpace {
  return new ConfigSpace(dmaProbeConfig({ integrated: false, capabilities, addresses }), { barBytes: probeBarBytes(capabilities) });
}

function has(space: ConfigSpace, id: number, extended = false): boolean {
  return space.capabilities.some((c) => c.id === id && c.extended === extended);
}

describe('resources of a probe', () => {
  it('are two BARs', () => {
    expect(probeResources().map(({ index, bytes, count }) => [index, bytes, count])).toEqual([
      [2, 0x10000n, 1],
      [0, 0x1000n, 1],
    ]);
    expect(probeBarBytes()).toEqual(PROBE_BAR_BYTES);
  });

  it('are a Resizable BAR and VF BARs, as many as virtual functions, where it has them', () => {
    const choices = { sriov: SRIOV, resizableBar: RESIZABLE };
    expect(
      probeResources(choices)
        .slice(2)
        .map(({ index, bytes, count }) => [index, bytes, count]),
    ).toEqual([
      [4, 0x40_0000n, 1],
      [7, 0x4000n, 3],
      [9, 0x1000n, 3],
    ]);
    expect(probeBarBytes(choices)).toEqual([0x1000n, 0n, 0x10000n, 0n, 0x40_0000n, 0n, 0n, 0x4000n, 0n, 0x1000n]);
  });

  it('have the addresses that they are given', () => {
    const choices = { sriov: SRIOV, resizableBar: RESIZABLE };
    const addresses = [0x1000n, undefined, 0x10000n, undefined, 0x40_0000n, undefined, undefined, 0x1_0000_4000n, undefined, 0x8000n];
    const space = probe(choices, addresses);
    expect(space.bars().map((bar) => [bar.index, bar.kind, space.barAddress(bar)])).toEqual([
      [0, 'memory32', 0x1000n],
      [2, 'memory32', 0x10000n],
      [4, 'memory64', 0x40_0000n],
    ]);
    expect(space.vfBars().map((bar) => [bar.index, bar.kind, bar.sizeLg2, space.barAddress(bar)])).toEqual([
      [7, 'memory64', 14, 0x1_0000_4000n],
      [9, 'memory32', 12, 0x8000n],
    ]);
  });

  it('size by writing all ones', () => {
    const space = probe({ sriov: SRIOV });
    const at = space.capabilities.find((c) => c.extended && c.id === 0x10)!.offset + 0x24;
    for (let i = 0; i < 4; i++) space.write(at + 4 * i, 4, 0xffff_ffff);
    expect([0, 1, 2, 3].map((i) => space.read(at + 4 * i, 4))).toEqual([0xffff_c00c, 0xffff_ffff, 0xffff_f000, 0]);
  });
});

describe('capabilities of a probe', () => {
  it('are those that its model has, unless they are taken away', () => {
    const space = probe({ ats: false, pri: false, pasid: false, msix: false, aer: false, power: false, flr: false });
    expect(space.capabilities.map((c) => c.id)).toEqual([0x10]);
    expect(space.resetMethods()).toEqual([]);
  });

  it('are those that are chosen besides', () => {
    const space = probe({ advancedFeatures: {}, power: { noSoftReset: false }, ats: { queueDepth: 3 } });
    expect(space.resetMethods()).toEqual(['flr', 'af_flr', 'pm']);
    expect(space.atsQueueDepth).toBe(3);
  });

  it('are none of PCI Express in a conventional function', () => {
    const space = probe({ express: false, pcix: {} });
    expect([space.bytes, space.portType, has(space, 7), has(space, 0x10), space.atsSupported]).toEqual([256, -1, true, false, false]);
  });

  it('put a subsystem into the header', () => {
    const space = probe({ subsystem: { vendor: 0x1af4, device: 0x1100 } });
    expect([space.read(0x2c, 4), has(space, 0xd)]).toEqual([0x1100_1af4, false]);
  });

  it('refuse an EA entry for a BAR that there is', () => {
    for (const indicator of [0, 4, 5]) {
      const entries = [{ indicator, properties: 0, address: 0n, bytes: 0x1000n }];
      expect(() => probe({ enhancedAllocation: { entries }, resizableBar: RESIZABLE })).toThrow(`an EA entry is for BAR ${indicator}`);
    }
  });
});
