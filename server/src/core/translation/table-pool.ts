/**
 * Memory for page tables: int32 words, contiguous, because a walk through scattered arrays takes twice as long. An entry names a table by its
 * page number here, as hardware names it by its physical page number. A table has as many 4 KiB pages as the format's granule; a root may be
 * several tables in a row.
 */
import type { StateFields } from '../base/index.ts';

/** log2 of the int32 words in 4 KiB. */
export const PAGE_WORDS_LG2 = 10;
/** int32 words in 4 KiB. */
export const PAGE_WORDS = 1 << PAGE_WORDS_LG2;
/** Tables of 4 KiB of a machine: 128 MiB, enough for 64 GiB in 4 KiB pages. Keeps one host from taking the process's memory. */
export const TABLES_MAX = 1 << 15;
const FIRST_TABLES = 16;

export class TablePool {
  /** Replaced when the pool grows: read it anew after {@link reserve}. */
  words = new Int32Array(0);
  /** 4 KiB pages of one table. */
  readonly pagesPerTable: number;
  readonly #tablesMax: number;
  /** Present entries of each table; those of a root of several are counted at its first. */
  #present = new Uint32Array(0);
  /** Tables given back, zeroed. */
  readonly #spare: number[] = [];
  /** Table 0 is never given out, so that 0 can mean none. */
  #next = 1;

  constructor(tablesMax = TABLES_MAX, pagesPerTable = 1) {
    this.pagesPerTable = pagesPerTable;
    this.#tablesMax = tablesMax;
  }

  state(fields: StateFields): void {
    fields.field('tablesMax', this.#tablesMax);
    fields.field('pagesPerTable', this.pagesPerTable);
    this.words = fields.field('words', this.words);
    this.#present = fields.field('present', this.#present);
    fields.keep('spare', this.#spare);
    this.#next = fields.field('next', this.#next);
  }

  /** How many more tables can be taken. */
  get available(): number {
    return this.#fresh + this.#spare.length;
  }

  get #fresh(): number {
    return this.#tablesMax - this.#next + 1;
  }

  /**
   * Makes a take of `inRow` tables and then `tables` single ones keep {@link words} in place. False, with nothing changed, when there is no
   * room.
   */
  reserve(tables: number, inRow = 0): boolean {
    const row = inRow > 1 ? inRow : 0;
    const single = tables + (inRow === 1 ? 1 : 0);
    if (row > this.#fresh || row + single > this.available) return false;
    const needed = this.#next + row + Math.max(0, single - this.#spare.length);
    let capacity = this.#present.length;
    if (needed <= capacity) return true;
    while (capacity < needed) capacity = Math.min(Math.max(FIRST_TABLES, capacity * 2), this.#tablesMax + 1);
    const words = new Int32Array(capacity * this.pagesPerTable * PAGE_WORDS);
    words.set(this.words);
    this.words = words;
    const present = new Uint32Array(capacity);
    present.set(this.#present);
    this.#present = present;
    return true;
  }

  /** The first page of an empty table that was reserved. Several in a row are always fresh ones. */
  take(inRow = 1): number {
    const spare = inRow === 1 ? this.#spare.pop() : undefined;
    const table = spare ?? this.#next;
    if (spare === undefined) this.#next += inRow;
    return table * this.pagesPerTable;
  }

  /** Takes back a table, or several in a row, by its first page; its words are zero again. */
  give(page: number, inRow = 1): void {
    const table = page / this.pagesPerTable;
    this.#present[table] = 0;
    for (let i = inRow - 1; i >= 0; i--) this.#spare.push(table + i);
  }

  /** Counts entries of a table that became present (negative: that went). */
  count(page: number, entries: number): void {
    this.#present[page / this.pagesPerTable]! += entries;
  }

  isEmpty(page: number): boolean {
    return this.#present[page / this.pagesPerTable] === 0;
  }
}
