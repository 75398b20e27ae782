import { describe, expect, it } from 'vitest';
import {
  ConfigSpace,
  bridgeConfig,
  dmaProbeConfig,
  endpointConfig,
  hostBridgeConfig,
  remoteConfig,
  type EndpointSpec,
} from '../../../server/src/core/pci/index.ts';

const PLAIN: EndpointSpec = { vendor: 0x1af4, device: 0x1000, classCode: 0x020000, bars: [], capabilities: {} };
const EXPRESS = { portType: 0, maxPayloadBytes: 128, maxReadRequestBytes: 512 };

function with_(part: Partial<EndpointSpec>): () => Uint8Array {
  return () => endpointConfig({ ...PLAIN, ...part });
}

describe('endpointConfig', () => {
  it('writes the identity', () => {
    const space = new ConfigSpace(
      endpointConfig({ ...PLAIN, revision: 3, subsystem: { vendor: 0xaaaa, device: 0xbbbb }, multiFunction: true }),
    );
    expect(space).toMatchObject({ bytes: 256, vendor: 0x1af4, device: 0x1000, classCode: 0x020000, multiFunction: true, headerType: 0 });
    expect([space.read(8, 1), space.read(0x2c, 4)]).toEqual([3, 0xbbbb_aaaa]);
  });

  it('is 4096 bytes with a PCI Express capability', () => {
    expect(endpointConfig({ ...PLAIN, capabilities: { express: EXPRESS } })).toHaveLength(4096);
  });

  it('puts a capability where it is asked to, and the others around it', () => {
    const space = new ConfigSpace(
      endpointConfig({
        ...PLAIN,
        capabilities: {
          power: { noSoftReset: false, at: 0x60 },
          advancedFeatures: {},
          express: EXPRESS,
          ats: { queueDepth: 5, at: 0x200 },
        },
      }),
    );
    expect(space.warnings).toEqual([]);
    expect(space.capabilities.map((c) => [c.id, c.offset])).toEqual([
      [0x13, 0x40],
      [0x01, 0x60],
      [0x10, 0x68],
      [0x0f, 0x200],
    ]);
    expect(space.atsQueueDepth).toBe(5);
  });

  it.each([
    [
      'capabilities that overlap',
      with_({ capabilities: { power: { noSoftReset: true, at: 0x50 }, express: { ...EXPRESS, at: 0x54 } } }),
      'the PM capability at 0x50 to 0x57 overlaps the PCI Express capability at 0x54',
    ],
    [
      'extended ones that overlap',
      with_({ capabilities: { express: EXPRESS, aer: { at: 0x100 }, pasid: { width: 20, at: 0x128 } } }),
      'the AER capability at 0x100 to 0x12b overlaps the PASID capability at 0x128',
    ],
    [
      'one that does not fit',
      with_({ capabilities: { express: { ...EXPRESS, at: 0xf0 } } }),
      'PCI Express capability at 0xf0 is misaligned or outside',
    ],
    ['one in the header', with_({ capabilities: { power: { noSoftReset: true, at: 0x20 } } }), 'outside of 0x40 to 0xff'],
    ['one that is misaligned', with_({ capabilities: { power: { noSoftReset: true, at: 0x42 } } }), 'misaligned'],
    ['extended ones without room for them', with_({ capabilities: { ats: { queueDepth: 1 } } }), 'ATS capability at 0x100'],
    ['a BAR that is no power of two', with_({ bars: [{ index: 0, bytes: 0x3000n, kind: 'memory32' }] }), 'size 0x3000 of BAR 0'],
    ['a BAR that is too small', with_({ bars: [{ index: 0, bytes: 8n, kind: 'memory32' }] }), 'size 0x8 of BAR 0'],
    ['a 64-bit BAR at the end', with_({ bars: [{ index: 5, bytes: 0x1000n, kind: 'memory64' }] }), 'no place for a memory64 BAR 5'],
    [
      'a BAR out of place',
      with_({ bars: [{ index: 0, bytes: 0x1000n, kind: 'memory32', address: 0x800n }] }),
      'BAR 0 of 0x1000 bytes cannot be at 0x800',
    ],
    [
      'a 32-bit BAR above 4 GiB',
      with_({ bars: [{ index: 0, bytes: 0x1000n, kind: 'memory32', address: 1n << 32n }] }),
      'cannot be at 0x100000000',
    ],
    [
      'BARs that overlap',
      with_({
        bars: [
          { index: 0, bytes: 0x1000n, kind: 'memory64' },
          { index: 1, bytes: 0x1000n, kind: 'memory32' },
        ],
      }),
      'BAR 1 overlaps BAR 0',
    ],
  ])('refuses %s', (_, make, text) => {
    expect(make).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining(text) }));
  });
});

describe('bridgeConfig', () => {
  it.each([
    ['root-port', 4, true],
    ['upstream-port', 5, false],
    ['downstream-port', 6, true],
  ] as const)('makes a %s', (kind, portType, acs) => {
    const space = new ConfigSpace(
      bridgeConfig({ kind, primary: 1, secondary: 2, subordinate: 4, window: { base: 0xe000_0000, end: 0xe020_0000 } }),
    );
    expect(space).toMatchObject({
      portType,
      acsCapable: acs,
      acsEnabledRedirect: acs,
      isBridge: true,
      secondaryBus: 2,
      subordinateBus: 4,
      busMaster: true,
      memorySpace: true,
      classCode: 0x060400,
      warnings: [],
    });
    expect([space.read(0x18, 1), space.read(0x20, 2), space.read(0x22, 2)]).toEqual([1, 0xe000, 0xe010]);
  });

  it('has no ACS when told so, and a closed window by default', () => {
    const space = new ConfigSpace(bridgeConfig({ kind: 'root-port', primary: 0, secondary: 1, subordinate: 1, acs: false }));
    expect(space.acsCapable).toBe(false);
    expect(space.read(0x20, 2)).toBeGreaterThan(space.read(0x22, 2));
  });

  it.each([
    [0, 0, 1],
    [2, 1, 3],
    [0, 3, 2],
    [0, 1, 256],
  ])('refuses the bus numbers %i, %i, %i', (primary, secondary, subordinate) => {
    expect(() => bridgeConfig({ kind: 'root-port', primary, secondary, subordinate })).toThrow(/bus numbers of a root-port/);
  });
});

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

  it('have a conventional host bridge', () => {
    expect(new ConfigSpace(hostBridgeConfig())).toMatchObject({
      bytes: 256,
      classCode: 0x060000,
      portType: -1,
      atsSupported: false,
      maxPayloadBytes: 128,
      maxReadRequestBytes: 512,
    });
  });
});
