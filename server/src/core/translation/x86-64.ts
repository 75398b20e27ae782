/**
 * The x86-64 page-table format, four levels: VT-d first stage, AMD v2 (Intel SDM vol. 3A §4.5; VT-d spec §9.7). Virtual addresses are
 * 48 bits, sign-extended; physical ones 52. Pages of 4 KiB, 2 MiB and 1 GiB.
 *
 * A leaf is written as Linux writes it: present, user, accessed, and where writes are allowed writable and dirty; so the walker never has to
 * set accessed or dirty. The format has no write-only page: what was mapped for writing can be read too. No-execute is not used.
 * Tables live in a {@link TablePool}; no table is ever empty, so a table where a large page should go means an overlap.
 */
import { ACCESS, OK, PAGE_LG2, addressOfPage, errno, high32, low32, pageHigh, pageLow, pageOf } from '../base/index.ts';
import type { Errno } from '../base/index.ts';
import type { WalkedTables } from './page-tables.ts';
import { STATUS } from './status.ts';
import { TABLE_WORDS } from './table-pool.ts';
import type { TablePool } from './table-pool.ts';

const PRESENT = 1 << 0;
const WRITABLE = 1 << 1;
const USER = 1 << 2;
const ACCESSED = 1 << 5;
const DIRTY = 1 << 6;
/** In a level 2 or 3 entry: a leaf. Reserved in level 4. */
const LARGE = 1 << 7;
/** In an entry's low word: the table's page number, shifted. */
const TABLE_ADDRESS = -4096;
const TABLE_BITS = PRESENT | WRITABLE | USER | ACCESSED;
/** Address bits that must be zero in a 2 MiB and a 1 GiB leaf (20:13 and 29:13; bit 12 is PAT). */
const RESERVED_2M = 0x001f_e000;
const RESERVED_1G = 0x3fff_e000;

const TOP_LEVEL = 4;
/** Levels up to this one have leaves. */
const LEAF_LEVEL_MAX = 3;
const ENTRIES = 512;
/** 4 KiB pages that one entry of each level covers. */
const SPAN = [0, 1, 2 ** 9, 2 ** 18, 2 ** 27] as const;
const VIRTUAL_PAGE_BITS = 36;
const PHYSICAL_BITS_MAX = 52n;
const LOW_HALF_END = 1n << 47n;
const U64 = 1n << 64n;
const HIGH_HALF = U64 - LOW_HALF_END;

// Imported values cost a load at each use; these are folded.
const TABLE_WORDS_LG2 = 10;
const READ = ACCESS.read;
const PERFORMED = STATUS.performed;
const NOT_PRESENT = STATUS['not-present'];
const NOT_CANONICAL = STATUS['not-canonical'];
const NOT_PERMITTED = STATUS['not-permitted'];
const RESERVED_BITS = STATUS['reserved-bits'];
const EXTERNAL_ABORT = STATUS['external-abort'];

export class X86Tables implements WalkedTables {
  readonly format = 'x86-64';
  foundLow = 0;
  foundHigh = 0;
  foundAccess = 0;
  foundPagesLg2 = 0;
  readonly #pool: TablePool;
  /** The level 4 table; 0 while nothing is mapped. */
  #root = 0;
  #mappedPages = 0;

  /** `root`: a table of the pool that somebody has written already; 0 for none. */
  constructor(pool: TablePool, root = 0) {
    this.#pool = pool;
    this.#root = root;
  }

  get mappedBytes(): bigint {
    return addressOfPage(this.#mappedPages);
  }

  // long: one unrolled walk; a loop over levels with variable shifts takes two to three times as long.
  walk(low: number, high: number): number {
    // Bits 51:35 of the page number are equal (VT-d reason 0x80 otherwise).
    if (((high + 8) & 0xfffff) >= 16) return NOT_CANONICAL;
    if (this.#root === 0) return NOT_PRESENT;
    const words = this.#pool.words;
    const size = words.length;

    const entry4 = words[(this.#root << TABLE_WORDS_LG2) + (((high & 0xf) << 6) | ((low >>> 26) & 0x3e))]!;
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
    // A request without supervisor privilege needs U/S at every level (VT-d reason 0x81).
    if ((rights & USER) === 0) return NOT_PERMITTED;
    this.foundLow = low20 | (highWord << 20);
    this.foundHigh = (highWord >>> 12) & 0xff;
    // R/W is the same bit as the right to write in ACCESS.
    this.foundAccess = READ | (rights & WRITABLE);
    this.foundPagesLg2 = pagesLg2;
    return PERFORMED;
  }

  map(iova: bigint, address: bigint, bytes: bigint, access: number): Errno {
    if (!isRange(iova, bytes) || !isAligned(address) || address < 0n) return errno('EINVAL');
    if ((address + bytes - 1n) >> PHYSICAL_BITS_MAX !== 0n) return errno('EINVAL');
    if ((access & ACCESS.readWrite) === 0 || (access & ~ACCESS.readWrite) !== 0) return errno('EINVAL');
    const first = virtualPage(iova);
    const pages = pageOf(bytes);
    const target = pageOf(address);
    const missing = this.#missing(this.#root, TOP_LEVEL, first, pages, target) + (this.#root === 0 ? 1 : 0);
    if (missing < 0) return errno('EADDRINUSE');
    if (!this.#pool.reserve(missing)) return errno('ENOMEM');
    if (this.#root === 0) this.#root = this.#pool.take();
    const bits = PRESENT | USER | ACCESSED | ((access & ACCESS.write) === 0 ? 0 : WRITABLE | DIRTY);
    this.#fill(this.#root, TOP_LEVEL, first, pages, target, bits);
    this.#mappedPages += pages;
    return OK;
  }

  unmap(iova: bigint, bytes: bigint): bigint {
    if (!isRange(iova, bytes) || this.#root === 0) return 0n;
    const undone = this.#clear(this.#root, TOP_LEVEL, virtualPage(iova), pageOf(bytes));
    if (this.#pool.isEmpty(this.#root)) {
      this.#pool.give(this.#root);
      this.#root = 0;
    }
    this.#mappedPages -= undone;
    return addressOfPage(undone);
  }

  lookup(iova: bigint): { readonly address: bigint; readonly access: number; readonly pageBytes: bigint } | undefined {
    if (BigInt.asUintN(64, iova) !== iova) return undefined;
    const low = low32(iova);
    const high = high32(iova);
    if (this.walk(pageLow(low, high), pageHigh(high)) !== PERFORMED) return undefined;
    const page = this.foundHigh * 2 ** 32 + (this.foundLow >>> 0);
    return {
      address: addressOfPage(page) | BigInt.asUintN(PAGE_LG2, iova),
      access: this.foundAccess,
      pageBytes: addressOfPage(2 ** this.foundPagesLg2),
    };
  }

  free(): void {
    if (this.#root !== 0) this.#freeTable(this.#root, TOP_LEVEL);
    this.#root = 0;
    this.#mappedPages = 0;
  }

  /**
   * How many tables a mapping would add below `table` (0: one that is still to be made); -1 when part of the range is mapped. Stops counting
   * past what the pool has.
   */
  #missing(table: number, level: number, first: number, pages: number, target: number): number {
    let missing = 0;
    let done = 0;
    while (done < pages && missing <= this.#pool.available) {
      const page = first + done;
      const count = pagesInEntry(level, page, pages - done);
      const leaf = isLeaf(level, count, target + done);
      const entry = table === 0 ? 0 : this.#pool.words[entryAt(table, level, page)]!;
      if ((entry & PRESENT) !== 0) {
        if (leaf || (entry & LARGE) !== 0) return -1;
        const below = this.#missing(entry >>> 12, level - 1, page, count, target + done);
        if (below < 0) return below;
        missing += below;
      } else if (!leaf) {
        missing += 1 + (level === 2 ? 0 : this.#missing(0, level - 1, page, count, target + done));
      }
      done += count;
    }
    return missing;
  }

  /** Writes a mapping of which {@link X86Tables.#missing} has found that it fits, with the tables reserved. */
  #fill(table: number, level: number, first: number, pages: number, target: number, bits: number): void {
    const words = this.#pool.words;
    let added = 0;
    let done = 0;
    while (done < pages) {
      const page = first + done;
      const at = entryAt(table, level, page);
      const count = pagesInEntry(level, page, pages - done);
      if (isLeaf(level, count, target + done)) {
        words[at] = ((target + done) << 12) | bits | (level === 1 ? 0 : LARGE);
        words[at + 1] = ((target + done) / 2 ** 20) & 0xfffff;
        added++;
      } else {
        if (words[at] === 0) {
          words[at] = (this.#pool.take() << 12) | TABLE_BITS;
          added++;
        }
        this.#fill(words[at]! >>> 12, level - 1, page, count, target + done, bits);
      }
      done += count;
    }
    this.#pool.count(table, added);
  }

  /** Unmaps from `first` to a hole or the end, gives tables back that become empty, and returns the pages undone. */
  #clear(table: number, level: number, first: number, pages: number): number {
    const words = this.#pool.words;
    let undone = 0;
    while (undone < pages) {
      const page = first + undone;
      const at = entryAt(table, level, page);
      const entry = words[at]!;
      if ((entry & PRESENT) === 0) break;
      const span = SPAN[level]!;
      if (level === 1 || (entry & LARGE) !== 0) {
        if (level !== 1 && (page & (span - 1)) !== 0) break;
        undone += span;
      } else {
        const child = entry >>> 12;
        const asked = pagesInEntry(level, page, pages - undone);
        const below = this.#clear(child, level - 1, page, asked);
        undone += below;
        if (!this.#pool.isEmpty(child)) {
          if (below < asked) break;
          continue;
        }
        this.#pool.give(child);
      }
      words[at] = 0;
      words[at + 1] = 0;
      this.#pool.count(table, -1);
    }
    return undone;
  }

  #freeTable(table: number, level: number): void {
    const words = this.#pool.words;
    for (let at = table * TABLE_WORDS; at < (table + 1) * TABLE_WORDS; at += 2) {
      const entry = words[at]!;
      if (level > 1 && (entry & PRESENT) !== 0 && (entry & LARGE) === 0) this.#freeTable(entry >>> 12, level - 1);
    }
    words.fill(0, table * TABLE_WORDS, (table + 1) * TABLE_WORDS);
    this.#pool.give(table);
  }
}

function entryAt(table: number, level: number, page: number): number {
  return table * TABLE_WORDS + ((page / SPAN[level]!) & (ENTRIES - 1)) * 2;
}

/** How many of the next `most` pages from `page` lie in one entry of a level. */
function pagesInEntry(level: number, page: number, most: number): number {
  const span = SPAN[level]!;
  return Math.min(span - (page & (span - 1)), most);
}

/** True when a leaf of this level can map `count` pages at physical page `target`. */
function isLeaf(level: number, count: number, target: number): boolean {
  const span = SPAN[level]!;
  return level <= LEAF_LEVEL_MAX && count === span && (target & (span - 1)) === 0;
}

/** Page number within the 48-bit space, the sign extension dropped. */
function virtualPage(iova: bigint): number {
  return Number(BigInt.asUintN(VIRTUAL_PAGE_BITS, iova >> BigInt(PAGE_LG2)));
}

/** Aligned, not empty, and every byte canonical in the same half. */
function isRange(iova: bigint, bytes: bigint): boolean {
  if (bytes <= 0n || iova < 0n || !isAligned(iova) || !isAligned(bytes)) return false;
  const last = iova + bytes - 1n;
  return last < LOW_HALF_END || (iova >= HIGH_HALF && last < U64);
}

function isAligned(value: bigint): boolean {
  return BigInt.asUintN(PAGE_LG2, value) === 0n;
}
