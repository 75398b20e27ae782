/** The client's channel straight into a machine: the contract's bodies as objects, with no bytes, packets, credits or sessions. */
import {
  IommudError,
  type Answer,
  type Channel,
  type ChannelListener,
  type ErrorCode,
  type Failure,
  type Granted,
  type PeerCall,
  type Role,
} from '../../client/src/index.ts';
import { BODY, CODECS, type CallName, type Calls, type EventName } from '../../proto/index.ts';
import { ModelError, type TraceRecord } from '../../server/src/core/base/index.ts';
import type { MachineEvent, Outgoing, PeerAnswer, PeerCall as CorePeerCall } from '../../server/src/core/machine/index.ts';
import { SERVED } from '../../server/src/rpc/decode.ts';
import { eventBody, eventNumber, replyBody, replyData, traceBody } from '../../server/src/rpc/encode.ts';
import { peerAnswer, peerCallBody, peerCallData, peerCallNumber } from '../../server/src/rpc/peer-calls.ts';
import type { CoreHub } from './core-hub.ts';

type Settle = (answer: Answer<CallName> | Failure) => void;
interface Pending {
  readonly number: number;
  readonly settle: Settle;
}

const EVENT_CLASSES: Readonly<Record<MachineEvent['kind'], number>> = {
  fault: 1,
  interrupt: 2,
  intx: 2,
  window: 3,
  log: 4,
  'page-fault': 11,
  hotplug: 20,
  'driver-callback': 21,
  error: 37,
  memory: 40,
};
const TRACE_CLASS = 5;

export class CoreChannel implements Channel {
  readonly granted: Granted;
  readonly #hub: CoreHub;
  readonly #roles: readonly Role[];
  readonly #pending = new Map<number, Pending>();
  readonly #heard = new Set<number>();
  #listener: ChannelListener | undefined;
  #token = 0;
  #closed = false;
  #peer = 0;

  constructor(hub: CoreHub, granted: Granted) {
    this.#hub = hub;
    this.granted = granted;
    this.#roles = granted.roles;
    if (this.#may(['host', 'observer'])) for (const each of Object.values(EVENT_CLASSES)) this.#heard.add(each);
  }

  get hearsTrace(): boolean {
    return this.#heard.has(TRACE_CLASS);
  }

  set peer(id: number) {
    this.#peer = id;
  }

  listen(listener: ChannelListener): void {
    this.#listener = listener;
  }

  request<K extends CallName>(
    name: K,
    request: Calls[K]['request'],
    data?: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Answer<K> | Failure> {
    return new Promise((resolve) => {
      if (this.#closed) resolve(failure('ECONNRESET', 'the channel is closed; the call was not made'));
      else if (signal?.aborted === true) resolve(failure('ECANCELED', 'cancelled by its AbortSignal'));
      else this.#make(name, request, data, signal, resolve);
    });
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      for (const { settle } of this.#pending.values()) settle(failure('ECONNRESET', 'closed by this client'));
      this.#pending.clear();
      this.#hub.leave(this.#peer);
      this.#listener?.closed({ code: 1000, reason: 'closed by this client' });
    }
    return Promise.resolve();
  }

  /** What the machine has for this peer. */
  take(item: Outgoing): void {
    if (item.type === 'reply') {
      const pending = this.#pending.get(item.token);
      this.#pending.delete(item.token);
      if (pending === undefined) return;
      const { reply } = item;
      if (reply.kind === 'refused') pending.settle({ ...failure(reply.code, reply.message, reply.about), elapsedNs: reply.elapsedNs });
      else pending.settle(answered(pending.number, replyBody(reply), copied(replyData(reply))));
    } else if (item.type === 'event') {
      this.#event(item.event);
    } else {
      // In a turn of its own, as it would come over a socket.
      setImmediate(() => this.#ask(item.token, item.call));
    }
  }

  hear(record: TraceRecord): void {
    if (this.hearsTrace) this.#tell(BODY.traceEvent, traceBody(record));
  }

  #may(roles: readonly Role[]): boolean {
    return roles.some((role) => this.#roles.includes(role));
  }

  #make(name: CallName, request: object, data: Uint8Array | undefined, signal: AbortSignal | undefined, settle: Settle): void {
    const number = BODY[name];
    const body = message(number, request);
    try {
      if (name === 'subscribe') {
        this.#subscribe((body as Calls['subscribe']['decoded']).events);
        settle(answered(number, { nextNumber: 1 }, undefined));
        return;
      }
      const row = SERVED[number];
      if (row === undefined) throw new ModelError('ENOSYS', `${name} is not served`, 'body');
      if (!this.#may(row.roles)) throw new ModelError('EPERM', `${name} needs the role ${row.roles.join(' or ')}`, 'roles');
      const command = row.decode(body, copied(data));
      const token = ++this.#token;
      this.#pending.set(token, { number, settle });
      signal?.addEventListener('abort', () => settle(failure('ECANCELED', 'cancelled by its AbortSignal')));
      this.#hub.submit(this.#peer, token, command, () => this.#pending.delete(token));
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      settle(failure(error.code, error.message, error.field));
    }
  }

  #subscribe(classes: readonly number[]): void {
    const known = [...Object.values(EVENT_CLASSES), TRACE_CLASS];
    const unknown = classes.find((each) => !known.includes(each));
    if (unknown !== undefined) throw new ModelError('EINVAL', `events ${unknown} is unknown`, 'events');
    if (!this.#may(['host', 'observer'])) throw new ModelError('EPERM', 'subscribe needs the role host or observer', 'roles');
    if (classes.includes(TRACE_CLASS) && !this.#may(['observer'])) throw new ModelError('EPERM', 'trace needs the role observer', 'roles');
    this.#heard.clear();
    for (const each of classes) this.#heard.add(each);
  }

  #event(event: MachineEvent): void {
    if (this.#heard.has(EVENT_CLASSES[event.kind])) this.#tell(eventNumber(event), eventBody(event));
  }

  #tell(number: number, body: object): void {
    const name = nameOf(number) as EventName;
    this.#listener?.event(name, message(number, body) as never);
  }

  #ask(token: number, call: CorePeerCall): void {
    if (this.#closed) return;
    const number = peerCallNumber(call);
    const asked = {
      name: nameOf(number) as PeerCall['name'],
      request: message(number, peerCallBody(call)),
      data: copied(peerCallData(call)),
    } as PeerCall;
    if (token === 0) {
      Promise.resolve(this.#listener?.peerCall(asked)).catch(() => undefined);
      return;
    }
    const answer = async (): Promise<PeerAnswer> => {
      const given = await this.#listener?.peerCall(asked);
      const settled = peerAnswer(number, number + 1, message(number + 1, given?.body ?? {}), given?.data);
      if (settled === undefined) throw new Error(`${asked.name} has no reply`);
      return settled;
    };
    answer()
      .catch((error: unknown): PeerAnswer => {
        const code: ErrorCode = error instanceof IommudError ? error.code : 'EIO';
        return { kind: 'error', code, message: error instanceof Error ? error.message : String(error) };
      })
      .then((settled) => {
        if (!this.#closed) this.#hub.answer(this.#peer, token, settled);
      })
      .catch((error: unknown) => {
        throw error;
      });
  }
}

/** A message as it would have been decoded: what is absent is null. */
function message(number: number, properties: object): object {
  const Message = CODECS[number] as unknown as (new (properties: object) => object) | undefined;
  if (Message === undefined) throw new Error(`no message ${number}`);
  return new Message(properties);
}

function nameOf(number: number): string {
  const found = Object.entries(BODY).find(([, each]) => each === number);
  if (found === undefined) throw new Error(`no body ${number}`);
  return found[0];
}

function answered(number: number, body: object, data: Uint8Array | undefined): Answer<CallName> {
  return { failed: false, body: message(number + 1, body), data };
}

/** Bytes of the caller's own: a `slice` of a Buffer would be a view. */
function copied(data: Uint8Array | undefined): Uint8Array | undefined {
  return data === undefined ? undefined : new Uint8Array(data);
}

function failure(code: ErrorCode, text: string, about = ''): Failure {
  return { failed: true, code, message: text, about, elapsedNs: 0, cause: undefined };
}
