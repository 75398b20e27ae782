/**
 * The I/O virtual addresses of a default domain, as dma-iommu gives them away (`drivers/iommu/dma-iommu.c`, `iova.c`): by pages, from the top down,
 * aligned to their size, never page 0 and never what is reserved.
 */
import type { StateFields } from '../base/index.ts';

/** A range of pages, its end not in it. */
interface Pages {
  readonly start: number;
  readonly end: number;
}

interface Area {
  /** As they were asked for. */
  readonly pages: number;
  /** As they were taken. */
  readonly taken: number;
  /** Unmapped, and not free yet: something may still be cached of it. */
  leaving: boolean;
}

/** The first page above 32 bits: PCI functions get addresses below it while there are any (pci_32bit_workaround). */
export const PAGES_32BIT = 2 ** 20;
/** Less than this is rounded up to a power of two, as the cache of free addresses wants it (IOVA_RANGE_CACHE_MAX_SIZE). */
const ROUNDED_BELOW = 32;

export class IovaSpace {
  readonly #end: number;
  /** In rising order; no two touch. */
  readonly #free: Pages[];
  /** By first page. */
  readonly #areas = new Map<number, Area>();

  /** Pages from 1 to `end`, `end` not in it. */
  constructor(end: number) {
    this.#end = end;
    this.#free = [{ start: 1, end }];
  }

  /** Takes pages out for good; those that are taken already stay so. */
  reserve(start: number, end: number): void {
    const from = Math.max(start, 1);
    const to = Math.min(end, this.#end);
    const cut = this.#free.flatMap((gap) => {
      if (to <= gap.start || from >= gap.end) return [gap];
      return [
        { start: gap.start, end: Math.min(from, gap.end) },
        { start: Math.max(to, gap.start), end: gap.end },
      ].filter((rest) => rest.start < rest.end);
    });
    this.#free.splice(0, this.#free.length, ...cut);
  }

  /** The first of so many pages below `limit`, or undefined where there is no room for them. */
  alloc(pages: number, limit: number): number | undefined {
    const alignment = 2 ** Math.ceil(Math.log2(pages));
    const taken = pages < ROUNDED_BELOW ? alignment : pages;
    for (let at = this.#free.length - 1; at >= 0; at--) {
      const gap = this.#free[at]!;
      const start = Math.floor((Math.min(gap.end, limit) - taken) / alignment) * alignment;
      if (start < gap.start) continue;
      const rest = [
        { start: gap.start, end: start },
        { start: start + taken, end: gap.end },
      ];
      this.#free.splice(at, 1, ...rest.filter((left) => left.start < left.end));
      this.#areas.set(start, { pages, taken, leaving: false });
      return start;
    }
    return undefined;
  }

  /** True where just these pages were given away, and are on their way back from now on. */
  leave(start: number, pages: number): boolean {
    const area = this.#areas.get(start);
    if (area?.pages !== pages || area.leaving) return false;
    area.leaving = true;
    return true;
  }

  /** They are on nobody's way any more: still given away. */
  stay(start: number): void {
    const area = this.#areas.get(start);
    if (area !== undefined) area.leaving = false;
  }

  /** Takes back what begins with this page. */
  release(start: number): void {
    const area = this.#areas.get(start);
    if (area === undefined) return;
    this.#areas.delete(start);
    const end = start + area.taken;
    let at = this.#free.findIndex((gap) => gap.start > start);
    if (at < 0) at = this.#free.length;
    const before = this.#free[at - 1];
    const after = this.#free[at];
    const joinsBefore = before?.end === start;
    const joinsAfter = after?.start === end;
    const whole = { start: joinsBefore ? before.start : start, end: joinsAfter ? after.end : end };
    this.#free.splice(at - (joinsBefore ? 1 : 0), (joinsBefore ? 1 : 0) + (joinsAfter ? 1 : 0), whole);
  }

  state(fields: StateFields): void {
    fields.field('end', this.#end);
    fields.keep('free', this.#free);
    fields.keep('areas', this.#areas);
  }

  /** Areas that are given away, those on their way back among them. */
  get areas(): number {
    return this.#areas.size;
  }
}
