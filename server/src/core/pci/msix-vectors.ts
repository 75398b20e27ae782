/**
 * The MSI-X Table and Pending Bit Array of one function (PCIe Base r6.0 §7.7.2.5 to §7.7.2.10): words in memory, which exist from the first write or
 * pending bit on. Until then, and after each reset, every vector is masked and nothing is pending.
 */
import type { StateFields } from '../base/index.ts';

const ENTRY_WORDS = 4;
const ENTRY_BYTES = 4 * ENTRY_WORDS;
const ADDRESS_LOW = 0;
const ADDRESS_HIGH = 1;
const DATA = 2;
const CONTROL = 3;
/** Vector Control: the Mask bit. The rest is reserved and reads as zero. */
const MASK = 1;

export class MsixVectors {
  readonly count: number;
  #table: Uint32Array | undefined;
  #pending: Uint32Array | undefined;

  constructor(count: number) {
    this.count = count;
  }

  get tableBytes(): number {
    return this.count * ENTRY_BYTES;
  }
  /** The array is whole QWORDs. */
  get pendingBytes(): number {
    return 8 * Math.ceil(this.count / 64);
  }

  /** Naturally aligned, of 1, 2 or 4 bytes, within {@link tableBytes}; unsigned. */
  readTable(offset: number, bytes: number): number {
    const word = offset >>> 2;
    return partOf(this.#table === undefined ? resetWord(word) : this.#table[word]!, offset, bytes);
  }

  /** As {@link readTable}. Software writes DWORDs and QWORDs; of a narrower write the other bytes stay. */
  writeTable(offset: number, bytes: number, value: number): void {
    const word = offset >>> 2;
    const table = (this.#table ??= Uint32Array.from({ length: this.count * ENTRY_WORDS }, (_, at) => resetWord(at)));
    table[word] = merged(table[word]!, offset, bytes, value) & writableOf(word);
  }

  /** Within {@link pendingBytes}. */
  readPending(offset: number, bytes: number): number {
    return partOf(this.#pending?.[offset >>> 2] ?? 0, offset, bytes);
  }

  isMasked(vector: number): boolean {
    return this.#table === undefined || (this.#table[vector * ENTRY_WORDS + CONTROL]! & MASK) !== 0;
  }

  /** Message Address as int32 halves; its low two bits count as zero. */
  addressLow(vector: number): number {
    return this.#word(vector, ADDRESS_LOW) & ~3;
  }
  addressHigh(vector: number): number {
    return this.#word(vector, ADDRESS_HIGH) | 0;
  }
  data(vector: number): number {
    return this.#word(vector, DATA);
  }

  isPending(vector: number): boolean {
    return this.#pending !== undefined && ((this.#pending[vector >>> 5]! >>> (vector & 31)) & 1) === 1;
  }
  setPending(vector: number, pending: boolean): void {
    if (this.#pending === undefined) {
      if (!pending) return;
      this.#pending = new Uint32Array(this.pendingBytes / 4);
    }
    const bit = 1 << (vector & 31);
    this.#pending[vector >>> 5] = pending ? this.#pending[vector >>> 5]! | bit : this.#pending[vector >>> 5]! & ~bit;
  }

  /** Vectors that are pending, in order. */
  pendingVectors(): readonly number[] {
    if (this.#pending === undefined || this.#pending.every((word) => word === 0)) return NONE;
    return Array.from({ length: this.count }, (_, vector) => vector).filter((vector) => this.isPending(vector));
  }

  reset(): void {
    this.#table = undefined;
    this.#pending = undefined;
  }

  state(fields: StateFields): void {
    fields.field('count', this.count);
    this.#table = fields.field('table', this.#table);
    this.#pending = fields.field('pending', this.#pending);
  }

  /** What software has written: kept for {@link restore}. */
  save(): Uint32Array | undefined {
    return this.#table?.slice();
  }
  restore(table: Uint32Array | undefined): void {
    this.#table = table?.slice();
  }

  #word(vector: number, word: number): number {
    return this.#table?.[vector * ENTRY_WORDS + word] ?? 0;
  }
}

const NONE: readonly number[] = [];

function resetWord(word: number): number {
  return word % ENTRY_WORDS === CONTROL ? MASK : 0;
}

function writableOf(word: number): number {
  return word % ENTRY_WORDS === CONTROL ? MASK : -1;
}

function partOf(word: number, offset: number, bytes: number): number {
  return bytes >= 4 ? word >>> 0 : (word >>> (8 * (offset & 3))) & ((1 << (8 * bytes)) - 1);
}

function merged(word: number, offset: number, bytes: number, value: number): number {
  if (bytes >= 4) return value;
  const shift = 8 * (offset & 3);
  const mask = ((1 << (8 * bytes)) - 1) << shift;
  return (word & ~mask) | ((value << shift) & mask);
}
