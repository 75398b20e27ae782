/**
 * One queue of a dma-probe: fetches descriptors between head and tail, moves what they say, and writes their status back, one after the other. Each DMA ends in
 * {@link ProbeQueue.dmaEnded}, which starts the next.
 */
import { NO_PASID, OUTCOMES, pasid as toPasid, type Pasid } from '../../base/index.ts';
import type { ModelState } from '../model.ts';
import type { DmaEnd, ModelPorts } from '../ports.ts';
import { RegisterMap, registerLayout } from '../register-map.ts';
import {
  advanced,
  asksForInterrupt,
  errorWord,
  readDescriptor,
  readSegments,
  statusBytes,
  wraps,
  type Completion,
  type Descriptor,
  type Segment,
} from './descriptor.ts';
import type { Job, MoveJob } from './job.ts';
import { crc32, patternBytes } from './patterns.ts';
import {
  DESCRIPTOR_BYTES,
  PROBE_QUEUES,
  QUEUE_COMMAND,
  QUEUE_REGISTERS,
  QUEUE_STATE,
  RING_ENTRIES_MAX,
  STATUS_OFFSET,
  VALID,
  type ProbeError,
} from './registers.ts';

const LAYOUT = registerLayout(QUEUE_REGISTERS);
type Name = keyof typeof QUEUE_REGISTERS;

const NOTHING: Job = { doing: 'nothing' };
const RING_PLAIN = { translated: false, pageRequests: false } as const;

export class ProbeQueue {
  readonly #index: number;
  readonly #ports: ModelPorts;
  readonly #registers = new RegisterMap(LAYOUT, (name, low) => this.#written(name, low));
  #job: Job = NOTHING;
  /** Asked for by the descriptor under way. */
  #interrupt = false;
  /** Rises with each DMA, and with an abort: the end of one that is not the last is nobody's. */
  #serial = 0;

  constructor(index: number, ports: ModelPorts) {
    this.#index = index;
    this.#ports = ports;
  }

  read(offset: number, bytes: number): number {
    return this.#registers.read(offset, bytes);
  }
  readHigh(offset: number): number {
    return this.#registers.readHigh(offset);
  }
  write(offset: number, bytes: number, low: number, high: number): void {
    this.#registers.write(offset, bytes, low, high);
  }

  save(): ModelState {
    return { registers: this.#registers.save(), job: this.#job, interrupt: this.#interrupt, serial: this.#serial };
  }

  load(state: ModelState): void {
    this.#registers.load(state['registers'] as Uint32Array);
    this.#job = state['job'] as Job;
    this.#interrupt = state['interrupt'] as boolean;
    this.#serial = state['serial'] as number;
  }

  /** The DMA of this serial number is over. */
  dmaEnded(serial: number, end: DmaEnd): void {
    const job = this.#job;
    if (serial !== this.#serial || job.doing === 'nothing') return;
    if (job.doing === 'fetch') this.#fetched(end);
    else if (job.doing === 'list') this.#listed(job.descriptor, end);
    else if (job.doing === 'move') this.#moved(job, end);
    else this.#statusWritten(job.failed, end);
  }

  get #state(): number {
    return this.#registers.low('state');
  }
  set #state(state: number) {
    this.#registers.set('state', state);
  }

  #runs(): boolean {
    return this.#state !== QUEUE_STATE.stopped && this.#state !== QUEUE_STATE.failed;
  }

  #written(name: Name, low: number): boolean {
    switch (name) {
      case 'command':
        this.#command(low);
        return false;
      case 'ringBase':
      case 'ringEntries':
        return !this.#runs();
      case 'tail':
        this.#doorbell(low);
        return false;
      default:
        return true;
    }
  }

  #command(command: number): void {
    const busy = this.#state === QUEUE_STATE.busy || this.#state === QUEUE_STATE.stopping;
    if (command === QUEUE_COMMAND.start && !this.#runs()) {
      this.#start();
    } else if (command === QUEUE_COMMAND.stop) {
      this.#state = busy ? QUEUE_STATE.stopping : QUEUE_STATE.stopped;
    } else if (command === QUEUE_COMMAND.abort) {
      this.#serial++;
      this.#job = NOTHING;
      this.#state = QUEUE_STATE.stopped;
    } else {
      this.#refuse('invalid-command');
    }
  }

  #start(): void {
    const registers = this.#registers;
    for (const name of ['head', 'tail', 'completed', 'failed', 'error'] as const) registers.set(name, 0);
    const entries = registers.low('ringEntries');
    const ring = { low: registers.low('ringBase') | 0, high: registers.high('ringBase') | 0, bytes: entries * DESCRIPTOR_BYTES };
    if (entries < 2 || entries > RING_ENTRIES_MAX || wraps(ring)) this.#fail('invalid-ring');
    else this.#state = QUEUE_STATE.idle;
  }

  #doorbell(tail: number): void {
    if (tail >= this.#registers.low('ringEntries') || !this.#runs()) {
      this.#refuse('invalid-tail');
      return;
    }
    this.#registers.set('tail', tail);
    if (this.#state === QUEUE_STATE.idle) this.#next();
  }

  /** The next descriptor, or rest. */
  #next(): void {
    this.#job = NOTHING;
    if (this.#state === QUEUE_STATE.stopping) {
      this.#state = QUEUE_STATE.stopped;
    } else if (this.#registers.low('head') === this.#registers.low('tail')) {
      this.#state = QUEUE_STATE.idle;
    } else {
      this.#state = QUEUE_STATE.busy;
      this.#job = { doing: 'fetch' };
      this.#dma('read', this.#inRing(0, DESCRIPTOR_BYTES), undefined, this.#queuePasid(), RING_PLAIN);
    }
  }

  #fetched({ outcome, data }: DmaEnd): void {
    if (outcome !== 'performed' || data === undefined) {
      this.#fail('ring-unreadable', OUTCOMES.indexOf(outcome));
      return;
    }
    this.#interrupt = asksForInterrupt(data);
    const descriptor = readDescriptor(data);
    if (typeof descriptor === 'string') {
      this.#refuseDescriptor(descriptor);
    } else if (descriptor.scatter) {
      this.#job = { doing: 'list', descriptor };
      this.#dma('read', descriptor.place, undefined, this.#queuePasid(), RING_PLAIN);
    } else {
      this.#move(descriptor, [descriptor.place]);
    }
  }

  #listed(descriptor: Descriptor, { outcome, bytesDone, data }: DmaEnd): void {
    if (outcome !== 'performed' || data === undefined) {
      const notMoved = advanced(descriptor.place, bytesDone);
      this.#finish({ error: 'list-unreadable', outcome: OUTCOMES.indexOf(outcome), bytesDone: 0, checksum: 0, notMoved });
      return;
    }
    const segments = readSegments(data);
    if (typeof segments === 'string') this.#refuseDescriptor(segments);
    else this.#move(descriptor, segments);
  }

  #move(descriptor: Descriptor, segments: readonly Segment[]): void {
    const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
    const data = descriptor.writes ? patternBytes(descriptor.pattern, descriptor.seed, bytes) : undefined;
    this.#moveSegment({ doing: 'move', descriptor, segments, index: 0, data, bytesDone: 0, checksum: 0 });
  }

  #moveSegment(job: MoveJob): void {
    const { descriptor, segments, index, data, bytesDone } = job;
    const segment = segments[index]!;
    const own = descriptor.pasid === undefined ? this.#queuePasid() : toPasid(descriptor.pasid);
    this.#job = job;
    this.#dma(data === undefined ? 'read' : 'write', segment, data?.subarray(bytesDone, bytesDone + segment.bytes), own, descriptor);
  }

  #moved(job: MoveJob, end: DmaEnd): void {
    const bytes = job.data?.subarray(job.bytesDone, job.bytesDone + end.bytesDone) ?? end.data;
    const checksum = bytes === undefined ? job.checksum : crc32(job.checksum, bytes);
    const bytesDone = job.bytesDone + end.bytesDone;
    const index = job.index + 1;
    if (end.outcome !== 'performed') {
      const notMoved = advanced(job.segments[job.index]!, end.bytesDone);
      this.#finish({ error: 'transfer-failed', outcome: OUTCOMES.indexOf(end.outcome), bytesDone, checksum, notMoved });
    } else if (index < job.segments.length) {
      this.#moveSegment({ ...job, index, bytesDone, checksum });
    } else {
      this.#finish({ error: 'none', outcome: 0, bytesDone, checksum, notMoved: undefined });
    }
  }

  #refuseDescriptor(error: ProbeError): void {
    this.#finish({ error, outcome: 0, bytesDone: 0, checksum: 0, notMoved: undefined });
  }

  #finish(end: Omit<Completion, 'sequence'>): void {
    const sequence = (this.#registers.low('completed') + 1) >>> 0;
    const data = statusBytes({ ...end, sequence });
    this.#job = { doing: 'status', failed: end.error !== 'none' };
    this.#dma('write', this.#inRing(STATUS_OFFSET, data.byteLength), data, this.#queuePasid(), RING_PLAIN);
  }

  #statusWritten(failed: boolean, { outcome }: DmaEnd): void {
    const registers = this.#registers;
    if (outcome !== 'performed') {
      this.#fail('status-unwritable', OUTCOMES.indexOf(outcome));
      return;
    }
    registers.count('completed');
    if (failed) registers.count('failed');
    registers.set('head', (registers.low('head') + 1) % registers.low('ringEntries'));
    if (this.#interrupt) this.#raise();
    this.#next();
  }

  #fail(error: ProbeError, outcome = 0): void {
    this.#registers.set('error', errorWord(error, outcome));
    this.#job = NOTHING;
    this.#state = QUEUE_STATE.failed;
    this.#raise();
  }

  #refuse(error: ProbeError): void {
    this.#registers.set('error', errorWord(error, 0));
  }

  #raise(): void {
    const vector = this.#registers.low('vector');
    if ((vector & VALID) !== 0) this.#ports.interrupts.raise(vector & ~VALID);
  }

  #queuePasid(): Pasid {
    const value = this.#registers.low('pasid');
    return (value & VALID) === 0 ? NO_PASID : toPasid(value & ~VALID);
  }

  /** Bytes of the descriptor at the head. */
  #inRing(offset: number, bytes: number): Segment {
    const registers = this.#registers;
    const ring = { low: registers.low('ringBase') | 0, high: registers.high('ringBase') | 0, bytes: 0 };
    return { ...advanced(ring, registers.low('head') * DESCRIPTOR_BYTES + offset), bytes };
  }

  #dma(
    operation: 'read' | 'write',
    { low, high, bytes }: Segment,
    data: Uint8Array | undefined,
    pasid: Pasid,
    { translated, pageRequests }: Pick<Descriptor, 'translated' | 'pageRequests'>,
  ): void {
    const tag = ++this.#serial * PROBE_QUEUES + this.#index;
    const payload = data === undefined ? {} : { data };
    this.#ports.dma.start({ tag, operation, iovaLow: low, iovaHigh: high, bytes, ...payload, pasid, translated, pageRequests });
  }
}
