/**
 * Registers of a BAR as a table, and access to them of every size, solved once: a model sees whole registers only. Little-endian; a register is 4 or 8
 * bytes, and an access is 1, 2, 4 or 8 bytes, naturally aligned.
 */
import { assert } from '../base/index.ts';

/** `wo`: reads as where nothing is. */
export type RegisterAccess = 'ro' | 'rw' | 'wo';

export interface BarRegister {
  /** A multiple of its bytes. */
  readonly offset: number;
  readonly bytes: 4 | 8;
  readonly access: RegisterAccess;
  /** After a reset; the upper half of 8 bytes is 0. */
  readonly reset: number;
  /** Bits of its low half that a write changes; absent: all. */
  readonly writable?: number;
  /**
   * Absent: it is accessed whole, by part, and together with its neighbour. Given: only whole accesses at its offset and of these sizes find it; a narrower
   * one is extended with zeros.
   */
  readonly sizes?: readonly number[];
  /** For people: a line of the register page. */
  readonly means: string;
}

export type BarRegisterTable = Readonly<Record<string, BarRegister>>;

interface Slot<Name extends string> {
  readonly name: Name;
  readonly register: BarRegister;
  /** Where its low half is among the values. */
  readonly at: number;
}

/** What is the same in every instance of a model: made once for a table. */
export interface RegisterLayout<Name extends string> {
  readonly slots: Readonly<Record<Name, Slot<Name>>>;
  /** By offset / 4; undefined where nothing is. */
  readonly words: readonly (Slot<Name> | undefined)[];
  readonly count: number;
}

export function registerLayout<const Table extends BarRegisterTable>(table: Table): RegisterLayout<keyof Table & string> {
  type Name = keyof Table & string;
  const slots = {} as Record<Name, Slot<Name>>;
  const words: (Slot<Name> | undefined)[] = [];
  let count = 0;
  for (const [name, register] of Object.entries(table) as [Name, BarRegister][]) {
    const slot: Slot<Name> = { name, register, at: count };
    slots[name] = slot;
    assert(register.offset % register.bytes === 0, `register ${name} is not aligned`);
    for (let word = register.offset / 4; word < (register.offset + register.bytes) / 4; word++, count++) {
      assert(words[word] === undefined, `register ${name} is where ${words[word]?.name} is`);
      words[word] = slot;
    }
  }
  return { slots, words, count };
}

const ALL_ONES = 0xffff_ffff;

/** The registers of one instance. Their values are its whole state. */
export class RegisterMap<Name extends string> {
  readonly #layout: RegisterLayout<Name>;
  readonly #values: Uint32Array;
  readonly #written: (name: Name, low: number, high: number) => boolean;

  /** `written`: a register that is not read-only is to become this; false: it does not, or the model has set it to what it is now. */
  constructor(layout: RegisterLayout<Name>, written: (name: Name, low: number, high: number) => boolean) {
    this.#layout = layout;
    this.#values = new Uint32Array(layout.count);
    this.#written = written;
    this.reset();
  }

  low(name: Name): number {
    return this.#values[this.#layout.slots[name].at]!;
  }

  high(name: Name): number {
    return this.#values[this.#layout.slots[name].at + 1]!;
  }

  set(name: Name, low: number, high = 0): void {
    const { at, register } = this.#layout.slots[name];
    this.#values[at] = low;
    if (register.bytes === 8) this.#values[at + 1] = high;
  }

  /** One more, modulo 2^32. */
  count(name: Name): void {
    this.#values[this.#layout.slots[name].at]!++;
  }

  /** Low 32 bits of the access, unsigned. */
  read(offset: number, bytes: number): number {
    return this.#readWord(offset, Math.min(bytes, 4), offset, bytes);
  }

  /** Of an access of 8 bytes at `offset`. */
  readHigh(offset: number): number {
    return this.#readWord(offset + 4, 4, offset, 8);
  }

  write(offset: number, bytes: number, low: number, high = 0): void {
    const slot = this.#slotAt(offset, offset, bytes);
    if (bytes === 8 && slot?.register.bytes === 8) {
      this.#change(slot, low, high);
      return;
    }
    if (slot !== undefined) this.#writePart(slot, offset, Math.min(bytes, 4), low);
    const upper = bytes === 8 ? this.#slotAt(offset + 4, offset, bytes) : undefined;
    if (upper !== undefined) this.#writePart(upper, offset + 4, 4, high);
  }

  reset(): void {
    for (const { at, register } of Object.values<Slot<Name>>(this.#layout.slots)) {
      this.#values[at] = register.reset;
      if (register.bytes === 8) this.#values[at + 1] = 0;
    }
  }

  save(): Uint32Array {
    return this.#values.slice();
  }

  load(values: Uint32Array): void {
    this.#values.set(values);
  }

  /** The register that the access of `bytes` at `start` finds in its word at `offset`. */
  #slotAt(offset: number, start: number, bytes: number): Slot<Name> | undefined {
    const slot = this.#layout.words[offset >>> 2];
    if (slot === undefined) return undefined;
    const { sizes, offset: first } = slot.register;
    return sizes === undefined || (first === start && sizes.includes(bytes)) ? slot : undefined;
  }

  #readWord(offset: number, bytes: number, start: number, whole: number): number {
    const mask = maskOf(bytes);
    const slot = this.#slotAt(offset, start, whole);
    if (slot === undefined || slot.register.access === 'wo') return mask;
    const value = this.#values[slot.at + ((offset - slot.register.offset) >>> 2)]!;
    return ((value >>> (8 * (offset & 3))) & mask) >>> 0;
  }

  /** 1, 2 or 4 bytes, within a word. */
  #writePart(slot: Slot<Name>, offset: number, bytes: number, value: number): void {
    const { register, at } = slot;
    const isHigh = offset - register.offset >= 4;
    // Nothing is kept of a register that cannot be read, nor of one that a narrower access writes whole.
    const kept = register.access !== 'wo' && register.sizes === undefined;
    const [low, high] = kept ? [this.#values[at]!, register.bytes === 8 ? this.#values[at + 1]! : 0] : [0, 0];
    const shift = 8 * (offset & 3);
    const bits = maskOf(bytes) << shift;
    const merged = ((isHigh ? high : low) & ~bits) | ((value << shift) & bits);
    this.#change(slot, isHigh ? low : merged >>> 0, isHigh ? merged >>> 0 : high);
  }

  #change({ name, register, at }: Slot<Name>, low: number, high: number): void {
    if (register.access === 'ro') return;
    const writable = register.writable ?? ALL_ONES;
    const next = ((this.#values[at]! & ~writable) | (low & writable)) >>> 0;
    if (this.#written(name, next, high >>> 0) && register.access === 'rw') this.set(name, next, high);
  }
}

function maskOf(bytes: number): number {
  return bytes >= 4 ? ALL_ONES : (1 << (8 * bytes)) - 1;
}
