/**
 * The IOTLB: one direct-mapped Int32Array, four words an entry, keyed by a tag that stands for an address space. No permission
 * fault and no absent page is cached.
 *
 * Words: page number 31:0; page number 51:32 with the tag above; physical page 31:0; physical page 43:32 (bits 11:0), ACCESS bits (14:12),
 * valid (15), log2 of the mapping's pages (20:16), the same in every process (21), to be snooped (22). A large page is held as the 4 KiB slices that were used.
 */

import { PAGE_LG2, type StateFields } from '../base/index.ts';

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
/** A range invalidation of more pages takes a new tag for the whole space instead of looking for each. */
const PROBES_MAX = 1024;
const HIGH_MASK = 0xfffff;
const HIGH_PAGE_MASK = 0xfff;
const ACCESS_SHIFT = 12;
const VALID = 1 << 15;
const PAGES_LG2_SHIFT = 16;
const GLOBAL = 1 << 21;
const SNOOPED = 1 << 22;

/** The last word of an entry, with bits 43:32 of the physical page lowest. `pagesLg2`: at most 31. */
export function packRest(foundHigh: number, access: number, pagesLg2: number, global = false, snooped = false): number {
  const flags = (global ? GLOBAL : 0) | (snooped ? SNOOPED : 0);
  return (foundHigh & HIGH_PAGE_MASK) | (access << ACCESS_SHIFT) | VALID | (pagesLg2 << PAGES_LG2_SHIFT) | flags;
}
/** ACCESS bits. */
export function accessOfRest(rest: number): number {
  return (rest >>> ACCESS_SHIFT) & 7;
}
export function isGlobalRest(rest: number): boolean {
  return (rest & GLOBAL) !== 0;
}
export function isSnoopedRest(rest: number): boolean {
  return (rest & SNOOPED) !== 0;
}
/** log2 of the mapping's size in 4 KiB pages. */
export function pagesLg2OfRest(rest: number): number {
  return (rest >>> PAGES_LG2_SHIFT) & 0x1f;
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

  /** Puts a page in, in the place of whatever was there. `rest`: the last word of the entry ({@link packRest}). */
  fill(tag: number, low: number, high: number, foundLow: number, rest: number): void {
    if (this.words.length === ENTRY_WORDS || this.#evicted > this.mask) this.#grow();
    const words = this.words;
    const at = this.#indexOf(tag, low);
    if (words[at + 3] !== 0) this.#evicted++;
    words[at] = low;
    words[at + 1] = tag | (high & HIGH_MASK);
    words[at + 2] = foundLow;
    words[at + 3] = rest;
  }

  /** Takes a page out if it is there. */
  drop(tag: number, low: number, high: number): void {
    const at = this.find(tag, low, high, 0);
    if (at !== -1) this.words[at + 3] = 0;
  }

  /**
   * Takes out what is there of the mappings that a range of bytes touches, none of which is larger than 2^`pagesLg2` pages. False, with nothing taken, where
   * that is too much to look for.
   */
  dropMappings(tag: number, iova: bigint, bytes: bigint, pagesLg2: number): boolean {
    // A slice of a large page may lie outside the range while its mapping overlaps it.
    const lg2 = BigInt(PAGE_LG2 + pagesLg2);
    const first = Number(iova >> lg2) * 2 ** pagesLg2;
    const end = (Number((iova + bytes - 1n) >> lg2) + 1) * 2 ** pagesLg2;
    if (end - first > PROBES_MAX) return false;
    for (let page = first; page < end; page++) this.drop(tag, page | 0, Math.floor(page / 2 ** 32));
    return true;
  }

  /** What is stale here stays so: nobody would walk for it again. */
  state(fields: StateFields): void {
    this.words = fields.field('words', this.words);
    this.mask = fields.field('mask', this.mask);
    this.#evicted = fields.field('evicted', this.#evicted);
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
