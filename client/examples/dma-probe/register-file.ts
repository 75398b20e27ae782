/** Registers of a BAR as a table, accessed in 1, 2, 4 or 8 naturally aligned bytes: whole, by part and together. Little-endian. */

export interface Register {
  /** A multiple of its bytes. */
  readonly offset: number;
  readonly bytes: 4 | 8;
  /** `wo`: reads as where nothing is. */
  readonly access: 'ro' | 'rw' | 'wo';
  /** Absent: 0. */
  readonly reset?: bigint;
  /** Bits that a write changes; absent: all. */
  readonly writable?: bigint;
}
export type RegisterTable = Readonly<Record<string, Register>>;

/** What a write of a register does; false: it stays, or has become what the model has set. */
export type Written<Name> = (name: Name, value: bigint) => boolean;

export class RegisterFile<Name extends string> {
  readonly #table: readonly (readonly [Name, Register])[];
  readonly #values = new Map<Name, bigint>();
  readonly #written: Written<Name>;

  constructor(table: Readonly<Record<Name, Register>>, written: Written<Name>) {
    this.#table = Object.entries(table) as [Name, Register][];
    this.#written = written;
    for (const [name, register] of this.#table) this.#values.set(name, register.reset ?? 0n);
  }

  whole(name: Name): bigint {
    return this.#values.get(name) ?? 0n;
  }
  get(name: Name): number {
    return Number(this.whole(name));
  }
  set(name: Name, value: number | bigint): void {
    this.#values.set(name, BigInt(value));
  }
  /** One more, modulo 2^32. */
  count(name: Name): void {
    this.set(name, (this.get(name) + 1) >>> 0);
  }

  /** Where nothing is, and of write-only registers, all ones. */
  read(offset: number, bytes: number): bigint {
    let value = ones(bytes);
    for (const [name, register] of this.#within(offset, bytes)) {
      if (register.access === 'wo') continue;
      const part = moved(ones(register.bytes), register.offset - offset) & ones(bytes);
      value = (value & ~part) | (moved(this.whole(name), register.offset - offset) & part);
    }
    return value;
  }

  write(offset: number, bytes: number, value: bigint): void {
    for (const [name, register] of this.#within(offset, bytes)) {
      if (register.access === 'ro') continue;
      const old = register.access === 'wo' ? 0n : this.whole(name);
      const changes = moved(ones(bytes), offset - register.offset) & ones(register.bytes) & (register.writable ?? ones(register.bytes));
      const next = (old & ~changes) | (moved(value, offset - register.offset) & changes);
      if (this.#written(name, next) && register.access === 'rw') this.set(name, next);
    }
  }

  #within(offset: number, bytes: number): readonly (readonly [Name, Register])[] {
    return this.#table.filter(([, register]) => register.offset < offset + bytes && offset < register.offset + register.bytes);
  }
}

function ones(bytes: number): bigint {
  return (1n << BigInt(8 * bytes)) - 1n;
}

/** By so many bytes, up or down. */
function moved(value: bigint, bytes: number): bigint {
  return bytes < 0 ? value >> BigInt(-8 * bytes) : value << BigInt(8 * bytes);
}
