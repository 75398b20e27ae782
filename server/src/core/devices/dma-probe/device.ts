import { Atc } from '../atc.ts';
import type { FunctionModel, ModelState } from '../model.ts';
import { PageRequester } from '../page-requester.ts';
import { PROBE_REGISTERS, type ProbeRegister } from './registers.ts';

const BAR = 0;
const ALL_ONES = 0xffff_ffff;
const REGISTERS: readonly ProbeRegister[] = Object.values(PROBE_REGISTERS);

/** The function that exists to provoke DMA: it does what `model-dma` says, and keeps an ATC. */
export class DmaProbe implements FunctionModel {
  readonly name = 'dma-probe';
  readonly atc = new Atc();
  readonly pageRequester = new PageRequester();
  readonly initiatesDma = true;
  readonly #values = new Uint32Array(REGISTERS.length);

  constructor() {
    this.reset();
  }

  barRead(bar: number, offset: number, bytes: number): number {
    const index = bar === BAR ? registerAt(offset) : -1;
    if (index < 0) return (ALL_ONES >>> (32 - 8 * Math.min(bytes, 4))) >>> 0;
    const shift = 8 * (offset & 3);
    return ((this.#values[index]! >>> shift) & mask(bytes)) >>> 0;
  }

  barReadHigh(bar: number, offset: number): number {
    return this.barRead(bar, offset + 4, 4);
  }

  barWrite(bar: number, offset: number, bytes: number, value: number, high = 0): void {
    if (bytes > 4) this.barWrite(bar, offset + 4, 4, high);
    const index = bar === BAR ? registerAt(offset) : -1;
    if (index < 0 || REGISTERS[index]!.access !== 'rw') return;
    const shift = 8 * (offset & 3);
    const bits = mask(bytes) << shift;
    this.#values[index] = (this.#values[index]! & ~bits) | ((value << shift) & bits);
  }

  operationStarted(): void {
    this.#values[STARTED]!++;
  }
  operationEnded(): void {
    this.#values[ENDED]!++;
  }

  dmaEnded(): void {}
  alarmRang(): void {}

  reset(): void {
    for (const [index, register] of REGISTERS.entries()) this.#values[index] = register.reset;
  }

  save(): ModelState {
    return { registers: this.#values.slice() };
  }

  load(state: ModelState): void {
    this.#values.set(state['registers'] as Uint32Array);
  }
}

const STARTED = registerAt(PROBE_REGISTERS.started.offset);
const ENDED = registerAt(PROBE_REGISTERS.ended.offset);

function registerAt(offset: number): number {
  return REGISTERS.findIndex((register) => register.offset === (offset & ~3));
}

function mask(bytes: number): number {
  return bytes >= 4 ? ALL_ONES : (1 << (8 * bytes)) - 1;
}
