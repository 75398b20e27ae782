import { PAGE_LG2 } from '../../base/index.ts';
import type { TablePool } from '../table-pool.ts';

/** Where tables are read from. The entry's halves are left in fields, so that nothing is allocated. */
export interface TableMemory {
  low: number;
  high: number;
  /** Reads the 8 bytes at an offset in a physical page. False: see {@link failed}. */
  load(page: number, offset: number): boolean;
  /** Writes the low half of an entry that was loaded. False as for {@link load}. Absent: nothing is written there. */
  store?(page: number, offset: number, low: number): boolean;
  /** The status with which a walk ends whose entry could not be read or written. Absent: there is no memory, or nobody who gives it in time. */
  readonly failed?: number;
}

const WORDS_PER_PAGE_LG2 = PAGE_LG2 - 2;

/** Tables that a {@link TablePool} holds: their page numbers are its own. */
export class PoolMemory implements TableMemory {
  low = 0;
  high = 0;
  readonly #pool: TablePool;

  constructor(pool: TablePool) {
    this.#pool = pool;
  }

  load(page: number, offset: number): boolean {
    const { words } = this.#pool;
    const at = page * (1 << WORDS_PER_PAGE_LG2) + (offset >>> 2);
    if (at >= words.length) return false;
    this.low = words[at]!;
    this.high = words[at + 1]!;
    return true;
  }

  store(page: number, offset: number, low: number): boolean {
    this.#pool.words[page * (1 << WORDS_PER_PAGE_LG2) + (offset >>> 2)] = low;
    return true;
  }
}
