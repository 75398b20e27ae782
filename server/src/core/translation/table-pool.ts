/**
 * Memory for page tables: pages of 1024 int32 words (512 entries of 8 bytes), contiguous, because a walk through scattered arrays takes
 * twice as long. An entry names a table by its page number here, as hardware names it by its physical page number.
 */

export const TABLE_WORDS = 1024;
/** All tables of a machine: 128 MiB, enough for 64 GiB in 4 KiB pages. Keeps one host from taking the process's memory. */
export const TABLES_MAX = 1 << 15;
const FIRST_TABLES = 8;

export class TablePool {
  /** Replaced when the pool grows: read it anew after {@link reserve}. */
  words = new Int32Array(0);
  readonly #tablesMax: number;
  /** Present entries of each table. */
  #present = new Uint16Array(0);
  /** Tables given back, zeroed. */
  readonly #spare: number[] = [];
  /** Page 0 is never a table, so that 0 can mean none. */
  #next = 1;

  constructor(tablesMax = TABLES_MAX) {
    this.#tablesMax = tablesMax;
  }

  /** How many more tables can be taken. */
  get available(): number {
    return this.#tablesMax - this.#next + 1 + this.#spare.length;
  }

  /** Makes the next `tables` calls of {@link take} keep {@link words} in place. False, with nothing changed, when there is no room. */
  reserve(tables: number): boolean {
    if (tables > this.available) return false;
    const needed = this.#next + Math.max(0, tables - this.#spare.length);
    let capacity = this.#present.length;
    if (needed <= capacity) return true;
    while (capacity < needed) capacity = Math.min(Math.max(FIRST_TABLES, capacity * 2), this.#tablesMax + 1);
    const words = new Int32Array(capacity * TABLE_WORDS);
    words.set(this.words);
    this.words = words;
    const present = new Uint16Array(capacity);
    present.set(this.#present);
    this.#present = present;
    return true;
  }

  /** An empty table that was reserved. */
  take(): number {
    return this.#spare.pop() ?? this.#next++;
  }

  /** Takes back a table whose words are zero again. */
  give(table: number): void {
    this.#present[table] = 0;
    this.#spare.push(table);
  }

  /** Counts entries that became present (negative: that went). */
  count(table: number, entries: number): void {
    this.#present[table]! += entries;
  }

  isEmpty(table: number): boolean {
    return this.#present[table] === 0;
  }
}
