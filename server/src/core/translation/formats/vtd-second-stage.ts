/**
 * VT-d second stage (VT-d spec §9.8): 3 to 5 levels, unsigned addresses, pages of 4 KiB, 2 MiB and 1 GiB. There is no present bit: an
 * entry is present when it can be read or written.
 */
import { ACCESS } from '../../base/index.ts';
import { STATUS } from '../status.ts';
import {
  KIND,
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

const READ = 1 << 0;
const WRITE = 1 << 1;
const LARGE = 1 << 7;
/** Kept by the hardware where the space tracks writes (SSADE in the PASID table entry). */
const ACCESSED = 1 << 8;
const DIRTY = 1 << 9;
/** Snoop Behaviour: No Snoop of a request is not heeded (VT-d spec §9.8). */
const SNOOP = 1 << 11;
const NAMES = { 0: 'R', 1: 'W', 2: 'X', 62: 'TM' } as const;

/** VT-d spec §7.1.3, second stage. */
const CAUSES = {
  'not-present': 'VT-d 0x6 or 0x5',
  'reserved-bits': 'VT-d 0xc',
  'external-abort': 'VT-d 0x7',
  'too-wide': 'VT-d 0x4',
  'not-permitted': 'VT-d 0x6 or 0x5',
} as const;

export function vtdSecondStage(levels: 3 | 4 | 5): Format {
  return {
    name: `vtd-second-stage-${levels}level`,
    stage: 2,
    userPagesOnlyForUsers: false,
    ...nineBitLevels(levels),
    causes: CAUSES,
    levelName: (level) => `level ${level + 1}`,
    signed: false,
    outputBits: 40,
    leafSizes: onePageOfEach([2, 1, 0]),
    decode,
    putTable,
    putLeaf,
    snooped: (low) => (low & SNOOP) !== 0,
    flags: flagBits(ACCESSED, DIRTY, () => true),
    bitNames,
  };
}

function decode(low: number, high: number, level: number, into: Entry): void {
  if ((low & (READ | WRITE)) === 0) {
    into.kind = STATUS['not-present'];
    return;
  }
  into.rights = ((low & READ) === 0 ? 0 : ACCESS.read) | ((low & WRITE) === 0 ? 0 : ACCESS.write) | ACCESS.execute | USER;
  into.page = pageIn51to12(low, high);
  if (level > 0 && (low & LARGE) === 0) {
    into.kind = KIND.table;
    into.nextLevel = level - 1;
    return;
  }
  // Address bits below the page's size (VT-d reason 0xc), and a large page where there is none.
  const reserved = (2 ** (12 + 9 * level) - 2 ** 12) | 0;
  if (level > 2 || (low & reserved) !== 0) {
    into.kind = STATUS['reserved-bits'];
    return;
  }
  into.kind = KIND.leaf;
  into.sizeLg2 = 9 * level;
}

function putTable(words: Int32Array, at: number, page: number): void {
  words[at] = lowOfPage(page) | READ | WRITE;
  words[at + 1] = highOfPage(page);
}

function putLeaf(words: Int32Array, at: number, page: number, access: number, { level }: LeafSize): void {
  const rights = ((access & ACCESS.read) === 0 ? 0 : READ) | ((access & ACCESS.write) === 0 ? 0 : WRITE);
  words[at] = lowOfPage(page) | rights | (level === 0 ? 0 : LARGE);
  words[at + 1] = highOfPage(page);
}

function bitNames(low: number, high: number, level: number): string[] {
  const large = level > 0 && (low & LARGE) !== 0;
  const names = namesOfBits(low, high, level === 0 || large ? { ...NAMES, 6: 'IPAT', 8: 'A', 9: 'D', 11: 'SNP' } : NAMES);
  return large ? [...names, 'PS'] : names;
}
