/** What leaves a machine, as records: made in the same way when it is recorded and when it is replayed. */
import { BODY, KIND, type FrameKind } from '../../../../proto/index.ts';
import type { ModelError } from '../../core/base/index.ts';
import type { MachineEvent, Outgoing, PeerCall, PeerId, Reply } from '../../core/machine/index.ts';
import { eventBody, eventNumber, replyBody, replyData, replyNumber } from '../encode.ts';
import { errorBody } from '../errors.ts';
import { peerCallBody, peerCallData, peerCallNumber } from '../peer-calls.ts';
import { plainText } from './plain-text.ts';
import { encodeBody, type Record, type RecordedCall, type RecordedPeer, type What } from './record.ts';

interface Pending {
  readonly body: number;
  /** Undefined of a call that was made before the recording. */
  readonly sinceNs: number | undefined;
}

/** Knows the calls that have no answer yet, on both sides: a reply does not say what it is a reply to. */
export class OutputRecords {
  /** By peer and id. */
  readonly #calls = new Map<PeerId, Map<number, Pending>>();
  readonly #asked = new Map<PeerId, Map<number, number>>();
  readonly #ownSinceNs = new Map<number, number>();

  /** A connection that is there as the recording begins, or comes. */
  arrived({ id, calls, asked }: Pick<RecordedPeer, 'id' | 'calls' | 'asked'>): void {
    this.#calls.set(id, new Map(calls.map((call) => [call.id, { body: call.body, sinceNs: undefined }])));
    this.#asked.set(id, new Map(asked.map((call) => [call.id, call.body])));
  }

  gone(peer: PeerId): void {
    this.#calls.delete(peer);
    this.#asked.delete(peer);
  }

  called(peer: PeerId, { id, body }: RecordedCall, sinceNs: number): void {
    // The session answers that itself.
    if (id !== 0 && body !== BODY.subscribe) this.#calls.get(peer)?.set(id, { body, sinceNs });
  }

  calledOwn(token: number, sinceNs: number): void {
    this.#ownSinceNs.set(token, sinceNs);
  }

  /** The field number of the call that the machine made of this peer. */
  takeAsked(peer: PeerId, token: number): number | undefined {
    const asked = this.#asked.get(peer);
    const body = asked?.get(token);
    asked?.delete(token);
    return body;
  }

  /** Undefined for what nobody gets: a reply to a posted call or to a connection that is gone. */
  of(item: Outgoing, nowNs: number): Record | undefined {
    switch (item.type) {
      case 'reply':
        return item.to === 0 ? this.#ownReply(item.token, item.reply, nowNs) : this.#reply(item.to, item.token, item.reply, nowNs);
      case 'event':
        return eventRecord(item.event, nowNs);
      case 'call':
        return this.#call(item.to, item.token, item.call, nowNs);
    }
  }

  /** The command was malformed. */
  refused(peer: PeerId, id: number, { code, message, field }: ModelError, nowNs: number): Record | undefined {
    if (this.#calls.get(peer)?.delete(id) !== true) return undefined;
    return output(nowNs, peer, sent(id, KIND.reply, BODY.error, errorBody(code, message, field)));
  }

  refusedOwn(token: number, { code, message, field }: ModelError, nowNs: number): Record {
    this.#ownSinceNs.delete(token);
    return output(nowNs, 0, { kind: 'reply', token, json: plainText({ kind: 'malformed', code, message, field }) });
  }

  #reply(peer: PeerId, token: number, reply: Reply, nowNs: number): Record | undefined {
    const calls = this.#calls.get(peer);
    const pending = calls?.get(token);
    if (pending === undefined) return undefined;
    calls?.delete(token);
    const what = sent(token, KIND.reply, replyNumber(pending.body, reply), replyBody(reply), replyData(reply));
    return output(repliedNs(reply, pending.sinceNs, nowNs), peer, what);
  }

  #ownReply(token: number, reply: Reply, nowNs: number): Record {
    const sinceNs = this.#ownSinceNs.get(token);
    this.#ownSinceNs.delete(token);
    return output(repliedNs(reply, sinceNs, nowNs), 0, { kind: 'reply', token, json: plainText(reply) });
  }

  #call(peer: PeerId, token: number, call: PeerCall, nowNs: number): Record | undefined {
    const asked = this.#asked.get(peer);
    if (asked === undefined) return undefined;
    const number = peerCallNumber(call);
    asked.set(token, number);
    return output(nowNs, peer, sent(token, KIND.call, number, peerCallBody(call), peerCallData(call)));
  }
}

function eventRecord(event: MachineEvent, nowNs: number): Record {
  return output('timeNs' in event ? event.timeNs : nowNs, undefined, sent(0, KIND.event, eventNumber(event), eventBody(event)));
}

/** The clock may have gone on in the same step, past the moment at which the reply was due. */
function repliedNs(reply: Reply, sinceNs: number | undefined, nowNs: number): number {
  return sinceNs !== undefined && 'elapsedNs' in reply ? sinceNs + reply.elapsedNs : nowNs;
}

function sent(id: number, kind: FrameKind, number: number, body: object, data?: Uint8Array): What {
  return { kind: 'sent', frame: { id, kind, number, body: encodeBody(number, body), data } };
}

function output(timeNs: number, peer: number | undefined, what: What): Record {
  return { timeNs, input: undefined, peer, realNs: undefined, what };
}
