/** First-fit allocation of runs of pages: the lowest hole that is large enough, so equal calls give equal answers. */

import type { StateFields } from '../base/index.ts';

interface Hole {
  first: number;
  pages: number;
}

export class PageAllocator {
  /** Sorted, apart from each other. */
  readonly #holes: Hole[] = [];
  /** Pages of each allocation, by its first page. */
  readonly #allocated = new Map<number, number>();

  /** `ranges` are sorted and do not overlap. Page 0 is never given away: address 0 means "none" to much software. */
  constructor(ranges: readonly { readonly first: number; readonly pages: number }[]) {
    for (const { first, pages } of ranges) {
      const skip = first === 0 ? 1 : 0;
      if (pages > skip) this.#holes.push({ first: first + skip, pages: pages - skip });
    }
  }

  /** The first page of a run of `pages` (at least 1), or undefined when no hole takes it. */
  alloc(pages: number): number | undefined {
    const index = this.#holes.findIndex((hole) => hole.pages >= pages);
    const hole = this.#holes[index];
    if (hole === undefined) return undefined;
    const { first } = hole;
    hole.first += pages;
    hole.pages -= pages;
    if (hole.pages === 0) this.#holes.splice(index, 1);
    this.#allocated.set(first, pages);
    return first;
  }

  state(fields: StateFields): void {
    fields.keep('holes', this.#holes);
    fields.keep('allocated', this.#allocated);
  }

  pagesAt(first: number): number | undefined {
    return this.#allocated.get(first);
  }

  /** False when no run starts there. */
  free(first: number): boolean {
    const pages = this.#allocated.get(first);
    if (pages === undefined) return false;
    this.#allocated.delete(first);
    const found = this.#holes.findIndex((hole) => hole.first > first);
    const index = found === -1 ? this.#holes.length : found;
    const before = this.#holes[index - 1];
    const after = this.#holes[index];
    let hole: Hole = { first, pages };
    if (before !== undefined && before.first + before.pages === first) {
      before.pages += pages;
      hole = before;
    } else {
      this.#holes.splice(index, 0, hole);
    }
    if (after?.first === hole.first + hole.pages) {
      hole.pages += after.pages;
      this.#holes.splice(this.#holes.indexOf(after), 1);
    }
    return true;
  }
}
