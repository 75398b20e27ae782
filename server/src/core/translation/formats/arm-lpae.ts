/**
 * Arm VMSAv8-64 (DDI 0487 chapter D8), as an SMMUv3 walks it (IHI 0070): stage 1 under TTBR0 and stage 2, with granules of 4, 16 and
 * 64 KiB. The table that a walk begins at may be part of one, or in stage 2 up to 16 joined. Level 0 here is the architecture's 3. The
 * contiguous bit is a hint that the walker leaves alone. A leaf without its access flag faults, unless the hardware keeps the flags (HTTU: HA and HD).
 */
import { ACCESS, alignedDown } from '../../base/index.ts';
import { STATUS } from '../status.ts';
import {
  ALL_RIGHTS,
  KIND,
  USER,
  highOfPage,
  lowOfPage,
  namesOfBits,
  pageIn51to12,
  type AccessedDirty,
  type Entry,
  type Format,
  type LeafSize,
} from './format.ts';

export type Granule = 12 | 14 | 16;

export interface LpaeGeometry {
  readonly stage: 1 | 2;
  /** log2 of the granule in bytes. */
  readonly granule: Granule;
  /** Bits of an input address. */
  readonly inputBits: number;
  /** Bits of an output address; what is beyond is an address size fault. */
  readonly outputBits: number;
  /** The architecture's number of the level at which a walk begins. Absent: the highest that the input needs; stage 2 joins tables where it can. */
  readonly startLevel?: number;
}

const VALID = 1 << 0;
/** A table above level 0, a page at it. */
const TYPE = 1 << 1;
const ATTRIBUTES_S1 = 2 << 2;
const ATTRIBUTES_S2 = 0xf << 2;
const AP_UNPRIVILEGED = 1 << 6;
const AP_READ_ONLY = 1 << 7;
const S2AP_READ = 1 << 6;
const S2AP_WRITE = 1 << 7;
const INNER_SHAREABLE = 3 << 8;
const ACCESS_FLAG = 1 << 10;
const NOT_GLOBAL = 1 << 11;
/** In the high word. */
const DIRTY_MODIFIER = 1 << (51 - 32);
const CONTIGUOUS = 1 << (52 - 32);
const NO_EXECUTE = 1 << (54 - 32);
const TABLE_NO_EXECUTE = 1 << (60 - 32);
const TABLE_NO_UNPRIVILEGED = 1 << (61 - 32);
const TABLE_READ_ONLY = 1 << (62 - 32);

const ADDRESS_BITS = 48;
const LEVELS = 4;
/** Levels, as here numbered, that have blocks besides the pages of level 0. */
const BLOCK_LEVELS = { 12: [2, 1], 14: [1], 16: [1] } as const satisfies Record<Granule, readonly number[]>;
/** log2 of the entries of a contiguous group, by level. */
const CONTIGUOUS_LG2 = { 12: [4, 4, 4], 14: [7, 5], 16: [5, 5] } as const satisfies Record<Granule, readonly number[]>;
const JOINED_LG2_MAX = 4;

/** SMMUv3 (IHI 0070 §7.3). */
const CAUSES = {
  'not-present': 'F_TRANSLATION',
  'too-wide': 'F_TRANSLATION',
  'address-size': 'F_ADDR_SIZE',
  'access-flag': 'F_ACCESS',
  'not-permitted': 'F_PERMISSION',
  'external-abort': 'F_WALK_EABT',
} as const;

/** Throws RangeError for a geometry that the architecture has not. */
export function lpae(geometry: LpaeGeometry): Format {
  const { stage, granule, inputBits, outputBits } = geometry;
  const page = granule - 12;
  const perLevel = granule - 3;
  const top = LEVELS - 1 - (geometry.startLevel ?? startLevel(stage, granule, inputBits));
  const topBits = inputBits - granule - top * perLevel;
  if (top < 0 || top >= LEVELS || topBits < 1 || topBits > perLevel + (stage === 2 ? JOINED_LG2_MAX : 0)) {
    throw new RangeError(
      `stage ${stage} with a granule of ${1 << (granule - 10)} KiB has no start level ${LEVELS - 1 - top} for ${inputBits} bits`,
    );
  }
  const levels = Array.from({ length: top + 1 }, (_none, level) => level);
  return {
    name: `arm-s${stage}-${1 << (granule - 10)}k-${inputBits}`,
    stage,
    userPagesOnlyForUsers: false,
    top,
    spanLg2: levels.map((level) => page + level * perLevel),
    indexLg2: levels.map((level) => (level === top ? topBits : perLevel)),
    inputBits: inputBits - 12,
    causes: CAUSES,
    levelName: (level) => `level ${LEVELS - 1 - level}`,
    signed: false,
    outputBits: outputBits - 12,
    leafSizes: sizes(granule, top),
    decode: (low, high, level, into) => decode(geometry, low, high, level, into),
    putTable,
    putLeaf: (words, at, first, access, size, slot) =>
      putLeaf(stage, words, at, first + slot * 2 ** (page + size.level * perLevel), access, size),
    groupOf: (_low, high, level) => ((high & CONTIGUOUS) === 0 ? 0 : page + level * perLevel + (CONTIGUOUS_LG2[granule][level] ?? 0)),
    flags: stage === 1 ? STAGE1_FLAGS : STAGE2_FLAGS,
    bitNames: (low, high, level) => bitNames(stage, low, high, level),
  };
}

function startLevel(stage: 1 | 2, granule: Granule, inputBits: number): number {
  const perLevel = granule - 3;
  const levels = Math.ceil((inputBits - granule) / perLevel);
  const joined = stage === 2 && levels > 1 && inputBits - granule - (levels - 1) * perLevel <= JOINED_LG2_MAX;
  return LEVELS - (joined ? levels - 1 : levels);
}

function sizes(granule: Granule, top: number): LeafSize[] {
  const levels = [...BLOCK_LEVELS[granule].filter((level) => level <= top), 0];
  return levels.flatMap((level) => {
    const sizeLg2 = granule - 12 + level * (granule - 3);
    const group = CONTIGUOUS_LG2[granule][level] ?? 0;
    return [
      { sizeLg2: sizeLg2 + group, level, slots: 1 << group },
      { sizeLg2, level, slots: 1 },
    ];
  });
}

function decode({ stage, granule, outputBits }: LpaeGeometry, low: number, high: number, level: number, into: Entry): void {
  const isTable = level > 0 && (low & TYPE) !== 0;
  const isBlock = level > 0 && !isTable && (BLOCK_LEVELS[granule] as readonly number[]).includes(level);
  if ((low & VALID) === 0 || (!isTable && !isBlock && (level > 0 || (low & TYPE) === 0))) {
    into.kind = STATUS['not-present'];
    return;
  }
  const sizeLg2 = granule - 12 + (isTable ? 0 : level * (granule - 3));
  into.page = alignedDown(pageIn51to12(low, high & 0xffff), sizeLg2);
  if (outputBits < ADDRESS_BITS && into.page >= 2 ** (outputBits - 12)) {
    into.kind = STATUS['address-size'];
    return;
  }
  if (isTable) {
    into.kind = KIND.table;
    into.nextLevel = level - 1;
    into.rights = stage === 1 ? tableRights(high) : ALL_RIGHTS;
    return;
  }
  if ((low & ACCESS_FLAG) === 0) {
    into.kind = STATUS['access-flag'];
    return;
  }
  into.kind = KIND.leaf;
  into.sizeLg2 = sizeLg2;
  into.rights = (stage === 1 ? stage1Rights(low) : stage2Rights(low)) | ((high & NO_EXECUTE) === 0 ? ACCESS.execute : 0);
}

function tableRights(high: number): number {
  return (
    ACCESS.read |
    ((high & TABLE_READ_ONLY) === 0 ? ACCESS.write : 0) |
    ((high & TABLE_NO_EXECUTE) === 0 ? ACCESS.execute : 0) |
    ((high & TABLE_NO_UNPRIVILEGED) === 0 ? USER : 0)
  );
}

function stage1Rights(low: number): number {
  return ACCESS.read | ((low & AP_READ_ONLY) === 0 ? ACCESS.write : 0) | ((low & AP_UNPRIVILEGED) === 0 ? 0 : USER);
}

function stage2Rights(low: number): number {
  return ((low & S2AP_READ) === 0 ? 0 : ACCESS.read) | ((low & S2AP_WRITE) === 0 ? 0 : ACCESS.write) | USER;
}

function putTable(words: Int32Array, at: number, page: number): void {
  words[at] = lowOfPage(page) | VALID | TYPE;
  words[at + 1] = highOfPage(page);
}

function putLeaf(stage: 1 | 2, words: Int32Array, at: number, page: number, access: number, { level, slots }: LeafSize): void {
  const bits = VALID | (level === 0 ? TYPE : 0) | INNER_SHAREABLE | ACCESS_FLAG;
  words[at] = lowOfPage(page) | bits | (stage === 1 ? stage1Bits(access) : stage2Bits(access));
  words[at + 1] = highOfPage(page) | (slots > 1 ? CONTIGUOUS : 0);
}

/** Stage 1 has no write-only page. */
function stage1Bits(access: number): number {
  return ATTRIBUTES_S1 | NOT_GLOBAL | AP_UNPRIVILEGED | ((access & ACCESS.write) === 0 ? AP_READ_ONLY : 0);
}

function stage2Bits(access: number): number {
  return ATTRIBUTES_S2 | ((access & ACCESS.read) === 0 ? 0 : S2AP_READ) | ((access & ACCESS.write) === 0 ? 0 : S2AP_WRITE);
}

const LEAF_NAMES = { 10: 'AF', 51: 'DBM', 52: 'Contiguous' } as const;
const STAGE1_NAMES = { ...LEAF_NAMES, 6: 'AP[1]', 7: 'AP[2]', 11: 'nG', 53: 'PXN', 54: 'UXN' } as const;
const STAGE2_NAMES = { ...LEAF_NAMES, 6: 'S2AP[0]', 7: 'S2AP[1]', 53: 'XN[0]', 54: 'XN[1]' } as const;
/**
 * A page with DBM that may not be written is one that no write has made dirty (DDI 0487, hardware management of dirty state): a write clears AP[2], or
 * sets S2AP[1].
 */
const STAGE1_FLAGS: AccessedDirty = {
  accessed,
  dirtied: (low, high) => ((high & DIRTY_MODIFIER) === 0 ? low : low & ~AP_READ_ONLY),
  isDirty: (low, high) => (high & DIRTY_MODIFIER) !== 0 && (low & AP_READ_ONLY) === 0,
  cleaned: (low, high) => ((high & DIRTY_MODIFIER) === 0 ? low : low | AP_READ_ONLY),
  trackedHigh: DIRTY_MODIFIER,
};
const STAGE2_FLAGS: AccessedDirty = {
  accessed,
  dirtied: (low, high) => ((high & DIRTY_MODIFIER) === 0 ? low : low | S2AP_WRITE),
  isDirty: (low, high) => (high & DIRTY_MODIFIER) !== 0 && (low & S2AP_WRITE) !== 0,
  cleaned: (low, high) => ((high & DIRTY_MODIFIER) === 0 ? low : low & ~S2AP_WRITE),
  trackedHigh: DIRTY_MODIFIER,
};

function accessed(low: number, _high: number, level: number): number {
  return level > 0 && (low & TYPE) !== 0 ? low : low | ACCESS_FLAG;
}

const TABLE_NAMES = { 59: 'PXNTable', 60: 'XNTable', 61: 'APTable[0]', 62: 'APTable[1]', 63: 'NSTable' } as const;

function bitNames(stage: 1 | 2, low: number, high: number, level: number): string[] {
  const valid = (low & VALID) === 0 ? [] : ['valid'];
  if (level > 0 && (low & TYPE) !== 0) return [...valid, 'table', ...(stage === 1 ? namesOfBits(low, high, TABLE_NAMES) : [])];
  const kind = level > 0 ? 'block' : (low & TYPE) === 0 ? 'reserved' : 'page';
  return [...valid, kind, ...namesOfBits(low, high, stage === 1 ? STAGE1_NAMES : STAGE2_NAMES)];
}
