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
/** Of these an entry that names a table has only PRESENT. */
const TABLE_MASK = PRESENT | LARGE;
/** Of a large leaf, below the bits of its address, the rest of which must be zero. */
const PAT = 1 << 12;

// Imported values cost a load at each use; these are folded.
const TABLE_WORDS_LG2 = 10;
const READ = ACCESS.read;
const EXECUTE = ACCESS.execute;
const PERFORMED = STATUS.performed;
const NOT_PRESENT = STATUS['not-present'];
const NOT_CANONICAL = STATUS['not-canonical'];
const RESERVED_BITS = STATUS['reserved-bits'];
const EXTERNAL_ABORT = STATUS['external-abort'];
const ROOTLESS = NO_ROOT;
const FORMAT = x86Format(4);

export class X86Tables extends RadixTables {
  /** `root`: a table of the pool that somebody has written already; absent: none. */
  constructor(pool: TablePool, root = NO_ROOT) {
    super(FORMAT, pool, root);
  }

  /**
   * Unrolled, because a loop over levels with variable shifts takes two to three times as long, and small: V8 makes nothing of more than 460
   * bytecodes a part of its caller, and a walk that is called overlaps its reads of memory with those of fewer others. Hence one call for
   * whatever is no 4 KiB page. A table starts at a multiple of its size, so an index goes in with `|`, which cannot overflow.
   */
  override walk(low: number, high: number): number {
    // Bits 51:35 of the page number are equal (VT-d reason 0x80 otherwise).
    if (((high + 8) & 0xfffff) >= 16) return NOT_CANONICAL;
    const root = this.root;
    if (root === ROOTLESS) return NOT_PRESENT;
    const words = this.pool.words;
    const size = words.length;

    let at = (root << TABLE_WORDS_LG2) | ((high & 0xf) << 6) | ((low >>> 26) & 0x3e);
    let entry = words[at]!;
    let rights = entry;
    let pagesLg2 = 27;
    let table = (entry >>> 12) << TABLE_WORDS_LG2;
    if ((entry & TABLE_MASK) === PRESENT && table < size) {
      at = table | ((low >>> 17) & 0x3fe);
      entry = words[at]!;
      rights &= entry;
      pagesLg2 = 18;
      table = (entry >>> 12) << TABLE_WORDS_LG2;
      if ((entry & TABLE_MASK) === PRESENT && table < size) {
        at = table | ((low >>> 8) & 0x3fe);
        entry = words[at]!;
        rights &= entry;
        pagesLg2 = 9;
        table = (entry >>> 12) << TABLE_WORDS_LG2;
        if ((entry & TABLE_MASK) === PRESENT && table < size) {
          at = table | ((low << 1) & 0x3fe);
          entry = words[at]!;
          if ((entry & PRESENT) === 0) return NOT_PRESENT;
          return this.#found(entry >>> 12, words[at | 1]!, rights & entry, 0);
        }
      }
    }
    return this.#ended(at, rights, low, pagesLg2);
  }

  /**
   * Ends a walk at an entry above level 1 that leads to no table of the pool; it spans 2^`pagesLg2` pages. `rights`: the AND of it and
   * those above.
   */
  #ended(at: number, rights: number, low: number, pagesLg2: number): number {
    const words = this.pool.words;
    const entry = words[at]!;
    if ((entry & PRESENT) === 0) return NOT_PRESENT;
    if ((entry & LARGE) === 0) return EXTERNAL_ABORT;
    const inside = (1 << pagesLg2) - 1;
    if (pagesLg2 === 27 || (entry & (inside << 12) & ~PAT) !== 0) return RESERVED_BITS;
    return this.#found(((entry >>> 12) & ~inside) | (low & inside), words[at | 1]!, rights, pagesLg2);
  }

  /** `low20`: physical page bits 19:0; `highWord` has bits 39:20 in its low 20; `rights`: the AND of all entries. */
  #found(low20: number, highWord: number, rights: number, pagesLg2: number): number {
    this.foundLow = low20 | (highWord << 20);
    this.foundHigh = (highWord >>> 12) & 0xff;
    // A request without supervisor privilege needs U/S at every level (VT-d reason 0x81). R/W is the same bit as the right to write in ACCESS,
    // and XD, inverted and shifted, that to execute.
    this.foundAccess = (rights & USER) === 0 ? 0 : READ | (rights & WRITABLE) | ((~highWord >>> 29) & EXECUTE);
    this.foundPagesLg2 = pagesLg2;
    return PERFORMED;
  }
}
