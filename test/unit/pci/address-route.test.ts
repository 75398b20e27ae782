/** Who answers an address, as registers stand. */
import { expect, it } from 'vitest';
import { formatBdf, parseBdf, type Bdf } from '../../../server/src/core/base/index.ts';
import {
  ConfigSpace,
  Topology,
  bridgeConfig,
  endpointConfig,
  routeAddress,
  type TopologyFunction,
} from '../../../server/src/core/pci/index.ts';

const [COMMAND, BAR0, BAR1, BRIDGE_CONTROL] = [0x04, 0x10, 0x14, 0x3e];
const [IO_BASE, IO_LIMIT, MEMORY_BASE, MEMORY_LIMIT] = [0x1c, 0x1d, 0x20, 0x22];

function at(text: string): Bdf {
  const place = parseBdf(text);
  if (place === undefined) throw new Error(`no place: ${text}`);
  return place;
}

/** A root port with a 1 MiB memory window and I/O ports 0x1000 to 0x1fff, and below it a function with 4 KiB of memory and 16 ports. */
function machine(): { route: (space: 'memory' | 'io', address: number) => string; port: ConfigSpace; end: ConfigSpace } {
  const image = bridgeConfig({
    kind: 'root-port',
    primary: 0,
    secondary: 1,
    subordinate: 1,
    window: { base: 0xe000_0000, end: 0xe010_0000 },
  });
  image[IO_BASE] = 0x10;
  image[IO_LIMIT] = 0x10;
  image[COMMAND] = 3;
  const port = new ConfigSpace(image);
  const bars = [
    { index: 0, kind: 'memory32', bytes: 0x1000n, address: 0xe000_2000n },
    { index: 1, kind: 'io', bytes: 0x10n, address: 0x1040n },
  ] as const;
  const config = endpointConfig({ vendor: 1, device: 2, classCode: 0, multiFunction: false, command: 3, bars, capabilities: {} });
  const end = new ConfigSpace(config, { barBytes: [0x1000n, 0x10n] });
  const functions: TopologyFunction[] = [
    { bdf: at('00:01.0'), config: port },
    { bdf: at('01:00.0'), config: end },
  ];
  const topology = new Topology(functions);
  const route = (space: 'memory' | 'io', address: number): string => {
    const { claim, bridge } = routeAddress(topology, space, BigInt(address));
    const name = (bdf: Bdf): string => formatBdf(bdf).replace(/^0000:/, '');
    if (claim !== undefined) return `${name(claim.bdf)} BAR ${claim.bar} + 0x${(BigInt(address) - claim.first).toString(16)}`;
    return bridge === undefined ? 'nobody' : `below ${name(bridge.bdf)}`;
  };
  return { route, port, end };
}

it('goes through open windows to a BAR that decodes', () => {
  const { route } = machine();
  expect(route('memory', 0xe000_2000)).toBe('01:00.0 BAR 0 + 0x0');
  expect(route('memory', 0xe000_2fff)).toBe('01:00.0 BAR 0 + 0xfff');
  expect(route('io', 0x104f)).toBe('01:00.0 BAR 1 + 0xf');
});

it('finds nobody beside a BAR, and no bridge beside a window', () => {
  const { route } = machine();
  expect(route('memory', 0xe000_3000)).toBe('below 00:01.0');
  expect(route('memory', 0xe000_1fff)).toBe('below 00:01.0');
  expect(route('memory', 0xe010_0000)).toBe('nobody');
  expect(route('io', 0x1050)).toBe('below 00:01.0');
  expect(route('io', 0x2000)).toBe('nobody');
});

it('keeps the two spaces apart', () => {
  const { route } = machine();
  expect(route('io', 0xe000_2000)).toBe('nobody');
  expect(route('memory', 0x1040)).toBe('nobody');
});

it('follows the enable bits of the function and of the bridge', () => {
  const { route, port, end } = machine();
  end.write(COMMAND, 2, 1);
  expect([route('memory', 0xe000_2000), route('io', 0x1040)]).toEqual(['below 00:01.0', '01:00.0 BAR 1 + 0x0']);
  port.write(COMMAND, 2, 2);
  expect([route('memory', 0xe000_2000), route('io', 0x1040)]).toEqual(['below 00:01.0', 'nobody']);
});

it('follows BARs and windows as they are written', () => {
  const { route, port, end } = machine();
  end.write(BAR0, 4, 0xe008_0000);
  end.write(BAR1, 4, 0x1ff0);
  expect([route('memory', 0xe000_2000), route('memory', 0xe008_0004), route('io', 0x1ff1)]).toEqual([
    'below 00:01.0',
    '01:00.0 BAR 0 + 0x4',
    '01:00.0 BAR 1 + 0x1',
  ]);
  port.write(MEMORY_BASE, 2, 0xe010);
  port.write(MEMORY_LIMIT, 2, 0xe020);
  expect(route('memory', 0xe008_0004)).toBe('nobody');
  expect(route('memory', 0xe02f_ffff)).toBe('below 00:01.0');
});

it('has VGA Enable pass the addresses of VGA, and ISA Enable keep those of ISA cards', () => {
  const { route, port } = machine();
  expect([route('memory', 0xa_0000), route('io', 0x3c0)]).toEqual(['nobody', 'nobody']);
  port.write(BRIDGE_CONTROL, 2, 8);
  expect([route('memory', 0xb_ffff), route('io', 0x3df), route('io', 0x7c0), route('io', 0x3bc)]).toEqual([
    'below 00:01.0',
    'below 00:01.0',
    'below 00:01.0',
    'nobody',
  ]);
  port.write(BRIDGE_CONTROL, 2, 0x18);
  expect([route('io', 0x3df), route('io', 0x7c0)]).toEqual(['below 00:01.0', 'nobody']);
  port.write(BRIDGE_CONTROL, 2, 4);
  expect([route('io', 0x1040), route('io', 0x1440), route('io', 0x1140)]).toEqual(['01:00.0 BAR 1 + 0x0', 'below 00:01.0', 'nobody']);
});
