/** A machine from a dump: every function replays its bytes, bridges too, and the hierarchy is that of the bridges' bus numbers. */
import { PHYSICAL_BITS, formatBdf, type Bdf } from '../../core/base/index.ts';
import type { FunctionSpec, MemoryRangeSpec } from '../../core/machine/index.ts';
import {
  ConfigSpace,
  claimsOf,
  parseLspci,
  sriovOf,
  virtualPlaces,
  type AddressSpaceName,
  type TopologyFunction,
} from '../../core/pci/index.ts';
import { clashes } from './checks.ts';
import { readDurationNs } from './quantities.ts';
import { DEFAULT_INVALIDATION_TIMEOUT } from './schema.ts';
import type { TopologySpec } from './topology-spec.ts';

const GIB = 1n << 30n;
const BAR_BYTES_MIN = 16n;
const IO_BAR_BYTES_MIN = 4n;

/** Text that is no dump is `EINVAL` with its line. `warnings` name the function and offset of each broken capability chain. */
export function fromLspci(text: string): TopologySpec & { readonly warnings: readonly string[] } {
  const dump = parseLspci(text);
  const warnings = [...dump.warnings];
  const taken: MemoryRangeSpec[] = [];
  const told = dump.functions.map((fn) => ({
    ...fn,
    space: new ConfigSpace(fn.config, { name: formatBdf(fn.bdf), barBytes: fn.barBytes }),
  }));
  const starts = { memory: claimStarts(told, 'memory'), io: claimStarts(told, 'io') };
  const placed: TopologyFunction[] = [];
  const virtual = virtualOnes(told);
  const functions = told.map(({ bdf, label, config, barBytes: toldBytes, space: asTold }): FunctionSpec => {
    const barBytes = boundSizes(asTold, toldBytes, starts);
    const space = barBytes === toldBytes ? asTold : new ConfigSpace(config, { barBytes });
    warnings.push(...asTold.warnings);
    placed.push({ bdf, config: space });
    for (const bar of space.bars()) {
      if (bar.kind !== 'io' && bar.sizeLg2 >= 0) taken.push({ address: space.barAddress(bar), bytes: 1n << BigInt(bar.sizeLg2) });
    }
    const theirs = virtual.get(bdf);
    return { bdf, model: 'replay', config, barBytes, label, latencyNs: 0, ...(theirs === undefined ? {} : { virtual: theirs }) };
  });
  const iommu = { invalidationTimeoutNs: readDurationNs(DEFAULT_INVALIDATION_TIMEOUT) ?? 0 };
  const memory = [freeRange(taken)];
  warnings.push(...clashes(placed, memory));
  return { memory, iommu, functions, warnings };
}

/** Functions that stand where a physical one with VF Enable has its virtual ones (PCIe Base r6.0 §9.3.3.9). */
function virtualOnes(
  functions: readonly { readonly bdf: Bdf; readonly space: ConfigSpace }[],
): ReadonlyMap<Bdf, NonNullable<FunctionSpec['virtual']>> {
  const there = new Set(functions.map(({ bdf }) => bdf));
  const found = new Map<Bdf, NonNullable<FunctionSpec['virtual']>>();
  for (const { bdf, space } of functions) {
    const sriov = found.has(bdf) ? undefined : sriovOf(space);
    if (sriov?.enabled !== true) continue;
    for (const [index, place] of virtualPlaces(bdf, sriov).entries()) {
      if (place !== bdf && there.has(place)) found.set(place, { physical: bdf, index });
    }
  }
  return found;
}

/** Where BARs and windows of the dump begin, in order. */
function claimStarts(functions: readonly { readonly bdf: Bdf; readonly space: ConfigSpace }[], kind: AddressSpaceName): readonly bigint[] {
  const claims = functions.flatMap(({ bdf, space }) => claimsOf(bdf, space, kind));
  return [...new Set(claims.map(({ first }) => first))].sort((a, b) => (a < b ? -1 : 1));
}

/** A BAR of which the dump does not tell the size ends, at the latest, where something else begins. */
function boundSizes(
  space: ConfigSpace,
  told: readonly bigint[],
  starts: Readonly<Record<AddressSpaceName, readonly bigint[]>>,
): readonly bigint[] {
  let sizes: bigint[] | undefined;
  for (const bar of space.bars()) {
    if (bar.sizeLg2 < 0 || (told[bar.index] ?? 0n) !== 0n) continue;
    const address = space.barAddress(bar);
    const next = starts[bar.kind === 'io' ? 'io' : 'memory'].find((start) => start > address);
    const least = bar.kind === 'io' ? IO_BAR_BYTES_MIN : BAR_BYTES_MIN;
    let bytes = 1n << BigInt(bar.sizeLg2);
    if (next === undefined || address + bytes <= next) continue;
    while (address + bytes > next && bytes > least) bytes >>= 1n;
    sizes ??= [...told];
    sizes[bar.index] = bytes;
  }
  return sizes ?? told;
}

/** The first GiB from 1 GiB on that no BAR of the dump meets; a dump says nothing of the machine's RAM. */
function freeRange(taken: readonly MemoryRangeSpec[]): MemoryRangeSpec {
  // The last GiB below 4 GiB is for interrupts.
  const all = [...taken, { address: 3n * GIB, bytes: GIB }].sort((a, b) => (a.address < b.address ? -1 : 1));
  let address = GIB;
  for (const range of all) {
    const end = range.address + range.bytes;
    if (range.address < address + GIB && address < end) address = ((end + GIB - 1n) / GIB) * GIB;
  }
  // Sizes that a dump claims can fill everything; then RAM is where it is by default.
  return { address: (address + GIB) >> BigInt(PHYSICAL_BITS) === 0n ? address : GIB, bytes: GIB };
}
