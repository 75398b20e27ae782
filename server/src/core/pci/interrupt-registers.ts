/** The MSI and MSI-X capabilities as code reads and sets them: offsets from each capability's header. */

/** Message Control and the first of what follows (PCIe Base r6.0 §7.7.1). */
const CONTROL = 2;
const ADDRESS = 4;

abstract class Registers {
  readonly #data: Uint8Array;
  readonly #at: number;

  /** `data`: the space itself; `at`: where the capability begins, with room for all of it. */
  constructor(data: Uint8Array, at: number) {
    this.#data = data;
    this.#at = at;
  }

  protected u16(offset: number): number {
    return this.#data[this.#at + offset]! | (this.#data[this.#at + offset + 1]! << 8);
  }
  /** Signed. */
  protected i32(offset: number): number {
    return this.u16(offset) | (this.u16(offset + 2) << 16);
  }
  protected put32(offset: number, value: number): void {
    for (let i = 0; i < 4; i++) this.#data[this.#at + offset + i] = (value >>> (8 * i)) & 0xff;
  }
}

/** Message Signaled Interrupts (§7.7.1). */
export class MsiRegisters extends Registers {
  get enabled(): boolean {
    return (this.u16(CONTROL) & 1) !== 0;
  }
  /** Vectors that it can have: 1 to 32 (Multiple Message Capable; a reserved encoding counts as 32). */
  get vectors(): number {
    return 1 << Math.min(5, (this.u16(CONTROL) >> 1) & 7);
  }
  /** Vectors that software has given it (Multiple Message Enable), and no more than it can have. */
  get granted(): number {
    return Math.min(this.vectors, 1 << Math.min(5, (this.u16(CONTROL) >> 4) & 7));
  }
  /** Per-vector masking. */
  get maskable(): boolean {
    return (this.u16(CONTROL) & 0x100) !== 0;
  }
  /** Message Address, as int32 halves. */
  get addressLow(): number {
    return this.i32(ADDRESS) & ~3;
  }
  get addressHigh(): number {
    return this.#wide ? this.i32(ADDRESS + 4) : 0;
  }
  /** Message Data of vector 0: the upper half is Extended Message Data where that is enabled. */
  get data(): number {
    const extended = (this.u16(CONTROL) & 0x400) !== 0;
    return (this.u16(this.#data) | (extended ? this.u16(this.#data + 2) << 16 : 0)) >>> 0;
  }
  /** A bit for each vector. */
  get mask(): number {
    return this.maskable ? this.i32(this.#data + 4) : 0;
  }
  get pending(): number {
    return this.maskable ? this.i32(this.#data + 8) : 0;
  }
  setPending(pending: number): void {
    if (this.maskable) this.put32(this.#data + 8, pending);
  }

  get #wide(): boolean {
    return (this.u16(CONTROL) & 0x80) !== 0;
  }
  get #data(): number {
    return this.#wide ? 0xc : 8;
  }
}

/** MSI-X (§7.7.2): the capability. What stands in BARs is {@link MsixVectors}. */
export class MsixRegisters extends Registers {
  get enabled(): boolean {
    return (this.u16(CONTROL) & 0x8000) !== 0;
  }
  /** Function Mask: every vector is masked. */
  get masked(): boolean {
    return (this.u16(CONTROL) & 0x4000) !== 0;
  }
  /** 1 to 2048. */
  get vectors(): number {
    return (this.u16(CONTROL) & 0x7ff) + 1;
  }
  /** The BAR that has the table, and where in it. */
  get tableBar(): number {
    return this.i32(4) & 7;
  }
  get tableOffset(): number {
    return (this.i32(4) & ~7) >>> 0;
  }
  /** The same of the Pending Bit Array. */
  get pendingBar(): number {
    return this.i32(8) & 7;
  }
  get pendingOffset(): number {
    return (this.i32(8) & ~7) >>> 0;
  }
}
