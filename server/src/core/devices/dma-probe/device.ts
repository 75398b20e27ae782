import { Atc } from '../atc.ts';
import type { FunctionModel, ModelState } from '../model.ts';
import { PageRequester } from '../page-requester.ts';
import type { DmaEnd, ModelPorts } from '../ports.ts';
import { RegisterMap, registerLayout } from '../register-map.ts';
import { ProbeQueue } from './queue.ts';
import { PROBE_QUEUES, PROBE_REGISTERS, QUEUE_BLOCK } from './registers.ts';

const BAR = 0;
const ALL_ONES = 0xffff_ffff;
const LAYOUT = registerLayout(PROBE_REGISTERS);

/** The function that exists to provoke DMA: it does what its queues' descriptors and `model-dma` say, and keeps an ATC. */
export class DmaProbe implements FunctionModel {
  readonly name = 'dma-probe';
  readonly atc = new Atc();
  readonly pageRequester = new PageRequester();
  readonly initiatesDma = true;
  readonly #registers = new RegisterMap(LAYOUT, () => true);
  readonly #ports: ModelPorts;
  /** By number; made when they are first used, for most probes are only told what to do by `model-dma`. */
  readonly #queues = new Map<number, ProbeQueue>();

  constructor(ports: ModelPorts) {
    this.#ports = ports;
  }

  barRead(bar: number, offset: number, bytes: number): number {
    if (bar !== BAR) return (ALL_ONES >>> (32 - 8 * Math.min(bytes, 4))) >>> 0;
    return this.#queueAt(offset)?.read(inQueue(offset), bytes) ?? this.#registers.read(offset, bytes);
  }

  barReadHigh(bar: number, offset: number): number {
    if (bar !== BAR) return ALL_ONES;
    return this.#queueAt(offset)?.readHigh(inQueue(offset)) ?? this.#registers.readHigh(offset);
  }

  barWrite(bar: number, offset: number, bytes: number, low: number, high = 0): void {
    if (bar !== BAR) return;
    const queue = this.#queueAt(offset);
    if (queue === undefined) this.#registers.write(offset, bytes, low, high);
    else queue.write(inQueue(offset), bytes, low, high);
  }

  operationStarted(): void {
    this.#registers.count('started');
  }
  operationEnded(): void {
    this.#registers.count('ended');
  }

  dmaEnded(tag: number, end: DmaEnd): void {
    this.#queues.get(tag % PROBE_QUEUES)?.dmaEnded(Math.floor(tag / PROBE_QUEUES), end);
  }

  /** It sets none. */
  alarmRang(): void {}

  reset(): void {
    this.#registers.reset();
    this.#queues.clear();
  }

  save(): ModelState {
    return { registers: this.#registers.save(), queues: [...this.#queues].map(([index, queue]) => ({ index, ...queue.save() })) };
  }

  load(state: ModelState): void {
    this.#registers.load(state['registers'] as Uint32Array);
    this.#queues.clear();
    for (const queue of state['queues'] as readonly ModelState[]) this.#queue(queue['index'] as number).load(queue);
  }

  #queueAt(offset: number): ProbeQueue | undefined {
    const index = Math.floor((offset - QUEUE_BLOCK.first) / QUEUE_BLOCK.each);
    return index < 0 || index >= PROBE_QUEUES ? undefined : this.#queue(index);
  }

  #queue(index: number): ProbeQueue {
    let queue = this.#queues.get(index);
    if (queue === undefined) this.#queues.set(index, (queue = new ProbeQueue(index, this.#ports)));
    return queue;
  }
}

function inQueue(offset: number): number {
  return (offset - QUEUE_BLOCK.first) % QUEUE_BLOCK.each;
}
