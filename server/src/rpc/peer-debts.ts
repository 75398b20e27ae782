import { CREDIT_CLASSES, CreditPool, creditClass, replyBytes, type CreditClass, type iommud } from '../../../proto/index.ts';
import { PEER_CALLS_QUEUED_MAX } from '../../../proto/limits.ts';
import type { PeerAnswer, PeerCall } from '../core/machine/index.ts';
import { bodyName } from './body-names.ts';
import { Fifo } from './fifo.ts';
import { answerMs, peerAnswer, peerCallBody, peerCallData, peerCallNumber } from './peer-calls.ts';

const ID_MAX = 0xffff_ffff;

/** What the debts of a peer need of its session. */
export interface DebtPort {
  /** `token`: the machine's number of it; 0: nobody answers it. */
  call(id: number, token: number, number: number, body: object, data: Uint8Array | undefined): void;
  /** It owes an answer for longer than the watchdog allows. */
  silent(): void;
  /** More calls wait for its credits than are kept. */
  overrun(): void;
}

interface Debt {
  readonly token: number;
  readonly number: number;
  readonly class: CreditClass;
  readonly bytes: number;
  readonly sinceMs: number;
  /** When it is owed for too long. */
  readonly dueMs: number;
}

interface Waiting {
  readonly token: number;
  readonly call: PeerCall;
}

/**
 * The server's calls to one peer. They wait here, in order within their class, for the credits that the peer's Hello granted, and are
 * watched by wall clock.
 */
export class PeerDebts {
  readonly #port: DebtPort;
  readonly #credits: CreditPool;
  readonly #waiting: readonly Fifo<Waiting>[] = Array.from({ length: CREDIT_CLASSES }, () => new Fifo<Waiting>());
  #waitingCount = 0;
  /** By id, oldest first. */
  readonly #debts = new Map<number, Debt>();
  #lastId = 0;
  #watchdog: NodeJS.Timeout | undefined;
  #ringsMs = Infinity;

  constructor(port: DebtPort, grants: readonly iommud.v1.Credit.$Properties[]) {
    this.#port = port;
    this.#credits = new CreditPool(grants);
  }

  /** Token 0: posted, with no answer and no credit, yet behind what waits in its class. */
  ask(token: number, call: PeerCall): void {
    const queue = this.#waiting[creditClass(peerCallNumber(call))];
    if (queue?.length === 0 && this.#send(token, call)) return;
    queue?.push({ token, call });
    if (++this.#waitingCount > PEER_CALLS_QUEUED_MAX) this.#port.overrun();
  }

  /** What the reply with this id says; undefined for one to nothing. {@link sendWaiting} is to be called when it has been dealt with. */
  settle(
    id: number,
    number: number,
    body: object | undefined,
    data: Uint8Array | undefined,
  ): { token: number; answer: PeerAnswer; class: CreditClass } | undefined {
    const debt = this.#debts.get(id);
    if (debt === undefined) return undefined;
    const answer = peerAnswer(debt.number, number, body, data);
    this.#debts.delete(id);
    this.#credits.give(debt.class, debt.bytes);
    this.#watch();
    return { token: debt.token, answer, class: debt.class };
  }

  /** The machine's number of each call that is not answered, sent or not, and the field number of its request. */
  unanswered(): readonly { readonly id: number; readonly body: number }[] {
    const sent = Array.from(this.#debts.values(), ({ token, number }) => ({ id: token, body: number }));
    const waiting = this.#waiting.flatMap((queue) => queue.all().map(({ token, call }) => ({ id: token, body: peerCallNumber(call) })));
    return [...sent, ...waiting];
  }

  /** What it owes, oldest first: the call, and for how long, wall clock; those that wait for its credit have none. */
  owed(): readonly { readonly call: string; readonly forMs: number | undefined }[] {
    const now = performance.now();
    const sent = Array.from(this.#debts.values(), ({ number, sinceMs }) => ({ call: bodyName(number), forMs: now - sinceMs }));
    return [
      ...sent,
      ...this.#waiting.flatMap((queue) => queue.all().map(({ call }) => ({ call: bodyName(peerCallNumber(call)), forMs: undefined }))),
    ];
  }

  /** The peer is gone. */
  stop(): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = undefined;
    this.#ringsMs = Infinity;
    this.#debts.clear();
    for (const queue of this.#waiting) queue.clear();
  }

  /** There is credit again. */
  sendWaiting(at: CreditClass): void {
    const queue = this.#waiting[at];
    for (let first = queue?.peek(); first !== undefined && this.#send(first.token, first.call); first = queue?.peek()) {
      queue?.shift();
      this.#waitingCount--;
    }
  }

  #send(token: number, call: PeerCall): boolean {
    const number = peerCallNumber(call);
    const body = peerCallBody(call);
    if (token === 0) {
      this.#port.call(0, 0, number, body, peerCallData(call));
      return true;
    }
    const at = creditClass(number);
    const bytes = replyBytes(number, body);
    if (!this.#credits.take(at, bytes)) return false;
    const id = this.#freeId();
    const sinceMs = performance.now();
    const dueMs = sinceMs + answerMs(call);
    this.#debts.set(id, { token, number, class: at, bytes, sinceMs, dueMs });
    if (this.#debts.size === 1 || dueMs < this.#ringsMs) this.#watchFor(dueMs);
    this.#port.call(id, token, number, body, peerCallData(call));
    return true;
  }

  /** Looks for the next that is due, unless the timer runs. */
  #watch(): void {
    if (this.#watchdog === undefined && this.#debts.size > 0) this.#watchFor(this.#nextDueMs());
  }

  /** One timer: it looks what is due when it rings, so that answers in time cost nothing. One that rings before this is as good. */
  #watchFor(dueMs: number): void {
    if (this.#watchdog !== undefined && this.#ringsMs <= dueMs) return;
    clearTimeout(this.#watchdog);
    this.#ringsMs = dueMs;
    this.#watchdog = setTimeout(() => this.#ring(), Math.max(1, Math.ceil(dueMs - performance.now()))).unref();
  }

  #ring(): void {
    this.#watchdog = undefined;
    this.#ringsMs = Infinity;
    if (this.#debts.size === 0) return;
    if (performance.now() < this.#nextDueMs()) this.#watch();
    else this.#port.silent();
  }

  #nextDueMs(): number {
    let dueMs = Infinity;
    for (const debt of this.#debts.values()) dueMs = Math.min(dueMs, debt.dueMs);
    return dueMs;
  }

  #freeId(): number {
    do this.#lastId = this.#lastId === ID_MAX ? 1 : this.#lastId + 1;
    while (this.#debts.has(this.#lastId));
    return this.#lastId;
  }
}
