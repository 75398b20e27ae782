/**
 * RISC-V paging (Privileged ISA: Sv39, Sv48, Sv57, Svnapot, Svpbmt, and the hypervisor's Sv39x4, Sv48x4, Sv57x4; RISC-V IOMMU). First
 * stage: sign-extended addresses, user pages. Second stage (x4): unsigned ones of two bits more, a root of 16 KiB. A page at every
 * level; 16 entries of level 0 can be one page of 64 KiB (NAPOT). Rights are the leaf's alone. A leaf without A
 * faults and one without D cannot be written, unless the hardware keeps them (Svadu; SADE and GADE of a device context).
 */
import { ACCESS, alignedDown } from '../../base/index.ts';
import { STATUS } from '../status.ts';
import {
  ALL_RIGHTS,
  KIND,
  PER_PROCESS,
  USER,
  flagBits,
  namesOfBits,
  nineBitLevels,
  type Entry,
  type Format,
  type LeafSize,
} from './format.ts';

const VALID = 1 << 0;
const READ = 1 << 1;
const WRITE = 1 << 2;
const EXECUTE = 1 << 3;
const USER_PAGE = 1 << 4;
/** In a table's entry: all that is below it. */
const GLOBAL = 1 << 5;
const ACCESSED = 1 << 6;
const DIRTY = 1 << 7;
const LEAF_BITS = READ | WRITE | EXECUTE;
const RIGHTS = { [READ]: ACCESS.read, [WRITE]: ACCESS.write, [EXECUTE]: ACCESS.execute };
/** In the high word. PPN is bits 53:10; 60:54 are reserved, 62:61 PBMT, 63 N. */
const PPN_HIGH = 0x3f_ffff;
const RESERVED = 0x1fc0_0000;
const PBMT = 0x6000_0000;
const NAPOT = 1 << 31;
const NAPOT_LG2 = 4;
const NAPOT_CODE = 8;
const NAMES = { 0: 'V', 1: 'R', 2: 'W', 3: 'X', 4: 'U', 5: 'G', 6: 'A', 7: 'D', 61: 'PBMT0', 62: 'PBMT1', 63: 'N' } as const;
/** Two bits more at the root of a second stage. */
const SECOND_STAGE_MORE = 2;

/** RISC-V IOMMU, fault queue: for a read or a write. */
const CAUSES = {
  1: {
    'not-present': '13 or 15, page fault',
    'reserved-bits': '13 or 15, page fault',
    'access-flag': '13 or 15, page fault',
    'not-canonical': '13 or 15, page fault',
    'not-permitted': '13 or 15, page fault',
    'external-abort': '5 or 7, access fault',
  },
  2: {
    'not-present': '21 or 23, guest page fault',
    'reserved-bits': '21 or 23, guest page fault',
    'access-flag': '21 or 23, guest page fault',
    'too-wide': '21 or 23, guest page fault',
    'not-permitted': '21 or 23, guest page fault',
    'external-abort': '5 or 7, access fault',
  },
} as const;

export function riscv(levels: 3 | 4 | 5, stage: 1 | 2): Format {
  const { top, spanLg2, indexLg2, inputBits } = nineBitLevels(levels);
  const more = stage === 2 ? SECOND_STAGE_MORE : 0;
  return {
    name: `riscv-sv${inputBits + 12}${stage === 2 ? 'x4' : ''}`,
    stage,
    userPagesOnlyForUsers: stage === 1,
    globalPages: stage === 1,
    top,
    spanLg2,
    indexLg2: indexLg2.map((bits, level) => (level === top ? bits + more : bits)),
    inputBits: inputBits + more,
    causes: CAUSES[stage],
    levelName: (level) => `VPN[${level}]`,
    signed: stage === 1,
    outputBits: 44,
    leafSizes: sizes(top),
    decode,
    putTable,
    putLeaf,
    // In entries of tables both bits are reserved.
    flags: flagBits(ACCESSED, DIRTY, (low) => (low & LEAF_BITS) !== 0),
    bitNames: (low, high) => namesOfBits(low, high, NAMES),
  };
}

function sizes(top: number): LeafSize[] {
  const large = Array.from({ length: top }, (_none, i) => top - i).map((level) => ({ sizeLg2: 9 * level, level, slots: 1 }));
  return [...large, { sizeLg2: NAPOT_LG2, level: 0, slots: 1 << NAPOT_LG2 }, { sizeLg2: 0, level: 0, slots: 1 }];
}

function decode(low: number, high: number, level: number, into: Entry): void {
  into.page = (high & PPN_HIGH) * 2 ** 22 + (low >>> 10);
  if ((low & VALID) === 0) into.kind = STATUS['not-present'];
  else if ((high & RESERVED) !== 0 || (high & PBMT) === PBMT || (low & (READ | WRITE)) === WRITE) into.kind = STATUS['reserved-bits'];
  else if ((low & LEAF_BITS) === 0) decodeTable(low, high, level, into);
  else decodeLeaf(low, high, level, into);
}

function decodeTable(low: number, high: number, level: number, into: Entry): void {
  if (level === 0) {
    into.kind = STATUS['not-present'];
  } else if ((low & (ACCESSED | DIRTY | USER_PAGE)) !== 0 || (high & (PBMT | NAPOT)) !== 0) {
    into.kind = STATUS['reserved-bits'];
  } else {
    into.kind = KIND.table;
    into.nextLevel = level - 1;
    into.rights = (low & GLOBAL) === 0 ? ALL_RIGHTS : ALL_RIGHTS & ~PER_PROCESS;
  }
}

function decodeLeaf(low: number, high: number, level: number, into: Entry): void {
  const napot = (high & NAPOT) !== 0;
  const sizeLg2 = napot ? NAPOT_LG2 : 9 * level;
  const first = alignedDown(into.page, sizeLg2);
  // The low bits of a page number: all zero, or in a NAPOT entry its size code.
  if ((napot && level > 0) || into.page - first !== (napot ? NAPOT_CODE : 0)) {
    into.kind = STATUS['reserved-bits'];
    return;
  }
  if ((low & ACCESSED) === 0) {
    into.kind = STATUS['access-flag'];
    return;
  }
  into.kind = KIND.leaf;
  into.page = first;
  into.sizeLg2 = sizeLg2;
  const writes = (low & WRITE) !== 0 && (low & DIRTY) !== 0 ? RIGHTS[WRITE]! : 0;
  into.rights =
    ((low & READ) === 0 ? 0 : RIGHTS[READ]!) |
    writes |
    ((low & EXECUTE) === 0 ? 0 : RIGHTS[EXECUTE]!) |
    ((low & USER_PAGE) === 0 ? 0 : USER) |
    ((low & GLOBAL) === 0 ? PER_PROCESS : 0);
}

function putPage(words: Int32Array, at: number, page: number, bits: number): void {
  words[at] = ((page % 2 ** 22) << 10) | bits;
  words[at + 1] = Math.floor(page / 2 ** 22);
}

function putTable(words: Int32Array, at: number, page: number): void {
  putPage(words, at, page, VALID);
}

function putLeaf(words: Int32Array, at: number, page: number, access: number, { slots }: LeafSize): void {
  const writes = (access & ACCESS.write) === 0 ? 0 : WRITE | DIRTY;
  putPage(words, at, slots === 1 ? page : page + NAPOT_CODE, VALID | READ | EXECUTE | USER_PAGE | ACCESSED | writes);
  if (slots > 1) words[at + 1] = words[at + 1]! | NAPOT;
}
