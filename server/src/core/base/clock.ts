/**
 * The machine's clock: integer nanoseconds that move only when the machine is told to. Alarms ring in (time, sequence)
 * order. The range of a safe integer is 104 days.
 */
import { assert } from './model-error.ts';
import type { StateFields } from './saved-state.ts';

export interface Alarm {
  readonly atNs: number;
  readonly sequence: number;
  /** Who set it: the machine dispatches on this, so an alarm is data and a snapshot can hold it. */
  readonly owner: AlarmOwner;
  readonly id: number;
}

/**
 * What an alarm wakes: an operation's own timer, an ITag's timeout, a held request, a function's readiness, the completions that it gathers, a domain's
 * flush queue, a function's model.
 */
export type AlarmOwner = 'operation' | 'invalidation' | 'request' | 'function' | 'gathered' | 'flush-queue' | 'model';

export const TIME_NS_MAX = Number.MAX_SAFE_INTEGER;

/** Cancelled alarms that are kept, at least: taking them out costs a pass over all. */
const COMPACT_FROM = 1024;

export class Clock {
  #nowNs = 0;
  #sequence = 0;
  /** Binary heap by (time, sequence). */
  #heap: Alarm[] = [];
  readonly #cancelled = new Set<number>();

  get nowNs(): number {
    return this.#nowNs;
  }

  /** Sets an alarm `delayNs` from now and returns its sequence number, which cancels it. */
  set(delayNs: number, owner: AlarmOwner, id: number): number {
    const atNs = Math.min(this.#nowNs + delayNs, TIME_NS_MAX);
    assert(Number.isSafeInteger(atNs) && delayNs >= 0, `alarm ${delayNs} ns from now`);
    const alarm = { atNs, sequence: ++this.#sequence, owner, id };
    this.#heap.push(alarm);
    this.#up(this.#heap.length - 1);
    return alarm.sequence;
  }

  cancel(sequence: number): void {
    if (sequence === 0) return;
    this.#cancelled.add(sequence);
    if (this.#cancelled.size > COMPACT_FROM && this.#cancelled.size * 2 > this.#heap.length) this.#compact();
  }

  /** Alarms that it holds, cancelled ones among them. */
  get size(): number {
    return this.#heap.length;
  }

  /** The next alarm, or undefined when none is set. It stays. */
  peek(): Alarm | undefined {
    this.#dropCancelled();
    return this.#heap[0];
  }

  /** The next alarm's time, or undefined when none is set. */
  nextNs(): number | undefined {
    return this.peek()?.atNs;
  }

  /** Moves to `toNs` (never back) without ringing anything: the caller has taken all alarms up to it. */
  moveTo(toNs: number): void {
    if (toNs > this.#nowNs) this.#nowNs = toNs;
  }

  /** Takes the next alarm that is due at or before `untilNs`, and moves the clock to it. */
  take(untilNs: number): Alarm | undefined {
    const first = this.peek();
    if (first === undefined || first.atNs > untilNs) return undefined;
    this.#removeFirst();
    this.moveTo(first.atNs);
    return first;
  }

  state(fields: StateFields): void {
    this.#nowNs = fields.field('nowNs', this.#nowNs);
    this.#sequence = fields.field('sequence', this.#sequence);
    this.#heap = fields.field('heap', this.#heap);
    fields.keep('cancelled', this.#cancelled);
  }

  #dropCancelled(): void {
    if (this.#cancelled.size === 0) return;
    for (let first = this.#heap[0]; first !== undefined && this.#cancelled.delete(first.sequence); first = this.#heap[0]) {
      this.#removeFirst();
    }
    if (this.#heap.length === 0) this.#cancelled.clear();
  }

  /** Takes every cancelled alarm out. A sorted array is a heap. */
  #compact(): void {
    this.#heap = this.#heap.filter((alarm) => !this.#cancelled.has(alarm.sequence)).sort((a, b) => (before(a, b) ? -1 : 1));
    this.#cancelled.clear();
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last !== undefined && this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#down();
    }
  }

  #up(start: number): void {
    let i = start;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(this.#heap[i]!, this.#heap[parent]!)) return;
      this.#swap(i, parent);
      i = parent;
    }
  }

  #down(): void {
    let i = 0;
    for (;;) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < this.#heap.length && before(this.#heap[child]!, this.#heap[least]!)) least = child;
      }
      if (least === i) return;
      this.#swap(i, least);
      i = least;
    }
  }

  #swap(a: number, b: number): void {
    const kept = this.#heap[a]!;
    this.#heap[a] = this.#heap[b]!;
    this.#heap[b] = kept;
  }
}

function before(a: Alarm, b: Alarm): boolean {
  return a.atNs < b.atNs || (a.atNs === b.atNs && a.sequence < b.sequence);
}
