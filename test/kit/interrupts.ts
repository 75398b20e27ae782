/** Interrupts of a core machine: registers written as a driver writes them. Offsets and bits are restated here. */
import type { Bdf } from '../../server/src/core/base/index.ts';
import type { FunctionSpec, MachineEvent, Raised } from '../../server/src/core/machine/index.ts';
import type { CoreMachine } from './core-machine.ts';

export type InterruptEvent = Extract<MachineEvent, { kind: 'interrupt' }>;
export type IntxEvent = Extract<MachineEvent, { kind: 'intx' }>;

const CONFIG = 7;
const COMMAND = 4;
const BUS_MASTER = 4;
const MEMORY = 2;
const CAPABILITIES = 0x34;
const MSIX_ID = 0x11;
/** The probe's table is in BAR 2, and its Pending Bit Array 32 KiB behind. */
const TABLE_BAR = 2;
const PENDING = 0x8000;
/** Where {@link withMsi} puts it: behind what the probe has. */
export const MSI_AT = 0xc0;

export interface MsiOptions {
  /** log2 of the vectors that it can have. Default 5. */
  readonly capable?: number;
  readonly wide?: boolean;
  readonly maskable?: boolean;
  readonly extendedData?: boolean;
}

/** The function, with an MSI capability put in front of its others. */
export function withMsi(
  fn: FunctionSpec,
  { capable = 5, wide = true, maskable = true, extendedData = false }: MsiOptions = {},
): FunctionSpec {
  const config = fn.config.slice();
  config[MSI_AT] = 5;
  config[MSI_AT + 1] = config[CAPABILITIES] ?? 0;
  config[MSI_AT + 2] = (capable << 1) | (wide ? 0x80 : 0);
  config[MSI_AT + 3] = (maskable ? 1 : 0) | (extendedData ? 2 : 0);
  config[CAPABILITIES] = MSI_AT;
  return { ...fn, config };
}

export class Interrupts {
  readonly #m: CoreMachine;
  readonly #at: Bdf;

  constructor(m: CoreMachine, at: Bdf) {
    this.#m = m;
    this.#at = at;
  }

  read(region: number, offset: number, bytes = 4): number {
    return this.#m.call('region-read', { kind: 'region-read', bdf: this.#at, region, offset, bytes }).valueLow >>> 0;
  }
  write(region: number, offset: number, bytes: number, value: number): void {
    this.#m.call('ok', { kind: 'region-write', bdf: this.#at, region, offset, bytes, valueLow: value | 0, valueHigh: 0 });
  }

  command(bits: number): void {
    this.write(CONFIG, COMMAND, 2, bits);
  }
  busMaster(on: boolean): void {
    this.command(on ? BUS_MASTER | MEMORY : MEMORY);
  }
  config(offset: number, bytes = 4): number {
    return this.read(CONFIG, offset, bytes);
  }

  enableMsix(on = true, functionMask = false): void {
    this.write(CONFIG, this.#msix() + 2, 2, (on ? 0x8000 : 0) | (functionMask ? 0x4000 : 0));
  }
  /** An entry of the table, not masked. */
  program(vector: number, address: number, data: number): void {
    this.write(TABLE_BAR, 16 * vector, 4, address);
    this.write(TABLE_BAR, 16 * vector + 4, 4, 0);
    this.write(TABLE_BAR, 16 * vector + 8, 4, data);
    this.mask(vector, false);
  }
  mask(vector: number, on = true): void {
    this.write(TABLE_BAR, 16 * vector + 12, 4, on ? 1 : 0);
  }
  table(vector: number, word: number): number {
    return this.read(TABLE_BAR, 16 * vector + 4 * word);
  }
  pending(): number {
    return this.read(TABLE_BAR, PENDING);
  }
  writePending(value: number): void {
    this.write(TABLE_BAR, PENDING, 4, value);
  }

  /** `granted`: log2 of the vectors. */
  enableMsi(address: number, data: number, granted = 0, wide = true): void {
    this.write(CONFIG, MSI_AT + 4, 4, address);
    this.write(CONFIG, MSI_AT + (wide ? 12 : 8), 2, data);
    this.write(CONFIG, MSI_AT + 2, 2, 1 | (granted << 4));
  }

  raise(vector: number): Raised {
    return this.#m.call('interrupt', { kind: 'model-interrupt', bdf: this.#at, vector, line: undefined }).outcome;
  }
  line(on: boolean): Raised {
    return this.#m.call('interrupt', { kind: 'model-interrupt', bdf: this.#at, vector: undefined, line: on }).outcome;
  }

  /** Data of the messages that have come from the function, in order. */
  data(): number[] {
    return this.messages().map((event) => event.data);
  }
  messages(): InterruptEvent[] {
    return this.#m.events.filter((event) => event.kind === 'interrupt').filter((event) => event.bdf === this.#at);
  }
  intx(): IntxEvent[] {
    return this.#m.events.filter((event) => event.kind === 'intx').filter((event) => event.bdf === this.#at);
  }

  #msix(): number {
    let at = this.config(CAPABILITIES, 1);
    while (this.config(at, 1) !== MSIX_ID) at = this.config(at + 1, 1);
    return at;
  }
}
