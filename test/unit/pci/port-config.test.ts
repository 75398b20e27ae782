import { describe, expect, it } from 'vitest';
import { ConfigSpace, bridgeConfig, hostBridgeConfig, type BridgeSpec } from '../../../server/src/core/pci/index.ts';

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

describe('the host bridge', () => {
  it('is conventional', () => {
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

const BUSES = { primary: 0, secondary: 1, subordinate: 1 };
const SLOT = {
  number: 7,
  hotPlug: true,
  surprise: true,
  attentionButton: true,
  powerController: false,
  attentionIndicator: true,
  powerIndicator: true,
  mrlSensor: false,
  interlock: false,
  commandCompleted: true,
};

function port(kind: BridgeSpec['kind'], capabilities: BridgeSpec['capabilities'] = {}): ConfigSpace {
  return new ConfigSpace(bridgeConfig({ kind, ...BUSES, capabilities }));
}

function express(space: ConfigSpace): number {
  return space.capabilities.find((c) => !c.extended && c.id === 0x10)!.offset;
}

describe('capabilities of a port', () => {
  it('are a slot that is occupied and has power', () => {
    const space = port('downstream-port', { slot: SLOT });
    const at = express(space);
    // Slot Implemented; Slot Capabilities: number 7, 25 W, ABP, AIP, PIP, HPS, HPC; both indicators; Presence Detect State.
    expect(space.read(at + 2, 2)).toBe(0x162);
    expect(space.read(at + 0x14, 4)).toBe((7 << 19) | (25 << 7) | 0b1111001);
    expect([space.read(at + 0x18, 2), space.read(at + 0x1a, 2)]).toEqual([0x1c0, 0x40]);
  });

  it('are no slot by default', () => {
    const space = port('root-port');
    const at = express(space);
    expect([space.read(at + 2, 2), space.read(at + 0x14, 4), space.read(at + 0x1e, 2)]).toEqual([0x42, 0, 0]);
  });

  it('are RRS visibility of a root port', () => {
    const space = port('root-port', { rrsVisibility: true });
    expect(space.read(express(space) + 0x1e, 2)).toBe(1);
  });

  it('are LTR: a mechanism of every port, limits of an upstream port only', () => {
    const ltr = { maxSnoop: 0x1003, maxNoSnoop: 0 };
    for (const kind of ['root-port', 'upstream-port'] as const) {
      const space = port(kind, { ltr });
      expect(space.read(express(space) + 0x24, 4) & 0x800).toBe(0x800);
      const found = space.capabilities.filter((c) => c.extended && c.id === 0x18);
      expect(found).toHaveLength(kind === 'root-port' ? 0 : 1);
      for (const { offset } of found) expect(space.read(offset + 4, 4)).toBe(0x1003);
    }
  });

  it('can be taken away', () => {
    expect(port('root-port', { aer: false, acs: false }).capabilities.filter((c) => c.extended)).toEqual([]);
  });

  it('tell that it is ready at once', () => {
    const space = port('root-port', { immediateReadiness: true });
    expect(space.read(6, 2)).toBe(0x11);
    expect(space.read(space.capabilities.find((c) => !c.extended && c.id === 1)!.offset + 2, 2)).toBe(0x13);
  });
});
