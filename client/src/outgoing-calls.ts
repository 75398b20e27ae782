/** The calls of this end: ids, credits, cancels, and the answer that each gets. */
import {
  BODY,
  CLOSE,
  FrameError,
  KIND,
  creditClass,
  replyBytes,
  type CallName,
  type CreditClass,
  type PacketReader,
  type PacketWriter,
  type iommud,
} from '../../proto/index.ts';
import type { Answer } from './channel.ts';
import { Credits, WAITING_CALLS_MAX, type Cost } from './credits.ts';
import { codeOf, failure, textOf, type Failure } from './errors.ts';
import { numberOf } from './numbers.ts';

type AnyAnswer = Answer<CallName> | Failure;
type Settle = (answer: AnyAnswer) => void;

/** A call that has been sent: one of these for each id, used again and again. */
class Slot {
  readonly id: number;
  /** From the call until its reply: the id is taken. */
  inUse = false;
  /** Undefined when the caller no longer waits. */
  settle: Settle | undefined = undefined;
  number = 0;
  creditClass: CreditClass = 0;
  replyBytes = 0;
  sentBytes = 0;
  unwatch: (() => void) | undefined = undefined;

  constructor(id: number) {
    this.id = id;
  }
}

/** A call that waits for credit. */
interface Waiting extends Cost {
  readonly number: number;
  readonly request: object;
  readonly data: Uint8Array | undefined;
  readonly settle: Settle;
  readonly signal: AbortSignal | undefined;
  unwatch: (() => void) | undefined;
}

/** How a promise is made without a closure for each: the resolver of the one being made. */
let settleOfNew: Settle;
const keepSettle = (resolve: Settle): void => {
  settleOfNew = resolve;
};

export class OutgoingCalls {
  readonly #writer: PacketWriter;
  readonly #flushLater: () => void;
  readonly #credits = new Credits<Waiting>();
  /** By id, from 1. */
  readonly #slots: Slot[] = [];
  readonly #free: Slot[] = [];

  /** `flushLater` is called after each frame that is put into `writer`. */
  constructor(writer: PacketWriter, flushLater: () => void) {
    this.#writer = writer;
    this.#flushLater = flushLater;
  }

  /** What Hello gave; `receiveBytesMax`: what the server lets gather unhandled. */
  grant(credits: readonly iommud.v1.Credit.$Properties[], receiveBytesMax?: number): void {
    this.#credits.grant(credits, receiveBytesMax);
  }

  /** Sends a call, now or when there is credit. Never rejects: a failure is a value. */
  make(number: number, request: object, data: Uint8Array | undefined, signal: AbortSignal | undefined): Promise<AnyAnswer> {
    if (signal?.aborted === true) return Promise.resolve(cancelled(signal));
    const cost = {
      creditClass: creditClass(number),
      replyBytes: replyBytes(number, request),
      sentBytes: data === undefined ? 0 : data.length,
    };
    const promise = new Promise<AnyAnswer>(keepSettle);
    const settle = settleOfNew;
    if (this.#credits.take(cost.creditClass, cost.replyBytes, cost.sentBytes)) {
      this.#send(number, request, data, settle, signal, cost);
    } else if (this.#credits.waiting >= WAITING_CALLS_MAX) {
      settle(failure('EAGAIN', `${WAITING_CALLS_MAX} calls wait for credit already; await some of them first`));
    } else {
      // A spread here costs more than the whole rest of the call.
      this.#wait({
        creditClass: cost.creditClass,
        replyBytes: cost.replyBytes,
        sentBytes: cost.sentBytes,
        number,
        request,
        data: data === undefined ? undefined : new Uint8Array(data),
        settle,
        signal,
        unwatch: undefined,
      });
    }
    return promise;
  }

  /** Takes the reply to one of them. Throws FrameError (1002) for a reply to nothing or of another kind. */
  reply(frame: PacketReader): void {
    const slot = this.#slots[frame.id - 1];
    if (slot?.inUse !== true) throw new FrameError(CLOSE.order, `a reply to call ${frame.id}, which is not outstanding`);
    const { settle, number } = slot;
    const isError = frame.number === BODY.error;
    if (!isError && frame.number !== number + 1) {
      throw new FrameError(CLOSE.order, `call ${frame.id} of body ${number} was answered with body ${frame.number}`);
    }
    slot.inUse = false;
    slot.settle = undefined;
    if (slot.unwatch !== undefined) {
      slot.unwatch();
      slot.unwatch = undefined;
    }
    this.#free.push(slot);
    this.#credits.give(slot.creditClass, slot.replyBytes, slot.sentBytes);
    if (settle !== undefined) settle(isError ? refusedWith(frame.body as iommud.v1.Error) : answered(frame));
    if (this.#credits.waiting > 0) this.#sendWaiting(slot.creditClass);
  }

  /** Gives every call its failure: there will be no replies. */
  fail(how: Failure): void {
    for (const call of this.#credits.drain()) {
      call.unwatch?.();
      call.settle(how);
    }
    for (const slot of this.#slots) {
      slot.unwatch?.();
      slot.settle?.(how);
      slot.settle = undefined;
    }
  }

  #send(number: number, request: object, data: Uint8Array | undefined, settle: Settle, signal: AbortSignal | undefined, cost: Cost): void {
    const slot = this.#free.pop() ?? this.#newSlot();
    try {
      this.#writer.add(slot.id, KIND.call, number, request, data);
    } catch (error) {
      this.#free.push(slot);
      this.#credits.give(cost.creditClass, cost.replyBytes, cost.sentBytes);
      settle(failure('EINVAL', `cannot be sent: ${textOf(error)}`, error instanceof FrameError ? 'data' : '', error));
      return;
    }
    slot.inUse = true;
    slot.number = number;
    slot.creditClass = cost.creditClass;
    slot.replyBytes = cost.replyBytes;
    slot.sentBytes = cost.sentBytes;
    slot.settle = settle;
    if (signal !== undefined) slot.unwatch = onAbort(signal, () => this.#cancel(slot, signal));
    this.#flushLater();
  }

  #newSlot(): Slot {
    const slot = new Slot(this.#slots.length + 1);
    this.#slots.push(slot);
    return slot;
  }

  #wait(call: Waiting): void {
    const { signal } = call;
    if (signal !== undefined) {
      call.unwatch = onAbort(signal, () => {
        this.#credits.forget(call);
        call.settle(cancelled(signal));
      });
    }
    this.#credits.wait(call);
  }

  #sendWaiting(ofClass: CreditClass): void {
    for (let call = this.#credits.next(ofClass); call !== undefined; call = this.#credits.next(ofClass)) {
      call.unwatch?.();
      this.#send(call.number, call.request, call.data, call.settle, call.signal, call);
    }
  }

  /** The caller no longer waits, and the server is told; id and credit stay taken until the reply. */
  #cancel(slot: Slot, signal: AbortSignal): void {
    const { settle } = slot;
    slot.unwatch = undefined;
    slot.settle = undefined;
    this.#writer.add(slot.id, KIND.cancel, 0, {});
    this.#flushLater();
    settle?.(cancelled(signal));
  }
}

function answered(frame: PacketReader): Answer<CallName> {
  return { failed: false, body: frame.body as Answer<CallName>['body'], data: frame.data };
}

function refusedWith(error: iommud.v1.Error): Failure {
  const code = codeOf(error.code);
  const message = code === error.name || error.name === '' ? error.message : `${error.name} (${error.code}): ${error.message}`;
  return { failed: true, code, message, about: error.about, elapsedNs: numberOf(error.elapsedNs), cause: undefined };
}

function onAbort(signal: AbortSignal, run: () => void): () => void {
  signal.addEventListener('abort', run, { once: true });
  return () => signal.removeEventListener('abort', run);
}

/** What a call gives when its AbortSignal has fired. */
export function cancelled(signal: AbortSignal): Failure {
  return failure('ECANCELED', 'cancelled by its AbortSignal; what it did is unknown', '', signal.reason);
}
