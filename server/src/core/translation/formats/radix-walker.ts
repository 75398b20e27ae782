import { ACCESS } from '../../base/index.ts';
import { STATUS } from '../status.ts';
import { ALL_RIGHTS, KIND, PER_PROCESS, USER, type Entry, type Format } from './format.ts';
import type { TableMemory } from './table-memory.ts';

const PERFORMED = STATUS.performed;
const NOT_PRESENT = STATUS['not-present'];
const NOT_CANONICAL = STATUS['not-canonical'];
const EXTERNAL_ABORT = STATUS['external-abort'];
const TOO_WIDE = STATUS['too-wide'];
const EVERY_ACCESS = ACCESS.readWrite | ACCESS.execute;
const INPUT_HIGH_BITS = 20;
const PAGE_OFFSET = 4095;
/** Instead of the rights that a walk is for: nobody uses what it finds, and no flag is touched. */
export const LOOKING = -1;

/** What a walk reads at one level, for whoever explains it. */
export interface WalkStep {
  readonly level: number;
  readonly index: number;
  /** Physical page and byte offset of the entry. */
  readonly page: number;
  readonly offset: number;
  readonly low: number;
  readonly high: number;
  /** {@link KIND}, or the status of the fault. */
  readonly kind: number;
}

/**
 * The hardware's side of any {@link Format}: a loop over the levels. The formats' specifications agree on it; where they differ is in `decode`.
 * A format with a hot path has an unrolled walk of its own.
 */
export class RadixWalker {
  foundLow = 0;
  foundHigh = 0;
  /** ACCESS bits that a request without supervisor privilege has. */
  foundAccess = 0;
  /** ACCESS bits that one with it has. */
  foundPrivileged = 0;
  foundPagesLg2 = 0;
  /** The page is the same in every process, as its tables say. */
  foundGlobal = false;
  #foundLevel = 0;
  readonly #format: Format;
  readonly #memory: TableMemory;
  readonly #entry: Entry = { kind: 0, page: 0, nextLevel: 0, sizeLg2: 0, rights: 0 };

  constructor(format: Format, memory: TableMemory) {
    this.#format = format;
    this.#memory = memory;
  }

  /**
   * Walks for an input page from the table at a byte offset in a physical page. Returns a status: `performed` when a leaf was found,
   * whatever its rights; the fields then describe it. `steps` gets what was read.
   *
   * `access`: where the hardware keeps accessed and dirty flags (the format is one of {@link withFlags}), the rights that the request needs. The accessed
   * flag of what the walk goes through is set, and the dirty flag of a leaf that is written; a leaf that is not written and not dirty is found without
   * the right to write, so that whoever keeps the answer asks again before a write. {@link LOOKING}: nothing of that. `privileged`: the request asks for
   * privileged mode, by which it may reach other leaves.
   */
  walk(root: number, rootOffset: number, low: number, high: number, steps?: WalkStep[], access = LOOKING, privileged = false): number {
    const format = this.#format;
    const wrong = inputFault(format, low, high);
    if (wrong !== PERFORMED) return wrong;
    const memory = this.#memory;
    const entry = this.#entry;
    let page = root;
    let offset = rootOffset;
    let level = format.top;
    let rights = ALL_RIGHTS;
    for (;;) {
      const index = bitsOf(low, high, format.spanLg2[level]!, format.indexLg2[level]!);
      const at = offset + index * 8;
      const entryPage = page + (at >>> 12);
      if (!memory.load(entryPage, at & PAGE_OFFSET)) return memory.failed ?? EXTERNAL_ABORT;
      format.decode(memory.low, memory.high, level, entry);
      steps?.push({ level, index, page: entryPage, offset: at & PAGE_OFFSET, low: memory.low, high: memory.high, kind: entry.kind });
      if (entry.kind >= 0) return entry.kind;
      rights &= entry.rights;
      if (access !== LOOKING) {
        const left = this.#mark(entryPage, at & PAGE_OFFSET, level, rights, access, privileged);
        if (left < 0) return memory.failed ?? EXTERNAL_ABORT;
        rights = left;
      }
      if (entry.kind === KIND.leaf) return this.#found(low, high, level, rights);
      if (!skippedAreZero(format, low, high, level, entry.nextLevel)) return NOT_PRESENT;
      level = entry.nextLevel;
      page = entry.page;
      offset = 0;
    }
  }

  /**
   * log2 of the pages of the contiguous group in which the last leaf lies; of the leaf where it is in none. A leaf whose page is out of step with its input
   * page is not taken at its word.
   */
  groupLg2(low: number): number {
    const lg2 = this.#format.groupOf?.(this.#memory.low, this.#memory.high, this.#foundLevel) ?? 0;
    const inStep = lg2 < 32 && ((low ^ this.foundLow) & ((1 << lg2) - 1)) === 0;
    return inStep ? Math.max(lg2, this.foundPagesLg2) : this.foundPagesLg2;
  }

  /** Whether the last leaf demands snooping. */
  get foundSnooped(): boolean {
    return this.#format.snooped?.(this.#memory.low, this.#memory.high) ?? false;
  }

  /** Sets the flags of the entry that was just loaded. Returns the rights that are left, or -1 when it could not be written. */
  #mark(page: number, offset: number, level: number, rights: number, access: number, privileged: boolean): number {
    const { flags } = this.#format;
    const { low, high } = this.#memory;
    const isLeaf = this.#entry.kind === KIND.leaf;
    // What is refused leaves no trace in the leaf.
    const allowed = privileged ? privilegedRights(this.#format, rights) : userRights(rights);
    if (isLeaf && (allowed === 0 || (allowed & access) !== access)) return rights;
    const accessed = flags.accessed(low, high, level);
    const dirtied = isLeaf && (rights & ACCESS.write) !== 0 ? flags.dirtied(accessed, high, level) : accessed;
    const writes = (access & ACCESS.write) !== 0;
    const marked = writes ? dirtied : accessed;
    if (marked !== low && this.#memory.store?.(page, offset, marked) !== true) return -1;
    return writes || dirtied === accessed ? rights : rights & ~ACCESS.write;
  }

  #found(low: number, high: number, level: number, rights: number): number {
    const { page, sizeLg2 } = this.#entry;
    const within = sizeLg2 < 32 ? bitsOf(low, high, 0, sizeLg2) : (low >>> 0) + bitsOf(high, 0, 0, sizeLg2 - 32) * 2 ** 32;
    const found = page + within;
    this.foundLow = found | 0;
    this.foundHigh = Math.floor(found / 2 ** 32);
    this.foundPrivileged = privilegedRights(this.#format, rights);
    this.foundAccess = userRights(rights);
    this.foundPagesLg2 = sizeLg2;
    this.foundGlobal = this.#format.globalPages === true && (rights & PER_PROCESS) === 0;
    this.#foundLevel = level;
    return PERFORMED;
  }
}

function userRights(rights: number): number {
  return (rights & USER) === 0 ? 0 : rights & EVERY_ACCESS;
}

function privilegedRights({ userPagesOnlyForUsers }: Format, rights: number): number {
  return userPagesOnlyForUsers && (rights & USER) !== 0 ? 0 : rights & EVERY_ACCESS;
}

/** `performed`, or why an input page is none of this format. */
export function inputFault(format: Format, low: number, high: number): number {
  const { inputBits, signed } = format;
  const wide = (high << (32 - INPUT_HIGH_BITS)) >> (32 - INPUT_HIGH_BITS);
  if (!signed)
    return inputBits >= 52 || (inputBits < 32 ? low >>> inputBits === 0 && wide === 0 : wide >>> (inputBits - 32) === 0)
      ? PERFORMED
      : TOO_WIDE;
  // The sign bit and all above it are equal. Signed formats have 27 to 45 bits.
  const above = inputBits <= 32 ? low >> (inputBits - 1) : wide >> (inputBits - 33);
  const fits = (above === 0 || above === -1) && (inputBits > 32 || wide === above);
  return fits ? PERFORMED : NOT_CANONICAL;
}

/** `count` (at most 31) bits of a page number in two halves, from bit `from` on. */
export function bitsOf(low: number, high: number, from: number, count: number): number {
  const mask = count === 0 ? 0 : -1 >>> (32 - count);
  if (from >= 32) return (high >>> (from - 32)) & mask;
  return (from === 0 ? low : (low >>> from) | (high << (32 - from))) & mask;
}

/** Where an entry leads past levels (AMD v1), the input's bits of those levels must be zero. */
function skippedAreZero(format: Format, low: number, high: number, level: number, nextLevel: number): boolean {
  for (let skipped = level - 1; skipped > nextLevel; skipped--) {
    if (bitsOf(low, high, format.spanLg2[skipped]!, format.indexLg2[skipped]!) !== 0) return false;
  }
  return true;
}
