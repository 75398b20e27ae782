/**
 * AMD v1, the host tables of the AMD I/O Virtualization Technology specification 48882 (§2.2.3): 1 to 6 levels, unsigned addresses, a page of
 * any power of two from 4 KiB. An entry says the level of the next table, so levels can be left out; 7 there is a leaf whose size is coded in
 * its address, written to every slot that it covers. The device table entry's IR and IW are taken as set.
 */
import { ACCESS, alignedDown } from '../../base/index.ts';
import { STATUS } from '../status.ts';
import {
  KIND,
  USER,
  flagBits,
  highOfPage,
  lowOfPage,
  namesOfBits,
  nineBitLevels,
  pageIn51to12,
  type Entry,
  type Format,
  type LeafSize,
} from './format.ts';

const PRESENT = 1 << 0;
/** Kept by the hardware where the space tracks writes (HAD in the device table entry). */
const ACCESSED = 1 << 5;
const DIRTY = 1 << 6;
const NEXT_LEVEL_SHIFT = 9;
const NEXT_LEVEL_MASK = 7;
const SIZE_IN_ADDRESS = 7;
/** In the high word: bits 60, 61 and 62. */
const FORCE_COHERENT = 1 << 28;
const READ = 1 << 29;
const WRITE = 1 << 30;
const NAMES = { 0: 'PR', 5: 'U', 6: 'D', 60: 'FC', 61: 'IR', 62: 'IW' } as const;
/** Levels that get leaves: above them a page has 512 GiB, which Linux leaves out for an erratum. */
const LEAF_LEVELS = [2, 1, 0] as const;
/** Coded sizes: log2 of the slots that one takes, up to half of a table. */
const CODED_SLOTS_LG2 = [8, 7, 6, 5, 4, 3, 2, 1] as const;

/** 48882 §2.5. */
const CAUSES = {
  'not-present': 'IO_PAGE_FAULT',
  'reserved-bits': 'IO_PAGE_FAULT, RZ',
  'external-abort': 'PAGE_TAB_HARDWARE_ERROR',
  'too-wide': 'IO_PAGE_FAULT',
  'not-permitted': 'IO_PAGE_FAULT, PR',
} as const;

export function amdV1(mode: 1 | 2 | 3 | 4 | 5 | 6): Format {
  return {
    name: `amd-v1-${mode}level`,
    stage: 2,
    userPagesOnlyForUsers: false,
    ...nineBitLevels(mode),
    causes: CAUSES,
    levelName: (level) => `level ${level + 1}`,
    signed: false,
    outputBits: 40,
    leafSizes: sizes(mode - 1),
    decode,
    putTable,
    putLeaf,
    // The state of FC is what an ATS response has as N (48882 §2.2.3).
    snooped: (_low, high) => (high & FORCE_COHERENT) !== 0,
    flags: flagBits(ACCESSED, DIRTY, () => true),
    bitNames,
  };
}

function sizes(top: number): LeafSize[] {
  return LEAF_LEVELS.filter((level) => level <= top).flatMap((level) => [
    ...CODED_SLOTS_LG2.map((more) => ({ sizeLg2: 9 * level + more, level, slots: 1 << more })),
    { sizeLg2: 9 * level, level, slots: 1 },
  ]);
}

function decode(low: number, high: number, level: number, into: Entry): void {
  if ((low & PRESENT) === 0) {
    into.kind = STATUS['not-present'];
    return;
  }
  into.rights = ((high & READ) === 0 ? 0 : ACCESS.read) | ((high & WRITE) === 0 ? 0 : ACCESS.write) | ACCESS.execute | USER;
  into.page = pageIn51to12(low, high);
  const next = (low >>> NEXT_LEVEL_SHIFT) & NEXT_LEVEL_MASK;
  if (next === SIZE_IN_ADDRESS) {
    codedSize(level, into);
  } else if (next === 0) {
    into.kind = KIND.leaf;
    into.sizeLg2 = 9 * level;
    into.page = alignedDown(into.page, into.sizeLg2);
  } else if (next <= level) {
    into.kind = KIND.table;
    into.nextLevel = next - 1;
  } else {
    into.kind = STATUS['reserved-bits'];
  }
}

/** The first zero bit of the page number, at position k, says that the leaf has 2^(k+1) pages. It must be a size between two levels'. */
function codedSize(level: number, into: Entry): void {
  let sizeLg2 = 1;
  let rest = into.page;
  while (rest % 2 === 1) {
    rest = (rest - 1) / 2;
    sizeLg2++;
  }
  if (sizeLg2 <= 9 * level || sizeLg2 >= 9 * (level + 1)) {
    into.kind = STATUS['reserved-bits'];
    return;
  }
  into.kind = KIND.leaf;
  into.sizeLg2 = sizeLg2;
  into.page = alignedDown(into.page, sizeLg2);
}

function putTable(words: Int32Array, at: number, page: number, level: number): void {
  words[at] = lowOfPage(page) | PRESENT | (level << NEXT_LEVEL_SHIFT);
  words[at + 1] = highOfPage(page) | READ | WRITE;
}

function putLeaf(words: Int32Array, at: number, page: number, access: number, { sizeLg2, slots }: LeafSize): void {
  const coded = slots === 1 ? page : page + 2 ** (sizeLg2 - 1) - 1;
  const rights = ((access & ACCESS.read) === 0 ? 0 : READ) | ((access & ACCESS.write) === 0 ? 0 : WRITE);
  words[at] = lowOfPage(coded) | PRESENT | (slots === 1 ? 0 : SIZE_IN_ADDRESS << NEXT_LEVEL_SHIFT);
  words[at + 1] = highOfPage(coded) | rights | FORCE_COHERENT;
}

function bitNames(low: number, high: number): string[] {
  return [...namesOfBits(low, high, NAMES), `NextLevel=${(low >>> NEXT_LEVEL_SHIFT) & NEXT_LEVEL_MASK}`];
}
