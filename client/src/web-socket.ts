/** Sockets of the platform: the package `ws` in Node, the global WebSocket in browsers. */
import type NodeWebSocket from 'ws';
import { CLOSE } from '../../proto/index.ts';
import { CLOSE_GRACE_MS, CLOSE_REASON_BYTES_MAX, KEEPALIVE_MS, MESSAGE_BYTES_MAX } from '../../proto/limits.ts';
import type { Closed } from './channel.ts';
import { NotConnected, type OpenOptions, type OpenSocket, type Socket, type SocketListener } from './socket.ts';

export const SUBPROTOCOL = 'iommud.v1';
/** A request that reaches the wrong node is sent on. */
const REDIRECTS_MAX = 3;
const BROKEN = 1006;
/** An option of `ws` that its type declarations do not have. */
const CLOSE_IN_TIME = { closeTimeout: CLOSE_GRACE_MS };

/** The socket for this platform. */
export const openWebSocket: OpenSocket = (url, options) => (inNode() ? openNodeSocket(url, options) : openBrowserSocket(url, options));

function inNode(): boolean {
  const { process } = globalThis as { process?: { versions?: { node?: string } } };
  return process?.versions?.node !== undefined;
}

async function openNodeSocket(url: string, { token, signal }: OpenOptions): Promise<Socket> {
  const { WebSocket } = await import('ws');
  const socket = new WebSocket(url, SUBPROTOCOL, {
    perMessageDeflate: false,
    maxPayload: MESSAGE_BYTES_MAX,
    followRedirects: true,
    maxRedirects: REDIRECTS_MAX,
    ...CLOSE_IN_TIME,
    ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
  });
  socket.on('upgrade', ({ socket: tcp }) => tcp.setKeepAlive(true, KEEPALIVE_MS));
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => socket.terminate();
    const settle = (error?: NotConnected): void => {
      signal.removeEventListener('abort', abort);
      if (error === undefined) resolve();
      else reject(error);
    };
    signal.addEventListener('abort', abort);
    socket.on('open', () => {
      // Until somebody listens.
      socket.pause();
      settle();
    });
    socket.on('error', (error) => settle(new NotConnected(reasonOf(error), 0, error)));
    socket.on('unexpected-response', (request, response) => {
      const status = response.statusCode ?? 0;
      settle(new NotConnected(`HTTP ${status} ${response.statusMessage ?? ''}`.trimEnd(), status));
      request.destroy();
    });
    if (signal.aborted) abort();
  });
  return new NodeSocket(socket);
}

/** `connect ECONNREFUSED 127.0.0.1:7411`; several addresses that all failed come as one error without a message. */
function reasonOf(error: Error): string {
  if (error instanceof AggregateError)
    return error.errors.map((one: unknown) => (one instanceof Error ? one.message : String(one))).join('; ');
  return error.message;
}

class NodeSocket implements Socket {
  readonly #socket: NodeWebSocket;
  #broke = '';

  constructor(socket: NodeWebSocket) {
    this.#socket = socket;
    socket.on('error', (error) => {
      this.#broke = error.message;
    });
  }

  send(message: Uint8Array): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(message);
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, shortened(reason));
  }

  listen(listener: SocketListener): void {
    this.#socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) listener.message(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      else this.close(CLOSE.text, 'binary messages only');
    });
    this.#socket.on('close', (code, reason) => listener.closed(closedOf(code, reason.toString(), this.#broke)));
    this.#socket.resume();
  }
}

/** Over the global WebSocket. */
export async function openBrowserSocket(url: string, { signal }: OpenOptions): Promise<Socket> {
  const socket = new WebSocket(url, SUBPROTOCOL);
  socket.binaryType = 'arraybuffer';
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => socket.close();
    signal.addEventListener('abort', abort);
    // The signal is for connecting: one that fires later must not close the connection.
    socket.onopen = () => {
      signal.removeEventListener('abort', abort);
      resolve();
    };
    // A browser tells a page nothing about why a connection failed.
    socket.onerror = () => {
      signal.removeEventListener('abort', abort);
      reject(new NotConnected('the connection failed', 0));
    };
    socket.onclose = socket.onerror;
    if (signal.aborted) abort();
  });
  return new BrowserSocket(socket);
}

class BrowserSocket implements Socket {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  send(message: Uint8Array): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message as Uint8Array<ArrayBuffer>);
  }

  close(code: number, reason: string): void {
    // Browsers let a page close with 1000 or a number of its own only.
    if (code === CLOSE.normal) this.#socket.close(code, shortened(reason));
    else this.#socket.close();
  }

  listen(listener: SocketListener): void {
    this.#socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) listener.message(new Uint8Array(data));
      else this.close(CLOSE.text, 'binary messages only');
    };
    this.#socket.onclose = ({ code, reason }) => listener.closed(closedOf(code, reason, ''));
  }
}

function closedOf(code: number, reason: string, broke: string): Closed {
  return { code, reason: reason !== '' || code !== BROKEN ? reason : broke || 'the connection broke' };
}

/** A close reason of at most as many UTF-8 bytes as a control frame holds. */
function shortened(reason: string): string {
  const encoder = new TextEncoder();
  let text = reason.slice(0, CLOSE_REASON_BYTES_MAX);
  while (encoder.encode(text).length > CLOSE_REASON_BYTES_MAX) text = text.slice(0, -1);
  return text;
}
