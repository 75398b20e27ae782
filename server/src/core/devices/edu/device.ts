import { NO_PASID } from '../../base/index.ts';
import type { FunctionModel, ModelState } from '../model.ts';
import type { DmaEnd, ModelPorts } from '../ports.ts';
import { RegisterMap, registerLayout } from '../register-map.ts';
import { EDU_BUFFER, EDU_DMA, EDU_INTERRUPT, EDU_REGISTERS, EDU_STATUS } from './registers.ts';

const BAR = 0;
const LAYOUT = registerLayout(EDU_REGISTERS);
type Name = keyof typeof EDU_REGISTERS;

/** From the write of the command to its DMA on the bus, as QEMU's. */
const DMA_DELAY_NS = 100_000_000;
/** QEMU's takes what its thread takes; here it is long enough to be seen computing. */
const FACTORIAL_NS = 1_000_000;
/** Address bits that its DMA engine has, by QEMU's default. */
const DMA_ADDRESS_BITS = 28;
const MSI_VECTOR = 0;

const ALARM = { factorial: 0, dma: 1 } as const;

/** QEMU's educational device (hw/misc/edu.c), by its document. Where that copies beyond the buffer, this transfers nothing. */
export class Edu implements FunctionModel {
  readonly name = 'edu';
  readonly atc = undefined;
  readonly pageRequester = undefined;
  readonly initiatesDma = false;
  readonly #ports: ModelPorts;
  readonly #registers = new RegisterMap(LAYOUT, (name, low, high) => this.#written(name, low, high));
  /** Made when it is first used: most machines' edu never is. */
  #buffer: Uint8Array | undefined;

  constructor(ports: ModelPorts) {
    this.#ports = ports;
  }

  barRead(bar: number, offset: number, bytes: number): number {
    return bar === BAR ? this.#registers.read(offset, bytes) : bytes >= 4 ? 0xffff_ffff : (1 << (8 * bytes)) - 1;
  }

  barReadHigh(bar: number, offset: number): number {
    return bar === BAR ? this.#registers.readHigh(offset) : 0xffff_ffff;
  }

  barWrite(bar: number, offset: number, bytes: number, low: number, high = 0): void {
    if (bar === BAR) this.#registers.write(offset, bytes, low, high);
  }

  operationStarted(): void {}
  operationEnded(): void {}

  dmaEnded(_tag: number, { data, bytesDone }: DmaEnd): void {
    if (data !== undefined) this.#bufferBytes().set(data.subarray(0, bytesDone), this.#registers.low('dmaDestination') - EDU_BUFFER.start);
    this.#endDma();
  }

  alarmRang(id: number): void {
    if (id === ALARM.factorial) this.#endFactorial();
    else this.#startDma();
  }

  reset(): void {
    this.#registers.reset();
    this.#buffer = undefined;
    this.#ports.interrupts.line(false);
  }

  save(): ModelState {
    return { registers: this.#registers.save(), buffer: this.#buffer?.slice() };
  }

  load(state: ModelState): void {
    this.#registers.load(state['registers'] as Uint32Array);
    this.#buffer = (state['buffer'] as Uint8Array | undefined)?.slice();
  }

  #written(name: Name, low: number, high: number): boolean {
    const registers = this.#registers;
    switch (name) {
      case 'liveness':
        registers.set('liveness', ~low);
        return false;
      case 'factorial':
        this.#startFactorial(low);
        return false;
      case 'interruptRaise':
        this.#raise(low);
        return false;
      case 'interruptAcknowledge':
        this.#interrupt(registers.low('interruptStatus') & ~low);
        return false;
      case 'dmaCommand':
        if ((low & EDU_DMA.run) === 0 || this.#isTransferring()) return false;
        registers.set('dmaCommand', low, high);
        this.#ports.alarms.set(ALARM.dma, DMA_DELAY_NS);
        return false;
      case 'dmaSource':
      case 'dmaDestination':
      case 'dmaCount':
        return !this.#isTransferring();
      default:
        return true;
    }
  }

  #isTransferring(): boolean {
    return (this.#registers.low('dmaCommand') & EDU_DMA.run) !== 0;
  }

  #startFactorial(of: number): void {
    const registers = this.#registers;
    const status = registers.low('status');
    if ((status & EDU_STATUS.computing) !== 0) return;
    registers.set('factorial', of);
    registers.set('status', status | EDU_STATUS.computing);
    this.#ports.alarms.set(ALARM.factorial, FACTORIAL_NS);
  }

  #endFactorial(): void {
    const registers = this.#registers;
    const status = registers.low('status') & ~EDU_STATUS.computing;
    registers.set('factorial', factorial(registers.low('factorial')));
    registers.set('status', status);
    if ((status & EDU_STATUS.raise) !== 0) this.#raise(EDU_INTERRUPT.factorial);
  }

  #startDma(): void {
    const registers = this.#registers;
    const toRam = (registers.low('dmaCommand') & EDU_DMA.toRam) !== 0;
    const inBuffer = toRam ? 'dmaSource' : 'dmaDestination';
    const inRam = toRam ? 'dmaDestination' : 'dmaSource';
    const bytes = registers.low('dmaCount');
    const at = registers.low(inBuffer) - EDU_BUFFER.start;
    const fits = registers.high('dmaCount') === 0 && registers.high(inBuffer) === 0 && at >= 0 && at + bytes <= EDU_BUFFER.bytes;
    if (!fits || bytes === 0) {
      this.#endDma();
      return;
    }
    this.#ports.dma.start({
      tag: 0,
      operation: toRam ? 'write' : 'read',
      iovaLow: registers.low(inRam) & (2 ** DMA_ADDRESS_BITS - 1),
      iovaHigh: 0,
      bytes,
      ...(toRam ? { data: this.#bufferBytes().slice(at, at + bytes) } : {}),
      pasid: NO_PASID,
      translated: false,
      pageRequests: false,
    });
  }

  #endDma(): void {
    const registers = this.#registers;
    const command = registers.low('dmaCommand') & ~EDU_DMA.run;
    registers.set('dmaCommand', command, registers.high('dmaCommand'));
    if ((command & EDU_DMA.raise) !== 0) this.#raise(EDU_INTERRUPT.dma);
  }

  #raise(value: number): void {
    const status = (this.#registers.low('interruptStatus') | value) >>> 0;
    this.#interrupt(status);
    if (status !== 0) this.#ports.interrupts.raise(MSI_VECTOR);
  }

  /** The line is asserted as long as there is a value; the machine keeps it low while MSI is enabled. */
  #interrupt(status: number): void {
    this.#registers.set('interruptStatus', status);
    this.#ports.interrupts.line(status !== 0);
  }

  #bufferBytes(): Uint8Array {
    this.#buffer ??= new Uint8Array(EDU_BUFFER.bytes);
    return this.#buffer;
  }
}

/** Modulo 2^32. From 34 on it is 0. */
function factorial(of: number): number {
  let product = 1;
  for (let factor = of; factor > 0 && product !== 0; factor--) product = Math.imul(product, factor);
  return product >>> 0;
}
