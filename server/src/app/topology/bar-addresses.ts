/** Does what firmware does: gives BARs addresses and opens the windows of the ports above them. */
import { formatBdf, hex, type Bdf } from '../../core/base/index.ts';
import { EDU_BAR_BYTES, probeResources, type AddressClaim, type CapabilityChoices } from '../../core/pci/index.ts';
import type { PlacedFunction } from './bus-numbers.ts';
import { refuse, type Source } from './place.ts';
import { readAddress, readSize } from './quantities.ts';

/** Below it is free for RAM; above it are I/O APIC and MSI on x86. */
export const BAR_WINDOW = { base: 0xe000_0000, end: 0xfec0_0000 } as const;
/** Memory windows of bridges have this granule (PCI-to-PCI Bridge r1.2 §3.2.5.8). */
const WINDOW_BYTES = 1 << 20;

interface Range {
  readonly base: number;
  /** Exclusive. */
  readonly end: number;
}

/** Where things may be put, and all of the window that it is a part of. */
interface Room extends Range {
  readonly whole: Range;
}

export interface BarAddresses {
  /** Of `edu` and of functions with the BARs of `dma-probe`: by index, as the pci room's `Resource` has it. */
  readonly bars: ReadonlyMap<Bdf, readonly (bigint | undefined)[]>;
  /** Of ports that have BARs below, or a window of their own; `end` is exclusive. */
  readonly windows: ReadonlyMap<Bdf, Range>;
}

/**
 * Deterministic: depth first in the order of addresses, around windows that the document states and around `taken`, BARs that functions bring.
 * What does not fit, or does not nest, is `EINVAL` naming the two.
 */
export function assignBarAddresses(
  source: Source,
  roots: readonly PlacedFunction[],
  choices: ReadonlyMap<Bdf, CapabilityChoices>,
  taken: readonly AddressClaim[],
  space: { readonly base: number; readonly end: number } = BAR_WINDOW,
): BarAddresses {
  return new Assigning(source, choices, taken).run(roots, space);
}

class Assigning {
  readonly #source: Source;
  readonly #taken: readonly Range[];
  readonly #choices: ReadonlyMap<Bdf, CapabilityChoices>;
  readonly #bars = new Map<Bdf, readonly (bigint | undefined)[]>();
  readonly #windows = new Map<Bdf, Range>();

  constructor(source: Source, choices: ReadonlyMap<Bdf, CapabilityChoices>, taken: readonly AddressClaim[]) {
    this.#source = source;
    this.#choices = choices;
    this.#taken = taken
      .filter((claim) => claim.first < BAR_WINDOW.end)
      .map(({ first, last }) => ({ base: Number(first), end: Number(last) + 1 }));
  }

  run(roots: readonly PlacedFunction[], space: Range): BarAddresses {
    this.#bus(roots, roomOf(space), undefined);
    return { bars: this.#bars, windows: this.#windows };
  }

  /** Everything on one bus, in `room`; returns where it ends. */
  #bus(functions: readonly PlacedFunction[], room: Room, above: PlacedFunction | undefined): number {
    const stated = functions.flatMap((fn) => {
      const window = this.#statedWindow(fn, room, above);
      return window === undefined ? [] : [{ fn, ...window }];
    });
    for (const [i, one] of stated.entries()) {
      const other = stated.slice(0, i).find((before) => before.base < one.end && one.base < before.end);
      if (other === undefined) continue;
      const path = [...one.fn.path, 'window'];
      refuse(
        this.#source,
        path,
        `the window ${rangeText(one)} of ${formatBdf(one.fn.bdf)} overlaps ${rangeText(other)} of ${formatBdf(other.fn.bdf)}`,
      );
    }
    const avoid = [...this.#taken, ...stated];
    let next = room.base;
    for (const fn of functions) {
      const own = stated.find((one) => one.fn === fn);
      next = this.#ownBars(fn, next, room, avoid);
      if (own === undefined) next = this.#below(fn, next, room, avoid);
      else {
        this.#windows.set(fn.bdf, own);
        this.#bus(fn.children, roomOf(own), fn);
      }
    }
    return next;
  }

  #ownBars(fn: PlacedFunction, from: number, room: Room, avoid: readonly Range[]): number {
    if (fn.node.model === 'edu') {
      const base = free(from, Number(EDU_BAR_BYTES[0]), Number(EDU_BAR_BYTES[0]), avoid);
      if (base + Number(EDU_BAR_BYTES[0]) > room.end) this.#full(fn, room);
      this.#bars.set(fn.bdf, [BigInt(base)]);
      return base + Number(EDU_BAR_BYTES[0]);
    }
    if (fn.node.model !== 'dma-probe' && (fn.node.model !== 'remote' || fn.node.config !== undefined)) return from;
    const addresses: (bigint | undefined)[] = [];
    let next = from;
    for (const { index, bytes, count } of probeResources(this.#choices.get(fn.bdf))) {
      const base = free(next, Number(bytes) * count, Number(bytes), avoid);
      next = base + Number(bytes) * count;
      if (next > room.end) this.#full(fn, room);
      addresses[index] = BigInt(base);
    }
    this.#bars.set(fn.bdf, addresses);
    return next;
  }

  /** A port that states no window gets one of what is below it: where that would span what is taken, further up. */
  #below(port: PlacedFunction, from: number, room: Room, avoid: readonly Range[]): number {
    const kept = slotBytes(this.#source, port);
    if (port.children.length === 0 && kept === 0) return from;
    let base = alignUp(from, WINDOW_BYTES);
    for (;;) {
      const end = alignUp(Math.max(this.#bus(port.children, { ...room, base }, port), base + kept), WINDOW_BYTES);
      if (end > room.end) this.#full(port, room);
      const inTheWay = avoid.find((range) => range.base < end && base < range.end);
      if (end === base) return from;
      if (inTheWay === undefined) {
        this.#windows.set(port.bdf, { base, end });
        return end;
      }
      base = alignUp(inTheWay.end, WINDOW_BYTES);
    }
  }

  #statedWindow(fn: PlacedFunction, room: Room, above: PlacedFunction | undefined): Range | undefined {
    const { window } = fn.node;
    if (window === undefined) return undefined;
    const path = [...fn.path, 'window'];
    const address = readAddress(window.address);
    const bytes = readSize(window.size);
    if (address === undefined)
      refuse(this.#source, [...path, 'address'], `"${window.address}" is not an address; write it as "0xe0000000"`);
    if (bytes === undefined || bytes === 0n) refuse(this.#source, [...path, 'size'], `"${window.size}" is not a size; write it as "2MiB"`);
    if ((address | bytes) % BigInt(WINDOW_BYTES) !== 0n) refuse(this.#source, path, 'a window begins and ends at a multiple of 1 MiB');
    if (address < BigInt(BAR_WINDOW.base) || address + bytes > BigInt(BAR_WINDOW.end)) {
      refuse(this.#source, path, `a window is in ${rangeText(BAR_WINDOW)}, where BARs are`);
    }
    const range = { base: Number(address), end: Number(address + bytes) };
    if (above !== undefined && above.node.window === undefined) {
      const port = formatBdf(above.bdf);
      refuse(
        this.#source,
        path,
        `${formatBdf(fn.bdf)} states a window and ${port} above it does not; what is below ${port} lies in its window`,
      );
    }
    if (above !== undefined && (range.base < room.base || range.end > room.end)) {
      refuse(
        this.#source,
        path,
        `the window ${rangeText(range)} of ${formatBdf(fn.bdf)} is not in ${rangeText(room)}, that of ${formatBdf(above.bdf)} above it`,
      );
    }
    return range;
  }

  #full(fn: PlacedFunction, room: Room): never {
    refuse(this.#source, fn.path, `with its BARs, BARs need more than the window ${rangeText(room.whole)}`);
  }
}

function roomOf({ base, end }: Range): Room {
  return { base, end, whole: { base, end } };
}

/** The first place from `from` on for so many bytes. */
function free(from: number, bytes: number, alignment: number, avoid: readonly Range[]): number {
  let base = alignUp(from, alignment);
  for (;;) {
    const inTheWay = avoid.find((range) => range.base < base + bytes && base < range.end);
    if (inTheWay === undefined) return base;
    base = alignUp(inTheWay.end, alignment);
  }
}

function rangeText({ base, end }: Range): string {
  return `${hex(base)} to ${hex(end - 1)}`;
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
