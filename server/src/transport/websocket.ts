import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { CLOSE } from '../../../proto/close.ts';
import { CLOSE_GRACE_MS, KEEPALIVE_MS } from '../../../proto/limits.ts';
import { closeReason } from './close-reason.ts';
import { atTickEnd, endTick } from './tick.ts';
import type { Transport, TransportOwner } from './transport.ts';

const OPEN = 1;
/** A message with so much does not wait for the tick's end: its receiver works on it meanwhile. */
const SENT_AT_ONCE_BYTES = 32 << 10;

/**
 * A `ws` WebSocket that is open. The server that made it sets `maxPayload: MESSAGE_BYTES_MAX` and `perMessageDeflate: false`.
 *
 * `stream` is the socket under it: it is corked from the first message of a tick to the tick's end, so that they leave in one write.
 * An idle connection is pinged; one that did not answer by the next ping is cut.
 */
export class WebSocketTransport implements Transport {
  readonly #socket: WebSocket;
  readonly #stream: Duplex;
  #owner: TransportOwner | undefined;
  #corked = false;
  #alive = true;
  #closing = false;
  readonly #keepalive: NodeJS.Timeout;
  #grace: NodeJS.Timeout | undefined;
  /** Arrived before the owner started. */
  #early: Uint8Array[] = [];
  /** Came while the socket was closing: each waits for those before it, whose bytes may still be on their way. */
  readonly #unsent: (() => void)[] = [];
  #ended: { readonly code: number; readonly reason: string } | undefined;
  readonly #uncork = (): void => {
    this.#corked = false;
    this.#stream.uncork();
  };

  constructor(socket: WebSocket, stream: Duplex) {
    this.#socket = socket;
    this.#stream = stream;
    socket.on('message', (data, isBinary) => this.#message(data, isBinary));
    socket.on('pong', () => {
      this.#alive = true;
      this.#owner?.keepalive?.('pong-received');
    });
    // The library answers it.
    socket.on('ping', () => this.#owner?.keepalive?.('ping-received'));
    socket.on('close', (code, reason) => this.#closed(code, reason.toString()));
    // What went wrong is told by the close that follows.
    socket.on('error', () => undefined);
    // Behind the library's own: it has handed over every message of the chunk.
    stream.on('data', endTick);
    this.#keepalive = setInterval(() => this.#ping(), KEEPALIVE_MS).unref();
  }

  start(owner: TransportOwner): void {
    this.#owner = owner;
    const early = this.#early;
    this.#early = [];
    for (const bytes of early) owner.message(bytes);
    if (this.#ended !== undefined) owner.closed(this.#ended.code, this.#ended.reason);
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  send(bytes: Uint8Array, written?: () => void): void {
    if (this.#socket.readyState !== OPEN) {
      if (this.#ended !== undefined) written?.();
      else if (written !== undefined) this.#unsent.push(written);
      return;
    }
    if (!this.#corked) {
      this.#corked = true;
      this.#stream.cork();
      atTickEnd(this.#uncork);
    }
    this.#socket.send(bytes, { binary: true, compress: false }, written);
    if (bytes.length >= SENT_AT_ONCE_BYTES) this.#pushOut();
  }

  /** Lets what was corked go now; the tick goes on corked. */
  #pushOut(): void {
    this.#stream.uncork();
    this.#stream.cork();
  }

  atTickEnd(run: () => void): void {
    atTickEnd(run);
  }

  close(code: number, reason: string): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#socket.close(code, closeReason(reason));
    this.#grace = setTimeout(() => this.#socket.terminate(), CLOSE_GRACE_MS).unref();
  }

  #message(data: RawData, isBinary: boolean): void {
    if (this.#closing) return;
    this.#alive = true;
    if (!isBinary) {
      this.close(CLOSE.text, 'binary messages only');
      return;
    }
    const bytes = data as Buffer;
    if (this.#owner === undefined) this.#early.push(bytes);
    else this.#owner.message(bytes);
  }

  #ping(): void {
    if (!this.#alive) {
      this.#socket.terminate();
      return;
    }
    this.#alive = false;
    this.#socket.ping();
    this.#owner?.keepalive?.('ping-sent');
  }

  #closed(code: number, reason: string): void {
    clearInterval(this.#keepalive);
    clearTimeout(this.#grace);
    this.#ended = { code, reason };
    for (const written of this.#unsent.splice(0)) written();
    this.#owner?.closed(code, reason);
  }
}
