/**
 * What a page-table format is to the walker and the writer, which are the same for all: radix trees of 8-byte little-endian entries.
 *
 * Levels count from the leaf: 0 has the smallest pages. Page numbers are of 4 KiB whatever the granule; virtual ones have 52 bits, physical ones
 * at most 44, so both are exact doubles; an entry is two int32 halves.
 */
import { PAGE_LG2, type Outcome } from '../../base/index.ts';

/** What an entry turned out to be. Any other value is the status of the fault that it causes. */
export const KIND = { table: -1, leaf: -2 } as const;

/** Right of a request without supervisor privilege: combines over the levels as the rights in ACCESS do. */
export const USER = 8;
/** Set where an entry does not say that what is below it is the same in every process (x86, RISC-V: G clear): combines as the rights do. */
export const PER_PROCESS = 16;
/** Every right, {@link USER} and {@link PER_PROCESS}. */
export const ALL_RIGHTS = 31;

/** One entry, taken apart. Filled anew for each; nothing is allocated. */
export interface Entry {
  kind: number;
  /** The physical page of the next table, or the first one of the leaf. */
  page: number;
  /** Of a table: the level that its entries have, below this one's. */
  nextLevel: number;
  /** Of a leaf: log2 of its size in 4 KiB pages. */
  sizeLg2: number;
  /** ACCESS bits, {@link USER} and, where the format has global pages, {@link PER_PROCESS} that this entry leaves. */
  rights: number;
}

/** A size of page that a format's writer can make. */
export interface LeafSize {
  /** log2 of the 4 KiB pages that it covers. */
  readonly sizeLg2: number;
  readonly level: number;
  /** Entries that it takes; more than one for contiguous groups and coded sizes. */
  readonly slots: number;
}

/** How a format's entries carry the flags. An entry is what {@link Format.decode} takes; of one that is not present nothing is asked. */
export interface AccessedDirty {
  /** Its low half with the accessed flag set; as it is where an entry of this kind has none. */
  accessed(low: number, high: number, level: number): number;
  /** Of a leaf: its low half as a write leaves it; as it is where no write can make it dirty. */
  dirtied(low: number, high: number, level: number): number;
  /** Of a leaf: whether a write has left it so. */
  isDirty(low: number, high: number): boolean;
  /** Of a leaf: its low half with no write seen. */
  cleaned(low: number, high: number): number;
  /** Bits of the high half that a leaf needs for its writes to be seen. */
  readonly trackedHigh: number;
}

export interface Format {
  /** As in {@link formatNamed}. */
  readonly name: string;
  /** Which stage of a nested translation these tables are: the first has addresses of a guest's programs, the second a guest's physical ones. */
  readonly stage: 1 | 2;
  /** What its specification calls a level. */
  levelName(level: number): string;
  readonly top: number;
  /** By level: log2 of the 4 KiB pages that an entry covers, and of the entries that a table has. */
  readonly spanLg2: readonly number[];
  readonly indexLg2: readonly number[];
  /** Bits of an input page number that the levels translate. Above them all are zero or, `signed`, all as the top one. */
  readonly inputBits: number;
  readonly signed: boolean;
  /** Bits of a physical page number. */
  readonly outputBits: number;
  /** Largest first. */
  readonly leafSizes: readonly LeafSize[];
  /** A request in privileged mode may not use the pages of those without (RISC-V, with SUM clear). */
  readonly userPagesOnlyForUsers: boolean;
  /** Entries have a bit for pages that are the same in every process; absent: none is. */
  readonly globalPages?: boolean;
  /** Takes an entry of a level apart. */
  decode(low: number, high: number, level: number, into: Entry): void;
  /** Puts a table's entry into `words`: what {@link decode} takes apart into its page. `level` is the entry's own, the table's is one below. */
  putTable(words: Int32Array, at: number, page: number, level: number): void;
  /**
   * Puts slot `slot` of a leaf into `words`. `page`: the leaf's first physical page. `access`: ACCESS bits, read or write or both; a format
   * without write-only pages gives both for write.
   */
  putLeaf(words: Int32Array, at: number, page: number, access: number, size: LeafSize, slot: number): void;
  /** log2 of the 4 KiB pages of the contiguous group that a leaf belongs to, where the walker does not say it as the leaf's size. */
  groupOf?(low: number, high: number, level: number): number;
  /** Whether a leaf demands that what goes to it is snooped; absent: none does. */
  snooped?(low: number, high: number): boolean;
  readonly flags: AccessedDirty;
  /** What the specification calls the faults that its walks end in. */
  readonly causes: Readonly<Partial<Record<Outcome, string>>>;
  /** The names of an entry's bits that are set, as the specification has them; for people. */
  bitNames(low: number, high: number, level: number): readonly string[];
}

const ENTRY_LG2 = 3;
/** Of an address of 64 bits: what is above them the levels have not. */
const PAGE_NUMBER_BITS = 52;

/** `count` levels of 9 bits with 4 KiB pages: spans and indices. */
export function nineBitLevels(count: number): Pick<Format, 'top' | 'spanLg2' | 'indexLg2' | 'inputBits'> {
  const levels = Array.from({ length: count }, (_none, level) => level);
  return {
    top: count - 1,
    spanLg2: levels.map((level) => 9 * level),
    indexLg2: levels.map(() => 9),
    inputBits: Math.min(9 * count, PAGE_NUMBER_BITS),
  };
}

/** Pages of 4 KiB that the table at which a walk begins has; 1 for less than one. */
export function rootPages({ top, indexLg2 }: Format): number {
  return Math.max(1, 2 ** (indexLg2[top]! + ENTRY_LG2 - PAGE_LG2));
}

/** A page of one entry at each of these levels, largest first. */
export function onePageOfEach(levels: readonly number[]): LeafSize[] {
  return levels.map((level) => ({ sizeLg2: 9 * level, level, slots: 1 }));
}

/** Physical page number of the address in bits 51:12 of an entry. */
export function pageIn51to12(low: number, high: number): number {
  return (high & 0xfffff) * 2 ** 20 + (low >>> 12);
}

/** The other way: what an entry's halves have of a physical page number below 2^40. */
export function lowOfPage(page: number): number {
  return (page % 2 ** 20) << 12;
}
export function highOfPage(page: number): number {
  return Math.floor(page / 2 ** 20);
}

/** Accessed and dirty as bits of their own. `accessedLevels`: where an entry has the accessed bit. */
export function flagBits(accessed: number, dirty: number, hasAccessed: (low: number, level: number) => boolean): AccessedDirty {
  return {
    accessed: (low, _high, level) => (hasAccessed(low, level) ? low | accessed : low),
    dirtied: (low) => low | dirty,
    isDirty: (low) => (low & dirty) !== 0,
    cleaned: (low) => low & ~dirty,
    trackedHigh: 0,
  };
}

/** Names of single bits by number, for {@link Format.bitNames}. */
export function namesOfBits(low: number, high: number, names: Readonly<Record<number, string>>): string[] {
  return Object.entries(names)
    .filter(([bit]) => ((Number(bit) < 32 ? low >>> Number(bit) : high >>> (Number(bit) - 32)) & 1) !== 0)
    .map(([, name]) => name);
}
