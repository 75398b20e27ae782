import { describe, expect, it } from 'vitest';
import { formatBdf, parseBdf, type Bdf } from '../../../server/src/core/base/index.ts';
import {
  ConfigSpace,
  Topology,
  bridgeConfig,
  dmaProbeConfig,
  hostBridgeConfig,
  type TopologyFunction,
} from '../../../server/src/core/pci/index.ts';

function at(text: string): Bdf {
  const place = parseBdf(text);
  if (place === undefined) throw new Error(`no place: ${text}`);
  return place;
}

function fn(text: string, config: Uint8Array): TopologyFunction {
  return { bdf: at(text), config: new ConfigSpace(config) };
}

function port(
  kind: 'root-port' | 'upstream-port' | 'downstream-port',
  text: string,
  secondary: number,
  subordinate: number,
  acs = true,
): TopologyFunction {
  return fn(text, bridgeConfig({ kind, primary: at(text) >>> 8, secondary, subordinate, acs }));
}

function endpoint(text: string, options: { multiFunction?: boolean; acs?: boolean; integrated?: boolean } = {}): TopologyFunction {
  return fn(text, dmaProbeConfig({ integrated: false, ...options }));
}

/** A conventional bridge: a type 1 header without a PCI Express capability. */
function conventionalBridge(text: string, secondary: number, subordinate: number): TopologyFunction {
  const image = new Uint8Array(256);
  image[0x0e] = 1;
  image.set([0, secondary, subordinate], 0x18);
  return fn(text, image);
}

function groups(functions: readonly TopologyFunction[]): string[][] {
  return new Topology(functions).isolationGroups().map((group) => group.map(formatBdf));
}

/** Functions of the `switch` preset, with ACS in the downstream ports or not. */
function aSwitch(acs: boolean): TopologyFunction[] {
  return [
    fn('00:00.0', hostBridgeConfig()),
    port('root-port', '00:01.0', 1, 4),
    port('upstream-port', '01:00.0', 2, 4),
    port('downstream-port', '02:00.0', 3, 3, acs),
    port('downstream-port', '02:01.0', 4, 4, acs),
    endpoint('03:00.0'),
    endpoint('04:00.0'),
  ];
}

describe('the hierarchy', () => {
  const topology = new Topology(aSwitch(true));

  it('follows the bridges bus numbers up', () => {
    expect(topology.pathUp(at('04:00.0')).map(formatBdf)).toEqual(['02:01.0', '01:00.0', '00:01.0']);
    expect(topology.parentBridge(at('03:00.0'))).toBe(at('02:00.0'));
    expect(topology.parentBridge(at('00:01.0'))).toBeUndefined();
    expect(topology.pathUp(at('00:00.0'))).toEqual([]);
  });

  it('and down', () => {
    expect(topology.children(at('01:00.0')).map(formatBdf)).toEqual(['02:00.0', '02:01.0']);
    expect(topology.rootBuses()).toEqual([{ segment: 0, bus: 0 }]);
  });

  it('takes a bus that no bridge claims for a root bus', () => {
    const orphan = new Topology([endpoint('02:00.0'), port('root-port', '00:01.0', 1, 1), endpoint('0001:01:00.0')]);
    expect(orphan.rootBuses()).toEqual([
      { segment: 0, bus: 0 },
      { segment: 0, bus: 2 },
      { segment: 1, bus: 1 },
    ]);
    expect(orphan.parentBridge(at('0001:01:00.0'))).toBeUndefined();
  });

  it('takes the nearest bridge for a bus inside a range whose own bridge is missing', () => {
    const gap = new Topology([port('root-port', '00:01.0', 1, 9), port('upstream-port', '01:00.0', 2, 6), endpoint('05:00.0')]);
    expect(gap.pathUp(at('05:00.0')).map(formatBdf)).toEqual(['01:00.0', '00:01.0']);
  });

  it('takes the closest secondary bus where ranges overlap that should not', () => {
    const overlapping = new Topology([port('root-port', '00:01.0', 2, 9), port('root-port', '00:02.0', 1, 9), endpoint('05:00.0')]);
    expect(overlapping.parentBridge(at('05:00.0'))).toBe(at('00:01.0'));
  });

  it('ends for bridges whose numbers make no tree', () => {
    const image = bridgeConfig({ kind: 'root-port', primary: 0, secondary: 1, subordinate: 255 });
    image.set([5, 1, 9], 0x18);
    const absurd = new Topology([fn('05:00.0', image), fn('01:00.0', image), endpoint('03:00.0')]);
    expect(absurd.pathUp(at('03:00.0'))).toEqual([]);
    const unset = new Uint8Array(256);
    unset[0x0e] = 1;
    expect(new Topology([fn('00:01.0', unset), endpoint('00:02.0')]).pathUp(at('00:02.0'))).toEqual([]);
  });

  it('moves no function for bus numbers that are written', () => {
    const functions = aSwitch(true);
    const wired = new Topology(functions);
    for (const one of functions) if (one.config.isBridge) one.config.write(0x18, 4, 0);
    expect(wired.pathUp(at('03:00.0')).map(formatBdf)).toEqual(['02:00.0', '01:00.0', '00:01.0']);
    expect(wired.children(at('01:00.0')).map(formatBdf)).toEqual(['02:00.0', '02:01.0']);
  });

  it('knows the functions of a device', () => {
    const device = new Topology([endpoint('00:05.0'), endpoint('00:05.3'), endpoint('00:06.0')]);
    expect(device.slotSiblings(at('00:05.0')).map(formatBdf)).toEqual(['00:05.3']);
    expect(device.slotSiblings(at('00:06.0'))).toEqual([]);
    expect([device.has(at('00:05.3')), device.has(at('00:05.1'))]).toEqual([true, false]);
  });

  it('refuses two functions at one address', () => {
    expect(() => new Topology([endpoint('00:02.0'), endpoint('00:02.0')])).toThrow(
      expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining('00:02.0') }),
    );
  });
});

/** Of a function: what Linux's pci_for_each_dma_alias names, and what the IOMMU sees. */
function requesterIds(functions: readonly TopologyFunction[], text: string): { aliases: string[]; bears: string } {
  const topology = new Topology(functions);
  return { aliases: topology.dmaAliases(at(text)).map(formatBdf), bears: formatBdf(topology.requesterId(at(text))) };
}

describe('requester IDs', () => {
  const express = (text: string, secondary: number, subordinate: number): TopologyFunction => {
    const image = bridgeConfig({ kind: 'upstream-port', primary: at(text) >>> 8, secondary, subordinate });
    // Device/Port Type 7: a bridge from PCI Express to PCI.
    image[image.indexOf(0x10, 0x40) + 2] = 0x72;
    const bridge = fn(text, image);
    expect(bridge.config.portType).toBe(7);
    return bridge;
  };

  it('are functions own below ports', () => {
    expect(requesterIds(aSwitch(true), '03:00.0')).toEqual({ aliases: [], bears: '03:00.0' });
  });

  it('are taken over behind a bridge from PCI Express: its secondary bus, device 0', () => {
    const behind = [port('root-port', '00:01.0', 1, 3), express('01:00.0', 2, 3), conventionalBridge('02:04.0', 3, 3), endpoint('03:02.0')];
    expect(requesterIds(behind, '03:02.0')).toEqual({ aliases: ['02:04.0', '02:00.0'], bears: '02:00.0' });
    expect(requesterIds(behind, '02:04.0')).toEqual({ aliases: ['02:00.0'], bears: '02:00.0' });
    expect(requesterIds(behind, '01:00.0')).toEqual({ aliases: [], bears: '01:00.0' });
  });

  it('are its own that a conventional bridge puts in their place', () => {
    expect(requesterIds([conventionalBridge('00:1e.0', 5, 5), endpoint('05:01.0')], '05:01.0')).toEqual({
      aliases: ['00:1e.0'],
      bears: '00:1e.0',
    });
  });

  it('do not follow the numbers that are written', () => {
    const bridge = express('00:01.0', 2, 2);
    const topology = new Topology([bridge, endpoint('02:03.0')]);
    bridge.config.write(0x18, 4, 0x0009_0900);
    expect(formatBdf(topology.requesterId(at('02:03.0')))).toBe('02:00.0');
  });

  it('are others that the function itself uses; another function that has one is in its group', () => {
    const quirk = { ...endpoint('01:00.1', { multiFunction: true, acs: true }), dmaAliases: [at('01:00.0'), at('01:00.2')] };
    const functions = [port('root-port', '00:01.0', 1, 1), endpoint('01:00.0', { multiFunction: true, acs: true }), quirk];
    expect(requesterIds(functions, '01:00.1')).toEqual({ aliases: ['01:00.0', '01:00.2'], bears: '01:00.0' });
    expect(groups(functions)).toEqual([['00:01.0'], ['01:00.0', '01:00.1']]);
  });
});

describe('isolation groups', () => {
  it('are single functions where every port on the way isolates', () => {
    expect(groups(aSwitch(true)).map((group) => group.length)).toEqual([1, 1, 1, 1, 1, 1, 1]);
  });

  it('hold what is below a port without ACS, with the port; Linux does not join the ports of one switch', () => {
    expect(groups(aSwitch(false))).toEqual([['00:00.0'], ['00:01.0'], ['01:00.0'], ['02:00.0', '03:00.0'], ['02:01.0', '04:00.0']]);
  });

  it('hold the whole switch where the root port has no ACS', () => {
    const functions = aSwitch(true).map((one) => (one.bdf === at('00:01.0') ? port('root-port', '00:01.0', 1, 4, false) : one));
    expect(groups(functions)).toEqual([['00:00.0'], ['00:01.0', '01:00.0', '02:00.0', '02:01.0', '03:00.0', '04:00.0']]);
  });

  it('hold the functions of a device that has no ACS', () => {
    expect(
      groups([endpoint('00:05.0', { multiFunction: true }), endpoint('00:05.1', { multiFunction: true }), endpoint('00:06.0')]),
    ).toEqual([['00:05.0', '00:05.1'], ['00:06.0']]);
  });

  it('are apart for the functions of a device that has it', () => {
    const options = { multiFunction: true, acs: true, integrated: true };
    expect(groups([endpoint('00:05.0', options), endpoint('00:05.1', options)])).toEqual([['00:05.0'], ['00:05.1']]);
  });

  it('leave out of a device only the function that isolates', () => {
    const open = { multiFunction: true };
    expect(groups([endpoint('00:05.0', open), endpoint('00:05.1', { ...open, acs: true }), endpoint('00:05.2', open)])).toEqual([
      ['00:05.0', '00:05.2'],
      ['00:05.1'],
    ]);
  });

  it('hold everything behind a bridge to conventional PCI, with the bridge', () => {
    expect(
      groups([
        conventionalBridge('00:1e.0', 5, 6),
        endpoint('05:01.0'),
        endpoint('05:02.0'),
        conventionalBridge('05:03.0', 6, 6),
        endpoint('06:00.0'),
      ]),
    ).toEqual([['00:1e.0', '05:01.0', '05:02.0', '05:03.0', '06:00.0']]);
  });

  it('hold what is behind a bridge to conventional PCI below an isolating port, without the port', () => {
    expect(
      groups([port('root-port', '00:01.0', 1, 2), conventionalBridge('01:00.0', 2, 2), endpoint('02:00.0'), endpoint('02:01.0')]),
    ).toEqual([['00:01.0'], ['01:00.0', '02:00.0', '02:01.0']]);
  });

  it('hold the root ports of one device without ACS and what is below them', () => {
    const ports = ['00:1c.0', '00:1c.1'].map((text, i) => {
      const image = bridgeConfig({ kind: 'root-port', primary: 0, secondary: i + 1, subordinate: i + 1, acs: false, multiFunction: true });
      return fn(text, image);
    });
    expect(groups([...ports, endpoint('01:00.0'), endpoint('02:00.0')])).toEqual([['00:1c.0', '00:1c.1', '01:00.0', '02:00.0']]);
  });

  it('do not depend on the order of the functions (invariant 50)', () => {
    const functions = [
      ...aSwitch(false),
      endpoint('00:05.0', { multiFunction: true }),
      endpoint('00:05.1'),
      conventionalBridge('00:1e.0', 5, 5),
      endpoint('05:01.0'),
    ];
    const expected = groups(functions);
    for (let turn = 1; turn < functions.length; turn++)
      expect(groups([...functions.slice(turn), ...functions.slice(0, turn)])).toEqual(expected);
    expect(groups([...functions].reverse())).toEqual(expected);
  });
});
