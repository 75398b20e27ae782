/**
 * x86-64 paging: VT-d first stage, AMD v2 (Intel SDM vol. 3A §4.5; VT-d spec §9.7). 4 or 5 levels, sign-extended addresses, pages of 4 KiB,
 * 2 MiB and 1 GiB.
 *
 * A leaf is written as Linux writes it: present, user, accessed, and where writes are allowed writable and dirty. The format has no
 * write-only page: what was mapped for writing can be read too.
 */
import { ACCESS, alignedDown } from '../../base/index.ts';
import { STATUS } from '../status.ts';
import {
  KIND,
  PER_PROCESS,
  USER,
  flagBits,
  highOfPage,
  lowOfPage,
  namesOfBits,
  nineBitLevels,
  onePageOfEach,
  pageIn51to12,
  type Entry,
  type Format,
  type LeafSize,
} from './format.ts';

const PRESENT = 1 << 0;
const WRITABLE = 1 << 1;
const USER_PAGE = 1 << 2;
const ACCESSED = 1 << 5;
const DIRTY = 1 << 6;
/** In an entry of level 1 or 2: a leaf. Reserved above. */
const LARGE = 1 << 7;
/** Of a leaf. */
const GLOBAL = 1 << 8;
/** In the high word. */
const NO_EXECUTE = 1 << 31;
const TABLE_BITS = PRESENT | WRITABLE | USER_PAGE | ACCESSED;
/** Bit 12 of a large leaf is PAT; the address starts above it. */
const LARGE_ADDRESS_BIT = 13;
const NAMES = { 0: 'P', 1: 'R/W', 2: 'U/S', 3: 'PWT', 4: 'PCD', 5: 'A', 63: 'XD' } as const;

/** VT-d spec §7.1.3, first stage. */
const CAUSES = {
  'not-present': 'VT-d 0x71',
  'reserved-bits': 'VT-d 0x72',
  'external-abort': 'VT-d 0x70',
  'not-canonical': 'VT-d 0x80',
  'not-permitted': 'VT-d 0x81 or 0x85',
} as const;

export function x86Format(levels: 4 | 5): Format {
  return {
    name: levels === 4 ? 'x86-64' : 'x86-64-5level',
    stage: 1,
    userPagesOnlyForUsers: false,
    globalPages: true,
    ...nineBitLevels(levels),
    causes: CAUSES,
    levelName: (level) => `level ${level + 1}`,
    signed: true,
    outputBits: 40,
    leafSizes: onePageOfEach([2, 1, 0]),
    decode,
    putTable,
    putLeaf,
    flags: flagBits(ACCESSED, DIRTY, () => true),
    bitNames,
  };
}

function decode(low: number, high: number, level: number, into: Entry): void {
  if ((low & PRESENT) === 0) {
    into.kind = STATUS['not-present'];
    return;
  }
  into.rights =
    ACCESS.read |
    ((low & WRITABLE) === 0 ? 0 : ACCESS.write) |
    ((high & NO_EXECUTE) === 0 ? ACCESS.execute : 0) |
    ((low & USER_PAGE) === 0 ? 0 : USER) |
    PER_PROCESS;
  into.page = pageIn51to12(low, high);
  if (level > 0 && (low & LARGE) === 0) {
    into.kind = KIND.table;
    into.nextLevel = level - 1;
    return;
  }
  const reserved = level === 0 ? 0 : (2 ** (12 + 9 * level) - 2 ** LARGE_ADDRESS_BIT) | 0;
  if (level > 2 || (low & reserved) !== 0) {
    into.kind = STATUS['reserved-bits'];
    return;
  }
  if ((low & GLOBAL) !== 0) into.rights &= ~PER_PROCESS;
  into.kind = KIND.leaf;
  into.sizeLg2 = 9 * level;
  into.page = alignedDown(into.page, 9 * level);
}

function putTable(words: Int32Array, at: number, page: number): void {
  words[at] = lowOfPage(page) | TABLE_BITS;
  words[at + 1] = highOfPage(page);
}

function putLeaf(words: Int32Array, at: number, page: number, access: number, { level }: LeafSize): void {
  const writes = (access & ACCESS.write) === 0 ? 0 : WRITABLE | DIRTY;
  words[at] = lowOfPage(page) | PRESENT | USER_PAGE | ACCESSED | writes | (level === 0 ? 0 : LARGE);
  words[at + 1] = highOfPage(page);
}

function bitNames(low: number, high: number, level: number): string[] {
  const large = level > 0 && (low & LARGE) !== 0;
  const leaf = level === 0 || large;
  const names = namesOfBits(low, high, leaf ? { ...NAMES, 6: 'D', 8: 'G' } : NAMES);
  return large ? [...names, 'PS'] : names;
}
