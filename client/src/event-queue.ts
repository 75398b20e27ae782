import { CLIENT_EVENTS_MAX } from '../../proto/limits.ts';
import type { CallOptions } from './ask.ts';
import { IommudError, failure, type Failure } from './errors.ts';
import { Fifo } from './fifo.ts';
import { cancelled } from './outgoing-calls.ts';

type Settle<T> = (outcome: { readonly failed: false; readonly event: T } | Failure) => void;

/**
 * Events of one kind, oldest first, from the moment of the connection on. Each event is given to one taker: `next()`, or
 * `for await (const event of queue)`. When nobody takes them, the newest `CLIENT_EVENTS_MAX` are kept and the others counted in
 * {@link lost}.
 */
export class EventQueue<T> implements AsyncIterable<T> {
  readonly #events = new Fifo<T>();
  readonly #takers = new Fifo<Settle<T>>();
  readonly #most: number;
  #lost = 0;
  #ended: Failure | undefined;

  constructor(most: number = CLIENT_EVENTS_MAX) {
    this.#most = most;
  }

  /** Events that are waiting to be taken. */
  get length(): number {
    return this.#events.length;
  }

  /**
   * Events that are known to be missing: dropped here because nobody took them, or by the server because this client did not read. The server
   * counts over all kinds of events, so what it dropped is counted in every queue.
   */
  get lost(): number {
    return this.#lost;
  }

  /** The next event. Rejects with ECONNRESET when the connection is closed and every event has been taken, or with ECANCELED. */
  async next(options?: CallOptions): Promise<T> {
    const outcome = await this.#take(options?.signal);
    if (outcome.failed) throw new IommudError(outcome);
    return outcome.event;
  }

  /** Takes everything that is waiting, without waiting for more. */
  take(): T[] {
    return this.#events.drain();
  }

  /** Ends when the connection is closed, or when it is left, also while it waits. */
  [Symbol.asyncIterator](): AsyncIterator<T, undefined, undefined> {
    const left = new AbortController();
    return {
      next: async () => {
        const outcome = await this.#take(left.signal);
        return outcome.failed ? { done: true, value: undefined } : { done: false, value: outcome.event };
      },
      return: () => {
        left.abort();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  put(event: T): void {
    const taker = this.#takers.shift();
    if (taker !== undefined) {
      taker({ failed: false, event });
      return;
    }
    if (this.#events.length >= this.#most) {
      this.#events.shift();
      this.#lost++;
    }
    this.#events.push(event);
  }

  /** Counts events that the server dropped. */
  miss(events: number): void {
    this.#lost += events;
  }

  end(why: string): void {
    this.#ended ??= failure('ECONNRESET', `no more events: ${why}`);
    for (const taker of this.#takers.drain()) taker(this.#ended);
  }

  #take(signal: AbortSignal | undefined): Promise<Parameters<Settle<T>>[0]> {
    if (signal?.aborted === true) return Promise.resolve(cancelled(signal));
    if (this.#events.length > 0) return Promise.resolve({ failed: false, event: this.#events.shift() as T });
    if (this.#ended !== undefined) return Promise.resolve(this.#ended);
    return new Promise((resolve) => {
      const abort = (): void => {
        this.#takers.remove(taker);
        if (signal !== undefined) resolve(cancelled(signal));
      };
      const taker: Settle<T> = (outcome) => {
        signal?.removeEventListener('abort', abort);
        resolve(outcome);
      };
      signal?.addEventListener('abort', abort);
      this.#takers.push(taker);
    });
  }
}
