/** Does what firmware does: gives BARs addresses and opens the windows of the ports above them. */
import { hex, type Bdf } from '../../core/base/index.ts';
import { EDU_BAR_BYTES, probeResources, type CapabilityChoices } from '../../core/pci/index.ts';
import type { PlacedFunction } from './bus-numbers.ts';
import { refuse, type Source } from './place.ts';
import { readSize } from './quantities.ts';

/** Below it is free for RAM; above it are I/O APIC and MSI on x86. */
export const BAR_WINDOW = { base: 0xe000_0000, end: 0xfec0_0000 } as const;
/** Memory windows of bridges have this granule (PCI-to-PCI Bridge r1.2 §3.2.5.8). */
const WINDOW_BYTES = 1 << 20;

export interface BarAddresses {
  /** Of `edu` and of functions with the BARs of `dma-probe`: by index, as the pci room's `Resource` has it. */
  readonly bars: ReadonlyMap<Bdf, readonly (bigint | undefined)[]>;
  /** Of ports that have BARs below; `end` is exclusive. */
  readonly windows: ReadonlyMap<Bdf, { readonly base: number; readonly end: number }>;
}

/** Deterministic: depth first in the order of addresses. More than the window holds is `EINVAL` naming the function. */
export function assignBarAddresses(
  source: Source,
  roots: readonly PlacedFunction[],
  choices: ReadonlyMap<Bdf, CapabilityChoices>,
  space: { readonly base: number; readonly end: number } = BAR_WINDOW,
): BarAddresses {
  const bars = new Map<Bdf, readonly (bigint | undefined)[]>();
  const windows = new Map<Bdf, { readonly base: number; readonly end: number }>();
  let next = space.base;
  const take = (fn: PlacedFunction, bytes: number, count: number): bigint => {
    const address = alignUp(next, bytes);
    next = address + bytes * count;
    if (next > space.end) {
      refuse(source, fn.path, `with its BARs, BARs need more than the window ${hex(space.base)} to ${hex(space.end - 1)}`);
    }
    return BigInt(address);
  };
  const visit = (fn: PlacedFunction): void => {
    if (fn.node.model === 'dma-probe' || (fn.node.model === 'remote' && fn.node.config === undefined)) {
      const addresses: (bigint | undefined)[] = [];
      for (const { index, bytes, count } of probeResources(choices.get(fn.bdf))) addresses[index] = take(fn, Number(bytes), count);
      bars.set(fn.bdf, addresses);
    }
    if (fn.node.model === 'edu') bars.set(fn.bdf, [take(fn, Number(EDU_BAR_BYTES[0]), 1)]);
    const kept = slotBytes(source, fn);
    if (fn.children.length === 0 && kept === 0) return;
    next = alignUp(next, WINDOW_BYTES);
    const base = next;
    for (const child of fn.children) visit(child);
    next = alignUp(Math.max(next, base + kept), WINDOW_BYTES);
    if (next > base) windows.set(fn.bdf, { base, end: next });
  };
  for (const root of roots) visit(root);
  return { bars, windows };
}

/** What a port's slot keeps for what is plugged in later. */
function slotBytes(source: Source, { node, path }: PlacedFunction): number {
  if (node.slot === undefined) return 0;
  const { memory = '1MiB' } = node.slot;
  const bytes = readSize(memory);
  if (bytes === undefined || bytes > BigInt(BAR_WINDOW.end - BAR_WINDOW.base)) {
    refuse(source, [...path, 'slot', 'memory'], `"${memory}" is no size that a slot can have; write "1MiB"`);
  }
  return Number(bytes);
}

function alignUp(value: number, bytes: number): number {
  return Math.ceil(value / bytes) * bytes;
}
