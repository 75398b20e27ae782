/** Registers of a port of a core machine as its driver uses them. Offsets and bits are restated here. */
import type { Bdf } from '../../server/src/core/base/index.ts';
import type { CoreMachine } from './core-machine.ts';

const CONFIG = 7;
const EXPRESS = 0x10;
const MSI = 5;
const AER = 1;
const DPC = 0x1d;

export class PortRegisters {
  readonly #m: CoreMachine;
  readonly #at: Bdf;

  constructor(m: CoreMachine, at: Bdf) {
    this.#m = m;
    this.#at = at;
  }

  get(offset: number, bytes = 4): number {
    return this.#m.call('region-read', { kind: 'region-read', bdf: this.#at, region: CONFIG, offset, bytes }).valueLow >>> 0;
  }
  set(offset: number, bytes: number, value: number): void {
    this.#m.call('ok', { kind: 'region-write', bdf: this.#at, region: CONFIG, offset, bytes, valueLow: value | 0, valueHigh: 0 });
  }
  standard(id: number): number {
    let at = this.get(0x34, 1);
    while (at !== 0 && this.get(at, 1) !== id) at = this.get(at + 1, 1);
    return at;
  }
  extended(id: number): number {
    let at = 0x100;
    while (at !== 0 && (this.get(at) & 0xffff) !== id) at = this.get(at) >>> 20;
    return at;
  }

  /** 64-bit, maskable. `granted`: log2 of the messages. */
  enableMsi(address: number, data: number, granted = 0): void {
    const at = this.standard(MSI);
    this.set(at + 4, 4, address);
    this.set(at + 8, 4, 0);
    this.set(at + 0xc, 2, data);
    this.set(at + 2, 2, 1 | (granted << 4));
  }
  maskMsi(mask: number): void {
    this.set(this.standard(MSI) + 0x10, 4, mask);
  }
  pendingMsi(): number {
    return this.get(this.standard(MSI) + 0x14);
  }

  errorCommand(bits: number): void {
    this.set(this.extended(AER) + 0x2c, 4, bits);
  }
  /** As a driver does, of the port and of its root error status. */
  clearErrors(): void {
    this.set(this.extended(AER) + 4, 4, -1);
    this.set(this.extended(AER) + 0x30, 4, 0x7f);
  }
  /** Advanced Error Interrupt Message Number. */
  errorNumber(): number {
    return this.get(this.extended(AER) + 0x30) >>> 27;
  }

  /** DPC Control: written where a value is given. */
  containment(control?: number): number {
    const at = this.extended(DPC) + 6;
    if (control !== undefined) this.set(at, 2, control);
    return this.get(at, 2);
  }
  containmentStatus(): number {
    return this.get(this.extended(DPC) + 8, 2);
  }
  containmentNumber(): number {
    return this.get(this.extended(DPC) + 4, 2) & 0x1f;
  }
  endContainment(bits = 9): void {
    this.set(this.extended(DPC) + 8, 2, bits);
  }

  slotControl(value?: number): number {
    const at = this.standard(EXPRESS) + 0x18;
    if (value !== undefined) this.set(at, 2, value);
    return this.get(at, 2);
  }
  slotStatus(): number {
    return this.get(this.standard(EXPRESS) + 0x1a, 2);
  }
  clearSlotStatus(bits = 0x11f): void {
    this.set(this.standard(EXPRESS) + 0x1a, 2, bits);
  }
  linkActive(): boolean {
    return (this.get(this.standard(EXPRESS) + 0x12, 2) & 0x2000) !== 0;
  }
  slotNumber(): number {
    return (this.get(this.standard(EXPRESS) + 2, 2) >> 9) & 0x1f;
  }
}
