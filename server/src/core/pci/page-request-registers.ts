/** The registers of the Page Request capability as code reads and sets them (PCIe §10.5.2): offsets from its header. */
const CONTROL = 4;
const STATUS = 6;
const CAPACITY = 8;
const ALLOCATION = 0xc;
const ENABLE = 1;
const RESPONSE_FAILURE = 1;
const UNEXPECTED_GROUP = 2;
/** Bit 8 of the status register, in its second byte. */
const STOPPED = 1;

export class PageRequestRegisters {
  readonly #data: Uint8Array;
  readonly #at: number;

  /** `data`: the space itself; `at`: where the capability begins, with room for all of it. */
  constructor(data: Uint8Array, at: number) {
    this.#data = data;
    this.#at = at;
  }

  get enabled(): boolean {
    return (this.#data[this.#at + CONTROL]! & ENABLE) !== 0;
  }
  /** Outstanding Page Request Capacity. */
  get capacity(): number {
    return this.#word(CAPACITY);
  }
  /** Outstanding Page Request Allocation: the most that may be outstanding; more than the capacity counts as that. */
  get allocation(): number {
    return Math.min(this.#word(ALLOCATION), this.capacity);
  }
  get responseFailure(): boolean {
    return (this.#data[this.#at + STATUS]! & RESPONSE_FAILURE) !== 0;
  }

  /** As pci_enable_pri() does: the allocation, then Enable. */
  enable(allocation: number): void {
    for (let i = 0; i < 4; i++) this.#data[this.#at + ALLOCATION + i] = (allocation >>> (8 * i)) & 0xff;
    this.#data[this.#at + CONTROL]! |= ENABLE;
  }
  disable(): void {
    this.#data[this.#at + CONTROL]! &= ~ENABLE;
  }

  noteResponseFailure(): void {
    this.#data[this.#at + STATUS]! |= RESPONSE_FAILURE;
  }
  /** Unexpected Page Request Group Index. */
  noteUnexpectedGroup(): void {
    this.#data[this.#at + STATUS]! |= UNEXPECTED_GROUP;
  }
  /** Stopped: the interface is disabled, and nothing that it issued waits for a response. */
  setStopped(stopped: boolean): void {
    const at = this.#at + STATUS + 1;
    this.#data[at] = stopped ? this.#data[at]! | STOPPED : this.#data[at]! & ~STOPPED;
  }

  #word(offset: number): number {
    const at = this.#at + offset;
    return (this.#data[at]! | (this.#data[at + 1]! << 8) | (this.#data[at + 2]! << 16) | (this.#data[at + 3]! << 24)) >>> 0;
  }
}
