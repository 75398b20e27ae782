import { BODY } from '../../../proto/index.ts';
import { INTERRUPTS_HELD_MAX } from '../../../proto/limits.ts';
import type { TraceRecord } from '../core/base/index.ts';
import type { MachineEvent } from '../core/machine/index.ts';
import { eventBody, eventNumber, traceBody } from './encode.ts';
import type { EventClassName } from './enums.ts';

type Interrupt = Extract<MachineEvent, { kind: 'interrupt' | 'intx' }>;

const NUMBER_MAX = 0xffff_ffff;

/** What a feed needs of its session. */
export interface FeedPort {
  /** False while the receiver has too much to read already. */
  hasRoom(): boolean;
  /** Sends an event with this id (0: not numbered) and body. */
  event(id: number, number: number, body: object): void;
  lost(count: number): void;
  /** There may be room again; true: there is, and what was held back follows. */
  resumes(): boolean;
}

/**
 * The events of one connection: chosen classes, numbered from 1. While there is no room, interrupts that differ in nothing but their time become
 * one with a count, of a function's INTx the last is kept, and other events are dropped; `lost {from, to}` tells which numbers never came.
 */
export class EventFeed {
  readonly #port: FeedPort;
  #classes: ReadonlySet<EventClassName> = new Set();
  #next = 1;
  #lostFrom = 0;
  #lostTo = 0;
  readonly #held = new Map<string, Interrupt>();

  constructor(port: FeedPort) {
    this.#port = port;
  }

  /** The number that the next event will have. */
  get nextNumber(): number {
    return this.#next;
  }

  choose(classes: Iterable<EventClassName>): void {
    this.#classes = new Set(classes);
    if (!this.#classes.has('interrupt')) this.#held.clear();
  }

  wants(name: EventClassName): boolean {
    return this.#classes.has(name);
  }

  machine(event: MachineEvent): void {
    const isInterrupt = event.kind === 'interrupt' || event.kind === 'intx';
    if (!this.#classes.has(isInterrupt ? 'interrupt' : event.kind)) return;
    if (this.#catchUp()) this.#send(eventNumber(event), eventBody(event));
    else if (isInterrupt) this.#hold(event);
    else this.#drop();
  }

  trace(record: TraceRecord): void {
    if (!this.#classes.has('trace')) return;
    if (this.#catchUp()) this.#send(BODY.traceEvent, traceBody(record));
    else this.#drop();
  }

  /** To be called when the receiver has read on. */
  resume(): void {
    if ((this.#lostFrom !== 0 || this.#held.size > 0) && this.#port.resumes()) this.#catchUp();
  }

  /** Sends what was held back, as far as there is room; true when there is room for more. */
  #catchUp(): boolean {
    if (!this.#port.hasRoom()) return false;
    if (this.#lostFrom !== 0) {
      const lost = { from: this.#lostFrom, to: this.#lostTo };
      this.#lostFrom = 0;
      this.#port.event(0, BODY.lost, lost);
    }
    for (const [key, interrupt] of this.#held) {
      if (!this.#port.hasRoom()) return false;
      this.#held.delete(key);
      this.#send(eventNumber(interrupt), eventBody(interrupt));
    }
    return true;
  }

  #hold(event: Interrupt): void {
    const key = keyOf(event);
    const held = this.#held.get(key);
    if (held === undefined && this.#held.size >= INTERRUPTS_HELD_MAX) this.#drop();
    else
      this.#held.set(key, held?.kind === 'interrupt' && event.kind === 'interrupt' ? { ...event, count: held.count + event.count } : event);
  }

  #drop(): void {
    const number = this.#takeNumber();
    if (this.#lostFrom === 0) this.#lostFrom = number;
    this.#lostTo = number;
    this.#port.lost(1);
  }

  #send(number: number, body: object): void {
    this.#port.event(this.#takeNumber(), number, body);
  }

  #takeNumber(): number {
    const number = this.#next;
    this.#next = number === NUMBER_MAX ? 1 : number + 1;
    return number;
  }
}

/** Equal for those of which one stands for all. */
function keyOf(event: Interrupt): string {
  if (event.kind === 'intx') return `${event.bdf} intx`;
  const { bdf, address, data, source = '', remapped } = event;
  const to = remapped === undefined ? '' : `${remapped.index} ${remapped.vector} ${remapped.destination}`;
  return `${bdf} ${address} ${data} ${source} ${to}`;
}
