/**
 * The IOTLB: one direct-mapped Int32Array, four words an entry, keyed by a tag that stands for an address space. No permission
 * fault and no absent page is cached.
 *
 * Words: page number 31:0; page number 51:32 with the tag above; physical page 31:0; physical page 43:32 (bits 11:0), ACCESS bits (14:12),
 * valid (15), log2 of the mapping's pages (21:16). A large page is held as the 4 KiB slices that were used.
 */

/** Tags are 12 bits; 0 is never looked up with success. */
export const TAG_MAX = 0xfff;
export const TAG_SHIFT = 20;
/** A page of more than 2^30 of 4 KiB is told as one of those. */
export const SHOWN_PAGES_LG2_MAX = 30;
const ENTRY_WORDS = 4;
const ENTRIES_FIRST = 1 << 9;
/** 512 KiB: a scatter list of 128 MiB stays in. */
const ENTRIES_MAX = 1 << 15;
const GROWTH = 4;
const HIGH_MASK = 0xfffff;
const HIGH_PAGE_MASK = 0xfff;
const ACCESS_SHIFT = 12;
const VALID = 1 << 15;
const PAGES_LG2_SHIFT = 16;

/** The last word of an entry, with bits 43:32 of the physical page lowest. `pagesLg2`: at most 31. */
export function packRest(foundHigh: number, access: number, pagesLg2: number): number {
  return (foundHigh & HIGH_PAGE_MASK) | (access << ACCESS_SHIFT) | VALID | (pagesLg2 << PAGES_LG2_SHIFT);
}
/** ACCESS bits. */
export function accessOfRest(rest: number): number {
  return (rest >>> ACCESS_SHIFT) & 7;
}
/** Size of the mapping in 4 KiB pages. */
export function pagesOfRest(rest: number): number {
  return 2 ** ((rest >>> PAGES_LG2_SHIFT) & 0x1f);
}

export class Iotlb {
  /** One empty entry until the first fill: a machine that makes no DMA pays nothing. */
  words = new Int32Array(ENTRY_WORDS);
  /** Entries less one. */
  mask = 0;
  /** Valid entries that were overwritten since the table last grew. */
  #evicted = 0;

  /**
   * The entry for a page with all rights in `access`, or -1. `tag` is shifted by TAG_SHIFT. `Translation.translate` has the same lines in itself: a
   * third more hits a second.
   */
  find(tag: number, low: number, high: number, access: number): number {
    const words = this.words;
    const at = this.#indexOf(tag, low);
    const needed = VALID | (access << ACCESS_SHIFT);
    return words[at] === low && words[at + 1] === (tag | (high & HIGH_MASK)) && (words[at + 3]! & needed) === needed ? at : -1;
  }

  /** Puts a page in, in the place of whatever was there. */
  fill(tag: number, low: number, high: number, foundLow: number, foundHigh: number, access: number, pagesLg2: number): void {
    if (this.words.length === ENTRY_WORDS || this.#evicted > this.mask) this.#grow();
    const words = this.words;
    const at = this.#indexOf(tag, low);
    if (words[at + 3] !== 0) this.#evicted++;
    words[at] = low;
    words[at + 1] = tag | (high & HIGH_MASK);
    words[at + 2] = foundLow;
    words[at + 3] = packRest(foundHigh, access, pagesLg2);
  }

  /** Takes a page out if it is there. */
  drop(tag: number, low: number, high: number): void {
    const at = this.find(tag, low, high, 0);
    if (at !== -1) this.words[at + 3] = 0;
  }

  clear(): void {
    this.words.fill(0);
  }

  #indexOf(tag: number, low: number): number {
    // Low bits of the page number, with the tag spread over them: spaces that use the same IOVAs keep out of each other's way.
    return ((low ^ (tag >>> (TAG_SHIFT - 3))) & this.mask) * ENTRY_WORDS;
  }

  /** A larger table, empty: what was cached is walked for again. */
  #grow(): void {
    this.#evicted = 0;
    const entries = this.words.length === ENTRY_WORDS ? ENTRIES_FIRST : Math.min((this.mask + 1) * GROWTH, ENTRIES_MAX);
    if (entries === this.mask + 1) return;
    this.words = new Int32Array(entries * ENTRY_WORDS);
    this.mask = entries - 1;
  }
}
