/**
 * What the server lets this end have outstanding, and what waits here for it. Calls of one class keep their order; those of a class that has
 * credit pass those of one that has none, because an answer to the latter may need the former.
 */
import { CREDIT_CLASSES, CreditPool, type CreditClass, type iommud } from '../../proto/index.ts';
import { RECEIVE_BUFFER_BYTES_MAX } from '../../proto/limits.ts';
import { Fifo } from './fifo.ts';

/** Part of what a server lets gather unhandled that the calls of one class may have outstanding: all classes together stay below half. */
const SENT_PART = 1 / 8;
/** Calls that wait here for credit, in all classes together. A runaway loop is told before it fills the memory. */
export const WAITING_CALLS_MAX = 1 << 18;

/** What a call takes from its class until its reply. */
export interface Cost {
  readonly creditClass: CreditClass;
  /** Bytes of `data` that the reply may carry. */
  readonly replyBytes: number;
  /** Bytes of `data` of the call. */
  readonly sentBytes: number;
}

export class Credits<T extends Cost> {
  #pool = new CreditPool();
  #sentBytesMax = RECEIVE_BUFFER_BYTES_MAX * SENT_PART;
  /** By class. */
  readonly #sentBytes = Array.from({ length: CREDIT_CLASSES }, () => 0);
  readonly #queues = Array.from({ length: CREDIT_CLASSES }, () => new Fifo<T>());
  #waiting = 0;

  /** Calls that wait for credit. */
  get waiting(): number {
    return this.#waiting;
  }

  /** What Hello gave. No call may be outstanding. */
  grant(credits: readonly iommud.v1.Credit.$Properties[], receiveBytesMax: number = RECEIVE_BUFFER_BYTES_MAX): void {
    this.#pool = new CreditPool(credits);
    this.#sentBytesMax = receiveBytesMax * SENT_PART;
  }

  /** Takes the credit for a call that may go now; false when it has to {@link wait}. */
  take(creditClass: CreditClass, replyBytes: number, sentBytes: number): boolean {
    return this.#queue(creditClass).length === 0 && this.#takeNow(creditClass, replyBytes, sentBytes);
  }

  wait(call: T): void {
    this.#queue(call.creditClass).push(call);
    this.#waiting++;
  }

  /** Gives a call's credit back. */
  give(creditClass: CreditClass, replyBytes: number, sentBytes: number): void {
    this.#pool.give(creditClass, replyBytes);
    if (sentBytes > 0) this.#sentBytes[creditClass] = this.#sent(creditClass) - sentBytes;
  }

  /** The next waiting call of the class that may go now, its credit taken. */
  next(creditClass: CreditClass): T | undefined {
    const queue = this.#queue(creditClass);
    const { first } = queue;
    if (first === undefined || !this.#takeNow(creditClass, first.replyBytes, first.sentBytes)) return undefined;
    queue.shift();
    this.#waiting--;
    return first;
  }

  /** Takes a call that still waits out of the queue. */
  forget(call: T): void {
    if (this.#queue(call.creditClass).remove(call)) this.#waiting--;
  }

  /** Everything that waits, taken out. */
  drain(): T[] {
    this.#waiting = 0;
    return this.#queues.flatMap((queue) => queue.drain());
  }

  #takeNow(creditClass: CreditClass, replyBytes: number, sentBytes: number): boolean {
    if (sentBytes > 0) {
      const sent = this.#sent(creditClass);
      // One alone may be of any size: what is wrong with it is for its sender to be told.
      if (sent > 0 && sent + sentBytes > this.#sentBytesMax) return false;
    }
    if (!this.#pool.take(creditClass, replyBytes)) return false;
    if (sentBytes > 0) this.#sentBytes[creditClass] = this.#sent(creditClass) + sentBytes;
    return true;
  }

  #sent(creditClass: CreditClass): number {
    return this.#sentBytes[creditClass] ?? 0;
  }

  #queue(creditClass: CreditClass): Fifo<T> {
    return this.#queues[creditClass] as Fifo<T>;
  }
}
