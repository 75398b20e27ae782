/**
 * Ranges of 2^n pages, naturally aligned: what a Translation Completion grants and an Invalidate Request names (PCIe §10.2.3, §10.3.1). Page numbers are
 * exact doubles below 2^52.
 */
import { alignedDown } from './address.ts';
import type { StateFields } from './saved-state.ts';

/** log2 of the pages of the smallest such range that has all of these pages; `pages` is finite, and 1 or more. */
export function spanLg2(firstPage: number, pages: number): number {
  const last = firstPage + pages - 1;
  let lg2 = 0;
  while (alignedDown(firstPage, lg2) !== alignedDown(last, lg2)) lg2++;
  return lg2;
}

/** Something for each of a set of such ranges, which may overlap. */
export class PageRanges<T> {
  readonly #byCode = new Map<number, T>();
  /** Ranges of each size, by its log2. */
  readonly #counts: number[] = [];
  /** log2 of the sizes that ranges here have. A look for a page tries each: real tables have two or three. */
  #sizes: readonly number[] = [];

  get size(): number {
    return this.#byCode.size;
  }
  get sizesLg2(): readonly number[] {
    return this.#sizes;
  }

  /** What is kept of the range of this size that has the page. */
  at(page: number, lg2: number): T | undefined {
    return this.#byCode.get(codeOf(page, lg2));
  }

  set(page: number, lg2: number, value: T): void {
    const code = codeOf(page, lg2);
    if (!this.#byCode.has(code)) this.#count(lg2, 1);
    this.#byCode.set(code, value);
  }

  delete(page: number, lg2: number): void {
    if (this.#byCode.delete(codeOf(page, lg2))) this.#count(lg2, -1);
  }

  /** In the order in which they were put in. */
  values(): IterableIterator<T> {
    return this.#byCode.values();
  }

  /** What is kept of every range that has one of these pages; `pages` Infinity: of all. The set may be changed while it is read. */
  overlapping(firstPage: number, pages: number): readonly T[] {
    if (pages === Infinity) return [...this.#byCode.values()];
    if (pages <= 0) return [];
    const last = firstPage + pages - 1;
    let probes = 0;
    for (const lg2 of this.#sizes) probes += indexOf(last, lg2) - indexOf(firstPage, lg2) + 1;
    const found: T[] = [];
    if (probes > this.#byCode.size) {
      for (const [code, value] of this.#byCode) if (codeOverlaps(code, firstPage, last)) found.push(value);
      return found;
    }
    for (const lg2 of this.#sizes) {
      for (let page = alignedDown(firstPage, lg2); page <= last; page += 2 ** lg2) {
        const value = this.#byCode.get(codeOf(page, lg2));
        if (value !== undefined) found.push(value);
      }
    }
    return found;
  }

  state(fields: StateFields): void {
    fields.keep('byCode', this.#byCode);
    fields.keep('counts', this.#counts);
    this.#sizes = fields.field('sizes', this.#sizes);
  }

  #count(lg2: number, by: 1 | -1): void {
    const count = (this.#counts[lg2] ?? 0) + by;
    this.#counts[lg2] = count;
    if (by === 1 && count === 1) this.#sizes = [...this.#sizes, lg2].toSorted((a, b) => a - b);
    else if (count === 0) this.#sizes = this.#sizes.filter((other) => other !== lg2);
  }
}

/** One number for first page and size: twice the page, with as many ones lowest as the size has bits. */
function codeOf(page: number, lg2: number): number {
  return alignedDown(page, lg2) * 2 + 2 ** lg2 - 1;
}

function codeOverlaps(code: number, firstPage: number, lastPage: number): boolean {
  const lg2 = onesLowest(code);
  return indexOf(firstPage, lg2) * 2 ** (lg2 + 1) <= code && code <= alignedDown(lastPage, lg2) * 2 + 2 ** lg2 - 1;
}

function onesLowest(code: number): number {
  const low = (code % 2 ** 32) | 0;
  return low === -1 ? 32 + onesOf(Math.floor(code / 2 ** 32)) : onesOf(low);
}

/** How many of its lowest bits are one, up to the first zero. */
export function onesOf(word: number): number {
  return word === -1 ? 32 : 31 - Math.clz32(~word & (word + 1));
}

function indexOf(page: number, lg2: number): number {
  return Math.floor(page / 2 ** lg2);
}
