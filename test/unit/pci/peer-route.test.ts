/** Where memory requests turn on their way up: PCIe Base r6.0 §6.12. */
import { describe, expect, it } from 'vitest';
import { bdf, formatBdf, type Bdf } from '../../../server/src/core/base/index.ts';
import {
  ConfigSpace,
  PROBE_BAR_BYTES,
  Topology,
  dmaProbeConfig,
  meetsPeer,
  pciBridgeConfig,
  routePeer,
  type TopologyFunction,
} from '../../../server/src/core/pci/index.ts';
import {
  LEFT,
  LEFT_BAR,
  LEFT_PORT,
  RIGHT,
  RIGHT_BAR,
  RIGHT_PORT,
  UPSTREAM,
  aSwitch,
  type SwitchOptions,
} from '../../kit/switch-machine.ts';

const [V, B, R, C, U, E, T] = [1, 2, 4, 8, 0x10, 0x20, 0x40];
const RAM = 0x4000_0000;

class Fabric {
  readonly topology: Topology;
  readonly functions: ReadonlyMap<Bdf, TopologyFunction>;

  constructor(functions: readonly TopologyFunction[]) {
    this.topology = new Topology(functions);
    this.functions = new Map(functions.map((fn) => [fn.bdf, fn]));
  }

  config(at: Bdf): ConfigSpace {
    return this.#fn(at).config;
  }

  #fn(at: Bdf): TopologyFunction {
    const fn = this.functions.get(at);
    if (fn === undefined) throw new Error(`nothing at ${formatBdf(at)}`);
    return fn;
  }

  from(at: Bdf, address: number, translated = false): string {
    const path = this.topology.pathUp(at).map((bridge) => this.#fn(bridge));
    const route = routePeer(this.topology, this.#fn(at), path, BigInt(address), translated);
    const met = meetsPeer(this.topology, path, Math.floor(address / 4096));
    // The quick look may not say no where something is.
    if (route.to !== 'root') expect(met, 'meetsPeer').toBe(true);
    if (route.to === 'root') return 'root';
    if (route.to === 'peer') return `${formatBdf(route.claim.bdf)} BAR ${route.claim.bar}`;
    return `${route.to} by ${formatBdf(route.by.bdf)}`;
  }
}

function fabric(options: SwitchOptions = {}): Fabric {
  return new Fabric(
    aSwitch(options).map(({ bdf: at, config, barBytes }) => ({
      bdf: at,
      config: new ConfigSpace(config, barBytes === undefined ? {} : { barBytes }),
    })),
  );
}

describe('below a switch', () => {
  it('a peer takes what is in its window, and the root complex the rest', () => {
    const f = fabric({ acs: false });
    expect([f.from(LEFT, RIGHT_BAR), f.from(RIGHT, LEFT_BAR + 8), f.from(LEFT, RAM)]).toEqual(['04:00.0 BAR 0', '03:00.0 BAR 0', 'root']);
    expect(f.from(LEFT, RIGHT_BAR, true)).toBe('04:00.0 BAR 0');
  });

  it('a window in which nothing decodes is nobody, also while the function does not decode', () => {
    const f = fabric({ acs: false });
    expect(f.from(LEFT, RIGHT_BAR + 0x4_0000)).toBe('unsupported by 02:01.0');
    f.config(RIGHT).write(4, 2, 4);
    expect(f.from(LEFT, RIGHT_BAR)).toBe('unsupported by 02:01.0');
  });

  it('a port without Memory Space Enable has no window', () => {
    const f = fabric({ acs: false });
    f.config(RIGHT_PORT).write(4, 2, 4);
    expect(f.from(LEFT, RIGHT_BAR)).toBe('unsupported by 02:00.0');
    f.config(UPSTREAM).write(4, 2, 4);
    expect(f.from(LEFT, RIGHT_BAR)).toBe('root');
  });

  it('what is in its own window turns nowhere: up with Upstream Forwarding, refused without', () => {
    expect(fabric({ acs: false }).from(LEFT, LEFT_BAR)).toBe('unsupported by 02:00.0');
    expect(fabric({ acs: R }).from(LEFT, LEFT_BAR)).toBe('unsupported by 02:00.0');
    expect(fabric({ acs: U }).from(LEFT, LEFT_BAR)).toBe('root');
  });

  it('what is in the window of the upstream port and of no other goes nowhere, redirected or not', () => {
    const f = fabric({ acs: R | U });
    f.config(RIGHT_PORT).write(0x20, 4, 0x0000_fff0);
    expect(f.from(LEFT, RIGHT_BAR)).toBe('unsupported by 02:00.0');
  });

  it('follows windows as they are written', () => {
    const f = fabric({ acs: false });
    for (const port of [RIGHT_PORT, UPSTREAM]) f.config(port).write(0x20, 4, 0xf000_f000);
    f.config(RIGHT).write(0x10, 4, 0xf000_0000);
    expect([f.from(LEFT, RIGHT_BAR), f.from(LEFT, 0xf000_0000)]).toEqual(['root', '04:00.0 BAR 0']);
  });
});

describe('Access Control Services of the port that a request comes in by', () => {
  const untranslated: readonly [string, number, string][] = [
    ['nothing', 0, '04:00.0 BAR 0'],
    ['Request Redirect', R, 'root'],
    ['Direct Translated P2P alone', T, '04:00.0 BAR 0'],
    ['Direct Translated P2P and Request Redirect', T | R, 'root'],
    ['Completion Redirect, which is of completions', C, '04:00.0 BAR 0'],
    ['Source Validation and Translation Blocking, which are looked at before', V | B, '04:00.0 BAR 0'],
    ['Egress Control whose vector does not name the port', E, '04:00.0 BAR 0'],
    ['Egress Control and Request Redirect, the port not named', E | R, '04:00.0 BAR 0'],
  ];
  it.each(untranslated)('%s', (_, acs, to) => {
    expect(fabric({ acs }).from(LEFT, RIGHT_BAR)).toBe(to);
  });

  const translated: readonly [string, number, string][] = [
    ['Request Redirect', R, 'root'],
    ['Direct Translated P2P and Request Redirect', T | R, '04:00.0 BAR 0'],
    ['Direct Translated P2P, Egress Control and Request Redirect', T | E | R, '04:00.0 BAR 0'],
  ];
  it.each(translated)('of a translated request: %s', (_, acs, to) => {
    expect(fabric({ acs }).from(LEFT, RIGHT_BAR, true)).toBe(to);
  });

  it('Egress Control that names the port: a violation, or up with Request Redirect', () => {
    const named = (acs: number): string => {
      const f = fabric({ acs });
      const config = f.config(LEFT_PORT);
      const at = config.capabilities.find(({ id, extended }) => id === 0x0d && extended)?.offset ?? 0;
      // The port number of the right one is 1.
      config.write(at + 8, 4, 2);
      return f.from(LEFT, RIGHT_BAR);
    };
    expect([named(E), named(E | R)]).toEqual(['violation by 02:00.0', 'root']);
  });
});

it('on a conventional bus every device sees it, and the bridge takes up only what it would not pass down', () => {
  const at = (bus: number, device: number): Bdf => bdf(0, bus, device, 0);
  const window = { base: 0xf000_0000, end: 0xf010_0000 };
  const end = (place: Bdf, base: number): TopologyFunction => {
    const config = dmaProbeConfig({
      integrated: false,
      ats: false,
      capabilities: { express: false },
      addresses: [BigInt(base), undefined, BigInt(base + 0x1_0000)],
    });
    return { bdf: place, config: new ConfigSpace(config, { barBytes: PROBE_BAR_BYTES }) };
  };
  const f = new Fabric([
    { bdf: at(0, 3), config: new ConfigSpace(pciBridgeConfig({ kind: 'pci-bridge', primary: 0, secondary: 5, subordinate: 5, window })) },
    end(at(5, 1), 0xf000_0000),
    end(at(5, 2), 0xf002_0000),
  ]);
  expect([f.from(at(5, 1), 0xf002_0000), f.from(at(5, 1), 0xf000_0000), f.from(at(5, 1), 0xf00f_0000), f.from(at(5, 1), RAM)]).toEqual([
    '05:02.0 BAR 0',
    'unsupported by 00:03.0',
    'unsupported by 00:03.0',
    'root',
  ]);
});
