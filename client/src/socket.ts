import type { Closed } from './channel.ts';

export interface SocketListener {
  message(bytes: Uint8Array): void;
  /** Nothing comes after this, which comes exactly once. */
  closed(how: Closed): void;
}

/** A connection that carries whole messages, such as a websocket. */
export interface Socket {
  /** Takes the bytes over. Does nothing once it is closed. */
  send(message: Uint8Array): void;
  /** Starts to close; `closed` follows. */
  close(code: number, reason: string): void;
  /** Called once, before the first message is delivered. */
  listen(listener: SocketListener): void;
}

export interface OpenOptions {
  /** Sent as `Authorization: Bearer` where the platform lets a websocket have headers. */
  readonly token: string | undefined;
  readonly signal: AbortSignal;
}

/** Opens a socket; rejects with a {@link NotConnected} when it cannot. */
export type OpenSocket = (url: string, options: OpenOptions) => Promise<Socket>;

/** Why a socket could not be opened. */
export class NotConnected extends Error {
  override readonly name = 'NotConnected';
  /** HTTP status of the answer to the upgrade; 0 when there was none, as with a refused connection or in a browser. */
  readonly status: number;

  constructor(message: string, status: number, cause?: unknown) {
    super(message, { cause });
    this.status = status;
  }
}
