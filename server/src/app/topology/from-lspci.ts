/** A machine from a dump: every function replays its bytes, bridges too, and the hierarchy is that of the bridges' bus numbers. */
import { PHYSICAL_BITS, formatBdf } from '../../core/base/index.ts';
import type { FunctionSpec, MemoryRangeSpec } from '../../core/machine/index.ts';
import { ConfigSpace, parseLspci } from '../../core/pci/index.ts';
import { readDurationNs } from './quantities.ts';
import { DEFAULT_INVALIDATION_TIMEOUT } from './schema.ts';
import type { TopologySpec } from './topology-spec.ts';

const GIB = 1n << 30n;

/** Text that is no dump is `EINVAL` with its line. `warnings` name the function and offset of each broken capability chain. */
export function fromLspci(text: string): TopologySpec & { readonly warnings: readonly string[] } {
  const dump = parseLspci(text);
  const warnings = [...dump.warnings];
  const taken: MemoryRangeSpec[] = [];
  const functions = dump.functions.map(({ bdf, label, config, barBytes }): FunctionSpec => {
    const space = new ConfigSpace(config, { name: formatBdf(bdf), barBytes });
    warnings.push(...space.warnings);
    for (const bar of space.bars()) {
      if (bar.kind !== 'io' && bar.sizeLg2 >= 0) taken.push({ address: space.barAddress(bar), bytes: 1n << BigInt(bar.sizeLg2) });
    }
    return { bdf, model: 'replay', config, barBytes, label, latencyNs: 0 };
  });
  const iommu = { invalidationTimeoutNs: readDurationNs(DEFAULT_INVALIDATION_TIMEOUT) ?? 0 };
  return { memory: [freeRange(taken)], iommu, functions, warnings };
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
