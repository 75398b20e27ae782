/** One queue: fetches descriptors between head and tail, moves what they say, and writes their status back, one after the other. */
import { IommudError, type Outcome, type RunningFunction } from 'iommud';
import {
  asksForInterrupt,
  readDescriptor,
  readSegments,
  statusBytes,
  wraps,
  type Descriptor,
  type Ended,
  type Segment,
} from './descriptor.ts';
import type { Move, Moved } from './mover.ts';
import { crc32, patternBytes } from './pattern.ts';
import { RegisterFile } from './register-file.ts';
import {
  COMMAND,
  DESCRIPTOR_BYTES,
  QUEUE_REGISTERS,
  RING_ENTRIES_MAX,
  STATE,
  STATUS_OFFSET,
  VALID,
  errorWord,
  type ProbeError,
} from './registers.ts';

type Fn = RunningFunction<unknown>;
/** The probe's way to move data. */
export type MoveData = (fn: Fn, move: Move) => Promise<Moved>;

export class Queue {
  readonly registers = new RegisterFile(QUEUE_REGISTERS, (name, value) => this.#written(name, Number(value)));
  readonly #move: MoveData;
  /** Rises with an abort and with each time that it begins to work: whoever works under another one stops. */
  #work = 0;
  /** What a write has set going, for whoever has a function to do it with. */
  #todo: ((fn: Fn) => Promise<void>) | undefined;

  constructor(move: MoveData) {
    this.#move = move;
  }

  /** The work goes on behind the write: what it does on the bus may be held there. */
  write(fn: Fn, offset: number, bytes: number, value: bigint): void {
    this.registers.write(offset, bytes, value);
    const todo = this.#todo;
    this.#todo = undefined;
    if (todo !== undefined) void fn.run(todo);
  }

  get #runs(): boolean {
    const state = this.registers.get('state');
    return state !== STATE.stopped && state !== STATE.failed;
  }

  #written(name: keyof typeof QUEUE_REGISTERS, value: number): boolean {
    if (name === 'command') this.#command(value);
    else if (name === 'tail') this.#doorbell(value);
    else return (name !== 'ringBase' && name !== 'ringEntries') || !this.#runs;
    return false;
  }

  #command(command: number): void {
    const { registers } = this;
    const state = registers.get('state');
    if (command === COMMAND.start && !this.#runs) {
      this.#start();
    } else if (command === COMMAND.stop) {
      registers.set('state', state === STATE.busy || state === STATE.stopping ? STATE.stopping : STATE.stopped);
    } else if (command === COMMAND.abort) {
      this.#work++;
      registers.set('state', STATE.stopped);
    } else {
      registers.set('error', errorWord('invalid-command'));
    }
  }

  #start(): void {
    const { registers } = this;
    for (const name of ['head', 'tail', 'completed', 'failed', 'error'] as const) registers.set(name, 0);
    const entries = registers.get('ringEntries');
    const ring = { iova: registers.whole('ringBase'), bytes: entries * DESCRIPTOR_BYTES };
    if (entries < 2 || entries > RING_ENTRIES_MAX || wraps(ring)) this.#todo = async (fn) => void (await this.#fail(fn, 'invalid-ring'));
    registers.set('state', this.#todo === undefined ? STATE.idle : STATE.failed);
  }

  #doorbell(tail: number): void {
    const { registers } = this;
    if (tail >= registers.get('ringEntries') || !this.#runs) {
      registers.set('error', errorWord('invalid-tail'));
      return;
    }
    registers.set('tail', tail);
    if (registers.get('state') !== STATE.idle || tail === registers.get('head')) return;
    registers.set('state', STATE.busy);
    this.#todo = (fn) => this.#doAll(fn, ++this.#work);
  }

  async #doAll(fn: Fn, work: number): Promise<void> {
    const { registers } = this;
    while (await this.#doOne(fn, work)) {
      const stopping = registers.get('state') === STATE.stopping;
      if (stopping) registers.set('state', STATE.stopped);
      else if (registers.get('head') === registers.get('tail')) registers.set('state', STATE.idle);
      else continue;
      return;
    }
  }

  /** The descriptor at the head. False: it has been aborted, or the queue has failed. */
  async #doOne(fn: Fn, work: number): Promise<boolean> {
    const { registers } = this;
    const fetched = await this.#ring(fn, 0, DESCRIPTOR_BYTES);
    if (work !== this.#work) return false;
    if (fetched.outcome !== 'performed' || fetched.data === undefined) return this.#fail(fn, 'ring-unreadable', fetched.outcome);
    const interrupt = asksForInterrupt(fetched.data);
    const ended = await this.#do(fn, work, readDescriptor(fetched.data));
    if (ended === undefined) return false;
    const status = statusBytes(ended, (registers.get('completed') + 1) >>> 0);
    const { outcome } = await this.#ring(fn, STATUS_OFFSET, status.length, status);
    if (work !== this.#work) return false;
    if (outcome !== 'performed') return this.#fail(fn, 'status-unwritable', outcome);
    registers.count('completed');
    if (ended.error !== 'none') registers.count('failed');
    registers.set('head', (registers.get('head') + 1) % registers.get('ringEntries'));
    if (interrupt) await this.#raise(fn);
    return work === this.#work;
  }

  /** Undefined: it has been aborted. */
  async #do(fn: Fn, work: number, descriptor: Descriptor | ProbeError): Promise<Ended | undefined> {
    if (typeof descriptor === 'string') return refused(descriptor);
    let segments: readonly Segment[] | ProbeError = [descriptor.place];
    if (descriptor.scatter) {
      const list = await this.#move(fn, { ...descriptor.place, pasid: this.#pasid });
      if (work !== this.#work) return undefined;
      if (list.outcome !== 'performed' || list.data === undefined) {
        const failedAddress = descriptor.place.iova + BigInt(list.bytes);
        return { error: 'list-unreadable', outcome: list.outcome, bytesDone: 0, checksum: 0, failedAddress };
      }
      segments = readSegments(list.data);
    }
    return typeof segments === 'string' ? refused(segments) : this.#moveAll(fn, work, descriptor, segments);
  }

  async #moveAll(fn: Fn, work: number, descriptor: Descriptor, segments: readonly Segment[]): Promise<Ended | undefined> {
    const { writes, pattern, seed, translated, pageRequests, pasid = this.#pasid } = descriptor;
    const total = segments.reduce((sum, { bytes }) => sum + bytes, 0);
    const all = writes ? patternBytes(pattern, seed, total) : undefined;
    let [bytesDone, checksum] = [0, 0];
    for (const { iova, bytes } of segments) {
      const data = all?.subarray(bytesDone, bytesDone + bytes);
      const moved = await this.#move(fn, { iova, bytes, data, pasid, translated, pageRequests });
      if (work !== this.#work) return undefined;
      checksum = crc32(checksum, data?.subarray(0, moved.bytes) ?? moved.data ?? new Uint8Array(0));
      bytesDone += moved.bytes;
      const failedAddress = iova + BigInt(moved.bytes);
      if (moved.outcome !== 'performed') return { error: 'transfer-failed', outcome: moved.outcome, bytesDone, checksum, failedAddress };
    }
    return { error: 'none', outcome: 'performed', bytesDone, checksum, failedAddress: undefined };
  }

  async #fail(fn: Fn, error: ProbeError, outcome?: Outcome): Promise<false> {
    this.registers.set('error', errorWord(error, outcome));
    this.registers.set('state', STATE.failed);
    await this.#raise(fn);
    return false;
  }

  async #raise(fn: Fn): Promise<void> {
    const vector = this.registers.get('vector');
    if ((vector & VALID) === 0) return;
    try {
      await fn.interrupt(vector & ~VALID);
    } catch (error) {
      // A driver may name a vector that the function does not have: nothing is raised.
      if (!(error instanceof IommudError && error.code === 'EINVAL')) throw error;
    }
  }

  get #pasid(): number | undefined {
    const pasid = this.registers.get('pasid');
    return (pasid & VALID) === 0 ? undefined : pasid & ~VALID;
  }

  /** Bytes of the descriptor at the head: read, or written. */
  #ring(fn: Fn, offset: number, bytes: number, data?: Uint8Array): Promise<Moved> {
    const { registers } = this;
    const iova = registers.whole('ringBase') + BigInt(registers.get('head') * DESCRIPTOR_BYTES + offset);
    return this.#move(fn, { iova, bytes, data, pasid: this.#pasid });
  }
}

function refused(error: ProbeError): Ended {
  return { error, outcome: 'performed', bytesDone: 0, checksum: 0, failedAddress: undefined };
}
