/** Where configuration requests go by bus numbers that software writes: PCIe Base r6.0 §7.3.3. */
import { describe, expect, it } from 'vitest';
import { formatBdf, parseBdf, segmentOf, type Bdf } from '../../../server/src/core/base/index.ts';
import {
  ConfigSpace,
  Topology,
  bridgeConfig,
  dmaProbeConfig,
  pciBridgeConfig,
  routeConfig,
  type TopologyFunction,
} from '../../../server/src/core/pci/index.ts';

const [PRIMARY, SECONDARY, SUBORDINATE] = [0x18, 0x19, 0x1a];
const ARI: Partial<Parameters<typeof dmaProbeConfig>[0]> = { capabilities: { ari: { nextFunction: 0 } } };

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
): TopologyFunction {
  return fn(text, bridgeConfig({ kind, primary: (at(text) >>> 8) & 0xff, secondary, subordinate }));
}

function endpoint(text: string, options: Partial<Parameters<typeof dmaProbeConfig>[0]> = {}): TopologyFunction {
  return fn(text, dmaProbeConfig({ integrated: false, ...options }));
}

class Wired {
  readonly topology: Topology;
  readonly #byName: ReadonlyMap<string, TopologyFunction>;

  constructor(...functions: readonly TopologyFunction[]) {
    this.topology = new Topology(functions);
    this.#byName = new Map(functions.map((one) => [formatBdf(one.bdf).replace(/^0000:/, ''), one]));
  }

  config(name: string): ConfigSpace {
    const found = this.#byName.get(name);
    if (found === undefined) throw new Error(`no ${name}`);
    return found.config;
  }

  number(name: string, primary: number, secondary: number, subordinate: number): void {
    this.config(name).write(PRIMARY, 1, primary);
    this.config(name).write(SECONDARY, 1, secondary);
    this.config(name).write(SUBORDINATE, 1, subordinate);
  }

  /** Who is at the address, or in brackets who says that nobody is. */
  who(address: string): string {
    const place = at(address);
    const { found, completer } = routeConfig(this.topology, segmentOf(place), place);
    const name = (one: TopologyFunction): string => formatBdf(one.bdf).replace(/^0000:/, '');
    if (found !== undefined) return name(found);
    return completer === undefined ? 'nobody' : `(${name(completer)})`;
  }
}

function aSwitch(): Wired {
  return new Wired(
    endpoint('00:00.0', { integrated: true }),
    port('root-port', '00:01.0', 1, 4),
    port('upstream-port', '01:00.0', 2, 4),
    port('downstream-port', '02:00.0', 3, 3),
    port('downstream-port', '02:01.0', 4, 4),
    endpoint('03:00.0'),
    endpoint('04:00.0', { multiFunction: true }),
    endpoint('04:00.1', { multiFunction: true }),
  );
}

function devicesOf(text: string): TopologyFunction[] {
  return [port('root-port', '00:01.0', 1, 4), ...text.split(' ').map((name) => endpoint(name))];
}

/** ARI Forwarding Enable: bit 5 of Device Control 2, which is at 0x28 in the PCI Express capability. */
function forwardAri(config: ConfigSpace): void {
  const express = config.capabilities.find(({ id, extended }) => id === 0x10 && !extended)?.offset ?? 0;
  config.write(express + 0x28, 2, 0x20);
}

describe('as at power-up', () => {
  it('finds every function by its name', () => {
    const m = aSwitch();
    for (const name of ['00:00.0', '00:01.0', '01:00.0', '02:00.0', '02:01.0', '03:00.0', '04:00.0', '04:00.1'])
      expect(m.who(name)).toBe(name);
  });

  it('finds nobody elsewhere, and says who answers so', () => {
    const m = aSwitch();
    expect(m.who('00:02.0')).toBe('nobody');
    expect(m.who('00:01.1')).toBe('nobody');
    expect(m.who('05:00.0')).toBe('nobody');
    expect(m.who('0001:00:00.0')).toBe('nobody');
    // On the bus inside of a switch the upstream port answers for devices that are not there.
    expect(m.who('02:05.0')).toBe('(01:00.0)');
    expect(m.who('02:00.3')).toBe('(02:00.0)');
    expect(m.who('03:00.1')).toBe('(03:00.0)');
    expect(m.who('04:00.7')).toBe('(04:00.0)');
  });

  it('passes only device 0 to a link', () => {
    expect(aSwitch().who('03:01.0')).toBe('(02:00.0)');
    expect(aSwitch().who('01:1f.7')).toBe('(00:01.0)');
  });

  it('has the port answer for a link without a device', () => {
    expect(new Wired(port('root-port', '00:01.0', 1, 1)).who('01:00.0')).toBe('(00:01.0)');
  });
});

describe('as software numbers the buses', () => {
  it('reaches nothing below a bridge without numbers', () => {
    const m = aSwitch();
    m.number('00:01.0', 0, 0, 0);
    for (const name of ['01:00.0', '02:00.0', '03:00.0', '04:00.1']) expect(m.who(name)).toBe('nobody');
    expect(m.who('00:01.0')).toBe('00:01.0');
  });

  it('finds what is wired below a bridge under its new number', () => {
    const m = aSwitch();
    m.number('00:01.0', 0, 0x40, 0x50);
    m.number('01:00.0', 0x40, 0x41, 0x50);
    m.number('02:01.0', 0x41, 0x47, 0x47);
    m.number('02:00.0', 0x41, 0x50, 0x50);
    expect(m.who('40:00.0')).toBe('01:00.0');
    expect(m.who('41:00.0')).toBe('02:00.0');
    expect(m.who('47:00.1')).toBe('04:00.1');
    expect(m.who('50:00.0')).toBe('03:00.0');
    expect(m.who('48:00.0')).toBe('(01:00.0)');
    expect(m.who('01:00.0')).toBe('nobody');
  });

  it('needs every bridge on the way', () => {
    const m = aSwitch();
    m.number('01:00.0', 1, 2, 3);
    expect(m.who('04:00.0')).toBe('(00:01.0)');
    expect(m.who('03:00.0')).toBe('03:00.0');
    m.number('00:01.0', 0, 1, 2);
    expect(m.who('03:00.0')).toBe('nobody');
  });

  it('routes by secondary and subordinate, not by primary', () => {
    const m = aSwitch();
    m.config('02:00.0').write(PRIMARY, 1, 0xff);
    expect(m.who('03:00.0')).toBe('03:00.0');
  });

  it('gives a bus that two bridges claim to the one with the lower address', () => {
    const m = aSwitch();
    m.number('02:00.0', 2, 3, 4);
    expect(m.who('04:00.0')).toBe('(02:00.0)');
  });

  it('passes nothing through a bridge that is not in D0', () => {
    const m = aSwitch();
    const config = m.config('01:00.0');
    const power = config.capabilities.find(({ id, extended }) => id === 1 && !extended)?.offset ?? 0;
    config.write(power + 4, 2, 3);
    expect(m.who('03:00.0')).toBe('(01:00.0)');
    expect(m.who('01:00.0')).toBe('01:00.0');
  });
});

describe('function numbers of eight bits', () => {
  const ari = (name: string): TopologyFunction => endpoint(name, ARI);

  it('pass to an ARI device only with ARI Forwarding Enable', () => {
    const m = new Wired(port('root-port', '00:01.0', 1, 1), ari('01:00.0'), ari('01:01.2'));
    expect(m.who('01:01.2')).toBe('(00:01.0)');
    forwardAri(m.config('00:01.0'));
    expect(m.who('01:01.2')).toBe('01:01.2');
    expect(m.who('01:01.3')).toBe('(01:00.0)');
    expect(m.who('01:00.0')).toBe('01:00.0');
  });

  it('show a device without ARI at each device number', () => {
    const m = new Wired(...devicesOf('01:00.0 01:00.1'));
    forwardAri(m.config('00:01.0'));
    expect(m.who('01:00.1')).toBe('01:00.1');
    expect(m.who('01:1f.0')).toBe('01:00.0');
    expect(m.who('01:03.1')).toBe('01:00.1');
    expect(m.who('01:03.2')).toBe('(01:00.0)');
  });

  it('reach later buses of a device as far from its first as they are wired', () => {
    const m = new Wired(port('root-port', '00:01.0', 1, 4), ari('01:00.0'), ari('02:00.1'));
    expect(m.who('02:00.1')).toBe('02:00.1');
    m.number('00:01.0', 0, 0x10, 0x12);
    expect(m.who('11:00.1')).toBe('02:00.1');
    m.number('00:01.0', 0, 0x10, 0x10);
    expect(m.who('11:00.1')).toBe('nobody');
  });
});

describe('conventional buses and root buses', () => {
  it('have devices of every number', () => {
    const bridge = fn('00:1e.0', pciBridgeConfig({ kind: 'pci-bridge', primary: 0, secondary: 5, subordinate: 5 }));
    const m = new Wired(bridge, endpoint('05:03.0'), endpoint('05:1f.0'));
    expect([m.who('05:03.0'), m.who('05:1f.0'), m.who('05:00.0')]).toEqual(['05:03.0', '05:1f.0', '(00:1e.0)']);
  });

  it('are several in a segment, each with the numbers up to the next', () => {
    const m = new Wired(
      port('root-port', '00:01.0', 1, 1),
      endpoint('01:00.0'),
      port('root-port', '80:01.0', 0x81, 0x81),
      endpoint('81:00.0'),
    );
    expect([m.who('01:00.0'), m.who('81:00.0'), m.who('80:01.0')]).toEqual(['01:00.0', '81:00.0', '80:01.0']);
    // A bridge of another host bridge's buses takes none of its requests.
    m.number('00:01.0', 0, 0x82, 0x90);
    expect(m.who('82:00.0')).toBe('nobody');
  });
});
