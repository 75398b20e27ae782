import { BODY } from '../../../proto/index.ts';
import { INTERRUPTS_HELD_MAX } from '../../../proto/limits.ts';
import type { TraceRecord } from '../core/base/index.ts';
import type { MachineEvent } from '../core/machine/index.ts';
import { eventBody, eventNumber, traceBody } from './encode.ts';
import type { EventClassName } from './enums.ts';

type Interrupt = Extract<MachineEvent, { kind: 'interrupt' }>;

const NUMBER_MAX = 0xffff_ffff;

/** What a feed needs of its session. */
export interface FeedPort {
  /** False while the receiver has too much to read already. */
  hasRoom(): boolean;
  /** Sends an event with this id (0: not numbered) and body. */
  event(id: number, number: number, body: object): void;
  lost(count: number): void;
}

/**
 * The events of one connection: chosen classes, numbered from 1. While there is no room, interrupts of one function, address and data become
 * one with a count, and the others are dropped; `lost {from, to}` tells which numbers never came.
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
    if (!this.#classes.has(event.kind)) return;
    if (this.#catchUp()) this.#send(eventNumber(event), eventBody(event));
    else if (event.kind === 'interrupt') this.#hold(event);
    else this.#drop();
  }

  trace(record: TraceRecord): void {
    if (!this.#classes.has('trace')) return;
    if (this.#catchUp()) this.#send(BODY.traceEvent, traceBody(record));
    else this.#drop();
  }

  /** To be called when the receiver has read on. */
  resume(): void {
    if (this.#lostFrom !== 0 || this.#held.size > 0) this.#catchUp();
  }

  /** Sends what was held back, as far as there is room; true when there is room for more. */
  #catchUp(): boolean {
    if (!this.#port.hasRoom()) return false;
    if (this.#lostFrom !== 0) {
      this.#port.event(0, BODY.lost, { from: this.#lostFrom, to: this.#lostTo });
      this.#lostFrom = 0;
    }
    for (const [key, interrupt] of this.#held) {
      if (!this.#port.hasRoom()) return false;
      this.#held.delete(key);
      this.#send(BODY.interruptEvent, eventBody(interrupt));
    }
    return true;
  }

  #hold(event: Interrupt): void {
    const key = `${event.bdf} ${event.address} ${event.data}`;
    const held = this.#held.get(key);
    if (held === undefined && this.#held.size >= INTERRUPTS_HELD_MAX) this.#drop();
    else this.#held.set(key, held === undefined ? event : { ...event, count: held.count + event.count });
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
