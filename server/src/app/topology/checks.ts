/** What of a document's functions cannot be together, each part of which is right by itself. */
import { busOf, formatBdf, hexDigits, segmentOf } from '../../core/base/index.ts';
import type { MemoryRangeSpec } from '../../core/machine/index.ts';
import { Topology, claimText, claimsOf, decodeAddresses, overlapText, type TopologyFunction } from '../../core/pci/index.ts';

/** Each a sentence that names both of what clashes. In dumps these are warnings, for real machines have booted so; documents are refused. */
export function clashes(functions: readonly TopologyFunction[], memory: readonly MemoryRangeSpec[]): string[] {
  const topology = new Topology(functions);
  return [
    ...busClashes(functions, topology),
    ...windowClashes(functions, topology),
    ...(['memory', 'io'] as const).flatMap((space) => decodeAddresses(topology, space).overlaps.map(overlapText)),
    ...memoryClashes(functions, memory),
  ];
}

/** Bus numbers make a tree: below a bridge they are above its own, in the range of the bridge above, and no other bridge's. */
function busClashes(functions: readonly TopologyFunction[], topology: Topology): string[] {
  const found: string[] = [];
  const bridges = functions.filter(({ config }) => config.isBridge && config.secondaryBus !== 0);
  for (const [i, bridge] of bridges.entries()) {
    const { secondaryBus, subordinateBus } = bridge.config;
    if (secondaryBus <= busOf(bridge.bdf)) {
      const inside = bridges.find((other) => other !== bridge && holds(other, busOf(bridge.bdf)) && holds(bridge, busOf(other.bdf)));
      const loop = inside === undefined ? '' : `, and ${busText(inside)} contains it in turn`;
      found.push(
        `${busText(bridge)} is itself on bus ${hexDigits(busOf(bridge.bdf), 2)}${loop}; what is below a bridge has higher numbers`,
      );
      continue;
    }
    if (subordinateBus < secondaryBus) found.push(`${busText(bridge)}: the last is below the first`);
    const parent = topology.parentBridge(bridge.bdf);
    const above = bridges.find((one) => one.bdf === parent);
    if (above !== undefined && (subordinateBus > above.config.subordinateBus || secondaryBus <= above.config.secondaryBus)) {
      found.push(`${busText(bridge)} is not in ${busText(above)} above it`);
    }
    for (const other of bridges.slice(0, i)) {
      if (segmentOf(other.bdf) !== segmentOf(bridge.bdf) || topology.parentBridge(other.bdf) !== parent) continue;
      if (secondaryBus <= other.config.subordinateBus && other.config.secondaryBus <= subordinateBus) {
        found.push(
          `${busText(other)} and ${busText(bridge)} both have bus ${hexDigits(Math.max(secondaryBus, other.config.secondaryBus), 2)}`,
        );
      }
    }
  }
  return found;
}

function holds({ config }: TopologyFunction, bus: number): boolean {
  return config.secondaryBus <= bus && bus <= config.subordinateBus;
}

function busText({ bdf, config }: TopologyFunction): string {
  return `${formatBdf(bdf)} (buses ${hexDigits(config.secondaryBus, 2)} to ${hexDigits(config.subordinateBus, 2)})`;
}

/** What a bridge would pass down has to come to it: each window in one of the bridge above. */
function windowClashes(functions: readonly TopologyFunction[], topology: Topology): string[] {
  const byBdf = new Map(functions.map((fn) => [fn.bdf, fn]));
  const found: string[] = [];
  for (const fn of functions) {
    const parent = topology.parentBridge(fn.bdf);
    const above = parent === undefined ? undefined : byBdf.get(parent);
    if (!fn.config.isBridge || above === undefined) continue;
    for (const space of ['memory', 'io'] as const) {
      const outer = claimsOf(above.bdf, above.config, space).filter((claim) => claim.bar < 0);
      for (const claim of claimsOf(fn.bdf, fn.config, space)) {
        if (claim.bar >= 0 || outer.some((one) => one.first <= claim.first && claim.last <= one.last)) continue;
        const text = outer.length === 0 ? `${formatBdf(above.bdf)}, which has no open ${space} window` : outer.map(claimText).join(' or ');
        found.push(`${claimText(claim)} is not in that of ${text} above it`);
      }
    }
  }
  return found;
}

function memoryClashes(functions: readonly TopologyFunction[], memory: readonly MemoryRangeSpec[]): string[] {
  return functions.flatMap(({ bdf, config }) =>
    claimsOf(bdf, config, 'memory').flatMap((claim) => {
      const range = memory.find(({ address, bytes }) => claim.bar >= 0 && address <= claim.last && claim.first < address + bytes);
      if (range === undefined) return [];
      return [
        `${claimText(claim)} overlaps memory 0x${range.address.toString(16)} to 0x${(range.address + range.bytes - 1n).toString(16)}`,
      ];
    }),
  );
}
