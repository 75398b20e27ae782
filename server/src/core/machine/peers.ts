/** Who takes part, what each has been asked and has not answered, and so whether the clock may pass. */
import { ModelError, hex, join64, type Bdf, type ErrorName, type StateFields } from '../base/index.ts';
import type { TableRead } from './domains/table-reads.ts';
import { TABLE_ENTRY_BYTES, type TableUpdate } from './domains/table-updates.ts';
import type { PeerRoles } from './machine-port.ts';
import type { Outbox } from './outbox.ts';
import type { PeerAnswer, PeerCall, PeerId } from './outgoing.ts';
import type { Reply } from './reply.ts';
import type { Request } from './state.ts';

/** What an unanswered call was for. */
export type Owed =
  | { readonly kind: 'request'; readonly request: Request }
  | { readonly kind: 'table-read'; readonly read: TableRead }
  | { readonly kind: 'table-update'; readonly update: TableUpdate }
  | { readonly kind: 'lookup'; readonly operation: number; readonly key: number }
  | { readonly kind: 'fence'; readonly requests: readonly Request[] }
  /**
   * `at`: where its value stands in what the operation gathers. `late`: its completion timeout has passed; what the function's life was then, and what is late:
   * the completion of so many bytes at this offset.
   */
  | {
      readonly kind: 'access';
      readonly operation: number;
      readonly expects: 'ok' | 'value' | 'data';
      readonly bytes: number;
      readonly at?: number;
      /** Of a write to memory: its address. */
      readonly writes?: bigint;
      late?: { readonly index: number; readonly life: number; readonly offset: number };
    }
  | { readonly kind: 'device-alarm' }
  | { readonly kind: 'device-reset'; readonly bdf: Bdf; readonly index: number }
  /** `life`: of the function's model when it was asked. */
  | { readonly kind: 'invalidation'; readonly index: number; readonly itag: number; readonly life: number };

export interface Peer {
  readonly id: PeerId;
  readonly roles: PeerRoles;
  /** Its place among those whose inputs and outputs the trace hash covers; 0: an observer and nothing else, of whom nothing depends. */
  readonly ordinal: number;
  readonly owed: Map<number, Owed>;
  /** Silent past the watchdog: it no longer holds the clock. */
  silent: boolean;
  /** It holds the machine's clock, which passes no further than this; Infinity: it does not. */
  clockUntilNs: number;
  /** Memory accesses it takes at a time, and how many it has now. */
  memoryDepth: number;
  memoryOutstanding: number;
  /** Functions with requests that wait for its credit. */
  readonly waitingForCredit: Set<Bdf>;
  /** In a row, of what has no reply that could say it: posted calls that were refused, Invalidate Completions that nothing waited for. */
  unserved: number;
  /** The last of them. */
  unservedWhy: string;
}

/** Refusals of which asking again is the cure. */
const PASSING = new Set<ErrorName>(['EAGAIN']);

function isObserver(roles: PeerRoles): boolean {
  return roles.observer && !roles.host && !roles.device && !roles.memory;
}

interface Settled {
  readonly peer: Peer;
  readonly owed: Owed;
  /** What it counts as. */
  readonly answer: PeerAnswer;
  readonly wrong: string | undefined;
}

export class Peers {
  readonly #byId = new Map<PeerId, Peer>();
  readonly #outbox: Outbox;
  #nextPeer = 1;
  #nextOrdinal = 1;
  #nextToken = 1;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  attach(roles: PeerRoles): Peer {
    const peer: Peer = {
      id: this.#nextPeer++,
      roles,
      ordinal: isObserver(roles) ? 0 : this.#nextOrdinal++,
      owed: new Map(),
      silent: false,
      clockUntilNs: Infinity,
      memoryDepth: 0,
      memoryOutstanding: 0,
      waitingForCredit: new Set(),
      unserved: 0,
      unservedWhy: '',
    };
    this.#byId.set(peer.id, peer);
    return peer;
  }

  detach(id: PeerId): void {
    this.#byId.delete(id);
  }

  get(id: PeerId): Peer | undefined {
    return this.#byId.get(id);
  }

  /** Asks a peer; it owes the answer until it comes, or it is gone. */
  call(peer: Peer, call: PeerCall, owed: Owed): void {
    const token = this.#nextToken++;
    peer.owed.set(token, owed);
    this.#outbox.call(peer.id, token, call);
  }

  /** The same of a write that nobody answers. */
  post(peer: Peer, call: PeerCall): void {
    this.#outbox.call(peer.id, 0, call);
  }

  /** Takes the debt that this answer settles: as an error, and said, where it does not fit. EPROTO for one that was never asked. */
  settle(id: PeerId, token: number, answer: PeerAnswer): Settled {
    const peer = this.#byId.get(id);
    const owed = peer?.owed.get(token);
    if (peer === undefined || owed === undefined) {
      throw new ModelError('EPROTO', `an answer to call ${token}, which is not outstanding`, 'id');
    }
    peer.owed.delete(token);
    peer.silent = false;
    if (fits(owed, answer)) return { peer, owed, answer, wrong: undefined };
    const wrong = `its answer does not fit what was asked: ${answerText(answer)} for ${owedText(owed)}`;
    return { peer, owed, answer: { kind: 'error', code: 'EPROTO', message: wrong }, wrong };
  }

  /** What became of a posted call: nobody is told, and it is counted. */
  noteReply(id: PeerId, reply: Reply): void {
    if (reply.kind === 'refused') {
      if (!PASSING.has(reply.code)) this.noteUnserved(id, reply.message);
    } else if (isGated(reply)) {
      this.noteUnserved(id, GATED);
    } else {
      this.noteServed(id);
    }
  }

  noteUnserved(id: PeerId, why: string): void {
    const peer = this.#byId.get(id);
    if (peer === undefined) return;
    peer.unserved++;
    peer.unservedWhy = why;
  }

  noteServed(id: PeerId): void {
    const peer = this.#byId.get(id);
    if (peer !== undefined) peer.unserved = 0;
  }

  /** All that are attached. */
  all(): readonly Peer[] {
    return [...this.#byId.values()];
  }

  state(fields: StateFields): void {
    fields.keep('byId', this.#byId);
    this.#nextPeer = fields.field('nextPeer', this.#nextPeer);
    this.#nextOrdinal = fields.field('nextOrdinal', this.#nextOrdinal);
    this.#nextToken = fields.field('nextToken', this.#nextToken);
  }

  /** How far those who hold the clock let it pass. */
  get clockLimitNs(): number {
    let limitNs = Infinity;
    for (const { clockUntilNs } of this.#byId.values()) if (clockUntilNs < limitNs) limitNs = clockUntilNs;
    return limitNs;
  }

  /** True while an attached peer that is not silent owes an answer. */
  get owing(): boolean {
    for (const peer of this.#byId.values()) if (!peer.silent && peer.owed.size > 0) return true;
    return false;
  }
}

const GATED = 'DMA of a function that is blocked, resetting, or has no Bus Master Enable';

/** DMA that its function may not do: an outcome, and yet as a refusal. */
export function isGated(reply: Reply): boolean {
  if (reply.kind === 'dma') return reply.outcome === 'gate-closed';
  return reply.kind === 'dma-list' && reply.results.length > 0 && reply.results.every(({ outcome }) => outcome === 'gate-closed');
}

function fits(owed: Owed, answer: PeerAnswer): boolean {
  if (answer.kind === 'error') return true;
  switch (owed.kind) {
    case 'request':
      if (owed.request.operation !== 'read') return answer.kind === 'ok';
      return answer.kind === 'data' && answer.data.byteLength === owed.request.bytes;
    case 'table-update':
      if (owed.update.writes) return answer.kind === 'ok';
      return answer.kind === 'data' && answer.data.byteLength === TABLE_ENTRY_BYTES;
    case 'table-read':
    case 'lookup':
      return answer.kind === 'data' && answer.data.byteLength === TABLE_ENTRY_BYTES;
    case 'fence':
    case 'device-reset':
    case 'device-alarm':
      return answer.kind === 'ok';
    case 'invalidation':
      return answer.kind === 'ok' || answer.kind === 'later';
    case 'access':
      if (answer.kind === 'data') return answer.kind === owed.expects && answer.data.byteLength === owed.bytes;
      return answer.kind === owed.expects && (answer.kind !== 'value' || holds(owed.bytes, answer.valueLow, answer.valueHigh));
  }
}

/** A register of so many bytes has this value. */
function holds(bytes: number, low: number, high: number): boolean {
  if (bytes > 4) return true;
  return high === 0 && (bytes === 4 || low >>> 0 < 1 << (8 * bytes));
}

function answerText(answer: PeerAnswer): string {
  if (answer.kind === 'data') return `${answer.data.byteLength} bytes`;
  return answer.kind === 'value' ? `the value ${hex(join64(answer.valueLow, answer.valueHigh))}` : `"${answer.kind}"`;
}

function owedText(owed: Owed): string {
  if (owed.kind === 'request') return `a ${owed.request.operation} of ${owed.request.bytes} bytes`;
  return owed.kind === 'access' ? `an access of ${owed.bytes} bytes` : `"${owed.kind}"`;
}
