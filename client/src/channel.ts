/**
 * What the typed handles stand on: something that carries the contract's calls to one machine. `wire-channel.ts` carries them over a socket;
 * a program that embeds a machine can bring its own and use the same handles.
 */
import type { CallName, Calls, EventName, Events, U64 } from '../../proto/index.ts';
import type { Failure } from './errors.ts';
import type { Role } from './names.ts';

export interface Answer<K extends CallName> {
  readonly failed: false;
  readonly body: Calls[K]['reply'];
  /** The bulk bytes of the reply. They are not written again: keeping them keeps the message that they came in. */
  readonly data: Uint8Array | undefined;
}

/** The calls that a server makes to the device and memory roles. */
export const PEER_CALLS = [
  'regionRead',
  'regionWrite',
  'regionWriteMulti',
  'deviceAlarm',
  'deviceReset',
  'deviceInvalidate',
  'memoryRead',
  'memoryWrite',
  'memoryFence',
] as const;
export type PeerCallName = (typeof PEER_CALLS)[number];

export type PeerCall = {
  readonly [K in PeerCallName]: { readonly name: K; readonly request: Calls[K]['request']; readonly data: Uint8Array | undefined };
}[PeerCallName];

/** The answer to one of them. */
export interface PeerAnswer {
  readonly body?: { readonly value: U64 } | { readonly later: boolean };
  readonly data?: Uint8Array;
}

/** How a connection ended. */
export interface Closed {
  /** Websocket close code; 1006 when the connection broke. */
  readonly code: number;
  readonly reason: string;
}

/** What the first exchange gave. */
export interface Granted {
  readonly roles: readonly Role[];
  readonly features: readonly string[];
  /** Page sizes that mappings may use, ascending, bytes. Empty: the machine has no IOMMU. */
  readonly pageBytes: readonly bigint[];
  /** The machine's name. */
  readonly machine: string;
  /** What it was made from; empty when from a topology or a dump. */
  readonly preset: string;
  /** `iommud 0.1.0`. */
  readonly server: string;
}

export interface ChannelListener {
  /** In the order in which they were sent. */
  event<K extends EventName>(name: K, event: Events[K]): void;
  /** A call of the server; a throw or rejection is answered as an error. */
  peerCall(call: PeerCall): PeerAnswer | Promise<PeerAnswer>;
  /** Once, after every pending call has been given its failure. */
  closed(how: Closed): void;
}

export interface Channel {
  readonly granted: Granted;
  /**
   * Makes a call. Never rejects and never throws: a failure is a value, and whoever asked throws it. Calls of one credit class take effect in the order in which
   * they were made; one that waits for the credits of its class is passed by those of others. `data` may be used again when this returns. An aborted call fails with ECANCELED at once; what it did is unknown.
   */
  request<K extends CallName>(name: K, request: Calls[K]['request'], data?: Uint8Array, signal?: AbortSignal): Promise<Answer<K> | Failure>;
  /** Who hears the events and answers the server's calls; what came before is heard now. */
  listen(listener: ChannelListener): void;
  /** Sends what is waiting, and closes. Pending calls fail with ECONNRESET. Resolves when it is closed. */
  close(): Promise<void>;
}
