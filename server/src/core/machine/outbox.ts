import { errorName, type Bdf, type Errno, type ErrorName, type StateFields } from '../base/index.ts';
import type { MachineEvent, Outgoing, PeerCall, PeerId } from './outgoing.ts';
import type { Reply } from './reply.ts';
import type { Origin } from './state.ts';

interface InnerReply {
  readonly origin: Exclude<Origin, { readonly token: number }>;
  readonly reply: Reply;
}

function replyItem(to: PeerId, token: number, reply: Reply): Outgoing {
  return { to, type: 'reply', token, reply };
}

/** What leaves the machine, in wire order. */
export class Outbox {
  /** One that is never taken: were none left at a garbage collection, V8 would forget their shape, and the code that it has made for it. */
  static readonly kept = replyItem(0, 0, { kind: 'ok', elapsedNs: 0 });
  #items: Outgoing[] = [];
  readonly #nowNs: () => number;
  readonly #onItem: (item: Outgoing) => void;
  readonly #onPosted: (peer: PeerId, reply: Reply) => void;
  /** Replies to operations of the machine itself, and to models. */
  #inner: InnerReply[] = [];

  /** `onItem` sees each item as it is put in, for the trace hash; `onPosted` what a posted call of a peer would have been answered. */
  constructor(nowNs: () => number, onItem: (item: Outgoing) => void, onPosted: (peer: PeerId, reply: Reply) => void) {
    this.#nowNs = nowNs;
    this.#onItem = onItem;
    this.#onPosted = onPosted;
  }

  /** A posted call (token 0) gets none. */
  reply(origin: Origin, reply: Reply): void {
    if (!('token' in origin)) {
      this.#inner.push({ origin, reply });
    } else if (origin.token !== 0) {
      this.#put(replyItem(origin.peer, origin.token, reply));
    } else if (origin.peer !== 0) {
      this.#onPosted(origin.peer, reply);
    }
  }

  ok(origin: Origin): void {
    this.reply(origin, { kind: 'ok', elapsedNs: this.elapsed(origin) });
  }

  refuse(origin: Origin, code: ErrorName | Errno, message: string, about = ''): void {
    const name = typeof code === 'number' ? errorName(code) : code;
    this.reply(origin, { kind: 'refused', code: name, message, about, elapsedNs: this.elapsed(origin) });
  }

  call(to: PeerId, token: number, call: PeerCall): void {
    this.#put({ to, type: 'call', token, call });
  }

  event(event: MachineEvent): void {
    this.#put({ to: 'hosts', type: 'event', event });
  }

  log(level: 'info' | 'warn', bdf: Bdf | undefined, text: string): void {
    this.event({ kind: 'log', level, bdf, text, timeNs: this.#nowNs() });
  }

  elapsed(origin: Origin): number {
    return this.#nowNs() - origin.sinceNs;
  }

  take(): readonly Outgoing[] {
    const items = this.#items;
    if (items.length > 0) this.#items = [];
    return items;
  }

  /** For the machine's loop. */
  takeInner(): readonly InnerReply[] {
    const replies = this.#inner;
    if (replies.length > 0) this.#inner = [];
    return replies;
  }

  /** What has left the machine is not in it: its replies and events are with whoever takes them. */
  state(fields: StateFields): void {
    this.#inner = fields.field('inner', this.#inner);
  }

  #put(item: Outgoing): void {
    this.#onItem(item);
    this.#items.push(item);
  }
}
