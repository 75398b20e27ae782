/**
 * Four-level x86-64 tables with the walk unrolled: the hot path of every machine whose domains name no other format. Same answers as the loop of
 * {@link RadixTables}, for tables that its writer made: their addresses are below 4 GiB and only a leaf can forbid execution.
 */
import { ACCESS } from '../../base/index.ts';
import { STATUS } from '../status.ts';
import type { TablePool } from '../table-pool.ts';
import { NO_ROOT } from './loop-tables.ts';
import { RadixTables } from './radix-tables.ts';
import { x86Format } from './x86-64.ts';

const PRESENT = 1 << 0;
const WRITABLE = 1 << 1;
const USER = 1 << 2;
/** In a level 2 or 3 entry: a leaf. Reserved in level 4. */
const LARGE = 1 << 7;
/** In an entry's low word: the table's page number, shifted. */
const TABLE_ADDRESS = -4096;
/** Address bits that must be zero in a 2 MiB and a 1 GiB leaf (20:13 and 29:13; bit 12 is PAT). */
const RESERVED_2M = 0x001f_e000;
const RESERVED_1G = 0x3fff_e000;

// Imported values cost a load at each use; these are folded.
const TABLE_WORDS_LG2 = 10;
const READ = ACCESS.read;
const EXECUTE = ACCESS.execute;
const PERFORMED = STATUS.performed;
const NOT_PRESENT = STATUS['not-present'];
const NOT_CANONICAL = STATUS['not-canonical'];
const RESERVED_BITS = STATUS['reserved-bits'];
const EXTERNAL_ABORT = STATUS['external-abort'];
const FORMAT = x86Format(4);

export class X86Tables extends RadixTables {
  /** `root`: a table of the pool that somebody has written already; absent: none. */
  constructor(pool: TablePool, root = NO_ROOT) {
    super(FORMAT, pool, root);
  }

  // long: one unrolled walk; a loop over levels with variable shifts takes two to three times as long.
  override walk(low: number, high: number): number {
    // Bits 51:35 of the page number are equal (VT-d reason 0x80 otherwise).
    if (((high + 8) & 0xfffff) >= 16) return NOT_CANONICAL;
    if (this.root === NO_ROOT) return NOT_PRESENT;
    const words = this.pool.words;
    const size = words.length;

    const entry4 = words[(this.root << TABLE_WORDS_LG2) + (((high & 0xf) << 6) | ((low >>> 26) & 0x3e))]!;
    if ((entry4 & PRESENT) === 0) return NOT_PRESENT;
    if ((entry4 & LARGE) !== 0) return RESERVED_BITS;
    const table3 = (entry4 & TABLE_ADDRESS) >>> 2;
    if (table3 >= size) return EXTERNAL_ABORT;

    const at3 = table3 + ((low >>> 17) & 0x3fe);
    const entry3 = words[at3]!;
    if ((entry3 & PRESENT) === 0) return NOT_PRESENT;
    if ((entry3 & LARGE) !== 0) {
      if ((entry3 & RESERVED_1G) !== 0) return RESERVED_BITS;
      return this.#found(((entry3 >>> 12) & 0xc0000) | (low & 0x3ffff), words[at3 + 1]!, entry4 & entry3, 18);
    }
    const table2 = (entry3 & TABLE_ADDRESS) >>> 2;
    if (table2 >= size) return EXTERNAL_ABORT;

    const at2 = table2 + ((low >>> 8) & 0x3fe);
    const entry2 = words[at2]!;
    if ((entry2 & PRESENT) === 0) return NOT_PRESENT;
    if ((entry2 & LARGE) !== 0) {
      if ((entry2 & RESERVED_2M) !== 0) return RESERVED_BITS;
      return this.#found(((entry2 >>> 12) & 0xffe00) | (low & 0x1ff), words[at2 + 1]!, entry4 & entry3 & entry2, 9);
    }
    const table1 = (entry2 & TABLE_ADDRESS) >>> 2;
    if (table1 >= size) return EXTERNAL_ABORT;

    const at1 = table1 + ((low << 1) & 0x3fe);
    const entry1 = words[at1]!;
    if ((entry1 & PRESENT) === 0) return NOT_PRESENT;
    return this.#found(entry1 >>> 12, words[at1 + 1]!, entry4 & entry3 & entry2 & entry1, 0);
  }

  /** `low20`: physical page bits 19:0; `highWord` has bits 39:20 in its low 20; `rights`: the AND of all entries. */
  #found(low20: number, highWord: number, rights: number, pagesLg2: number): number {
    this.foundLow = low20 | (highWord << 20);
    this.foundHigh = (highWord >>> 12) & 0xff;
    // A request without supervisor privilege needs U/S at every level (VT-d reason 0x81). R/W is the same bit as the right to write in ACCESS.
    this.foundAccess = (rights & USER) === 0 ? 0 : READ | (rights & WRITABLE) | (highWord < 0 ? 0 : EXECUTE);
    this.foundPagesLg2 = pagesLg2;
    return PERFORMED;
  }
}
