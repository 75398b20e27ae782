import { CREDIT_CLASSES, CreditPool, creditClass, replyBytes, type CreditClass } from '../../../proto/index.ts';

/** Credits of the calls whose replies are in one packet: they come back when it has left the send buffer. */
export interface Settled {
  readonly calls: readonly number[];
  readonly bytes: readonly number[];
}

interface Pending {
  readonly number: number;
  readonly class: CreditClass;
  readonly bytes: number;
}

/** One for each of the CREDIT_CLASSES. Made for every packet, where `Array.from` with a function was one of the dearest things in a lone call. */
const zeros = (): number[] => [0, 0, 0, 0, 0];

/**
 * The peer's calls that have no reply yet, and the credits that they hold. The call that is being served is kept in fields: most have their
 * reply before serving returns, and then never enter the table.
 */
export class CallTable {
  readonly #credits = new CreditPool();
  readonly #pending = new Map<number, Pending>();
  #id = 0;
  #number = 0;
  #class: CreditClass = 0;
  #bytes = 0;
  #settledCalls = zeros();
  #settledBytes = zeros();

  /** Calls without a reply, besides the one that is being served. */
  get size(): number {
    return this.#pending.size;
  }

  /** The ids of those calls. */
  ids(): number[] {
    return [...this.#pending.keys()];
  }

  /** The id of each of those calls and the field number of its request. */
  pending(): readonly { readonly id: number; readonly body: number }[] {
    return Array.from(this.#pending, ([id, { number }]) => ({ id, body: number }));
  }

  /** The id of the call that is being served and has no reply; 0 for none, and for one that is posted. */
  get serving(): number {
    return this.#id;
  }

  /** Starts to serve a call. Undefined, or what is wrong with it: then the connection must be closed. */
  accept(id: number, number: number, body: object | undefined): 'in-use' | 'no-credit' | undefined {
    if (id !== 0) {
      if (this.#pending.has(id)) return 'in-use';
      this.#class = creditClass(number);
      this.#bytes = body === undefined ? 0 : replyBytes(number, body);
      if (!this.#credits.take(this.#class, this.#bytes)) return 'no-credit';
    }
    this.#id = id;
    this.#number = number;
    return undefined;
  }

  /** Serving has returned: a call that has no reply yet waits for it from now on. */
  served(): void {
    if (this.#id === 0) return;
    this.#pending.set(this.#id, { number: this.#number, class: this.#class, bytes: this.#bytes });
    this.#id = 0;
  }

  /** The call gets its reply now. Its body number; 0 when there is no such call, or it is posted or has its reply. */
  take(id: number): number {
    if (id === 0) return 0;
    if (id === this.#id) {
      this.#id = 0;
      this.#settle(this.#class, this.#bytes);
      return this.#number;
    }
    const call = this.#pending.get(id);
    if (call === undefined) return 0;
    this.#pending.delete(id);
    this.#settle(call.class, call.bytes);
    return call.number;
  }

  /** The calls that got their replies since this was last asked. */
  takeSettled(): Settled {
    const settled = { calls: this.#settledCalls, bytes: this.#settledBytes };
    this.#settledCalls = zeros();
    this.#settledBytes = zeros();
    return settled;
  }

  giveBack(settled: Settled): void {
    for (let at = 1; at < CREDIT_CLASSES; at++) this.#credits.giveMany(at, settled.calls[at] ?? 0, settled.bytes[at] ?? 0);
  }

  clear(): void {
    this.#pending.clear();
    this.#id = 0;
  }

  #settle(at: CreditClass, bytes: number): void {
    this.#settledCalls[at] = (this.#settledCalls[at] ?? 0) + 1;
    if (bytes > 0) this.#settledBytes[at] = (this.#settledBytes[at] ?? 0) + bytes;
  }
}
