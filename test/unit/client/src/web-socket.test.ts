import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocketServer, WebSocket } from 'ws';
import type { Closed } from '../../../../client/src/channel.ts';
import { connect } from '../../../../client/src/index.ts';
import { openBrowserSocket, openWebSocket } from '../../../../client/src/web-socket.ts';

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

interface Service {
  readonly url: string;
  readonly upgrades: IncomingMessage[];
  readonly sockets: WebSocket[];
}

function serve(): Promise<Service> {
  const http = createServer();
  const sockets: WebSocket[] = [];
  const upgrades: IncomingMessage[] = [];
  new WebSocketServer({ server: http }).on('connection', (socket, request) => {
    sockets.push(socket);
    upgrades.push(request);
  });
  return listen(http, { sockets, upgrades });
}

function listen<T extends object>(http: Server, rest: T): Promise<T & { url: string }> {
  return new Promise((resolve) => {
    http.listen(0, '127.0.0.1', () => {
      open.push(() => {
        http.close();
        http.closeAllConnections();
      });
      resolve({ ...rest, url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}` });
    });
  });
}

const signal = (): AbortSignal => AbortSignal.timeout(5000);

describe('a websocket of Node', () => {
  it('offers the subprotocol, sends the token as a header, and no compression', async () => {
    const { url, upgrades } = await serve();
    const socket = await openWebSocket(url, { token: 'secret', signal: signal() });
    expect(upgrades[0]?.headers).toMatchObject({ 'sec-websocket-protocol': 'iommud.v1', authorization: 'Bearer secret' });
    expect(upgrades[0]?.headers['sec-websocket-extensions']).toBeUndefined();
    socket.close(1000, '');
  });

  it('gives nothing away that comes before somebody listens', async () => {
    const { url, sockets } = await serve();
    const socket = await openWebSocket(url, { token: undefined, signal: signal() });
    sockets[0]?.send(new Uint8Array([1, 2, 3]));
    await new Promise((resolve) => {
      setTimeout(resolve, 30);
    });
    const message = await new Promise<Uint8Array>((resolve) => {
      socket.listen({ message: resolve, closed: () => undefined });
    });
    expect(message).toEqual(new Uint8Array([1, 2, 3]));
    socket.close(1000, '');
  });

  it('closes with 1003 on a text message', async () => {
    const { url, sockets } = await serve();
    const socket = await openWebSocket(url, { token: undefined, signal: signal() });
    const closed = new Promise<Closed>((resolve) => {
      socket.listen({ message: () => undefined, closed: resolve });
    });
    sockets[0]?.send('hello');
    expect(await closed).toMatchObject({ code: 1003 });
  });

  it('tells how it was closed, and when it just broke', async () => {
    const { url, sockets } = await serve();
    const ends: Promise<Closed>[] = [];
    for (let i = 0; i < 2; i++) {
      const socket = await openWebSocket(url, { token: undefined, signal: signal() });
      ends.push(
        new Promise((resolve) => {
          socket.listen({ message: () => undefined, closed: resolve });
        }),
      );
    }
    sockets[0]?.close(1013, 'does not read');
    sockets[1]?.terminate();
    expect(await ends[0]).toEqual({ code: 1013, reason: 'does not read' });
    expect(await ends[1]).toEqual({ code: 1006, reason: 'the connection broke' });
  });

  it('cuts a close reason to what a frame holds', async () => {
    const { url, sockets } = await serve();
    const socket = await openWebSocket(url, { token: undefined, signal: signal() });
    socket.listen({ message: () => undefined, closed: () => undefined });
    const seen = new Promise<string>((resolve) => {
      sockets[0]?.on('close', (_, reason) => resolve(reason.toString()));
    });
    socket.close(1000, 'ä'.repeat(100));
    expect(await seen).toBe('ä'.repeat(61));
  });

  it('names the status of an answer that is no upgrade', async () => {
    const http = createServer((_, response) => response.writeHead(404).end());
    const { url } = await listen(http, {});
    await expect(openWebSocket(url, { token: undefined, signal: signal() })).rejects.toMatchObject({ status: 404 });
    await expect(connect(url)).rejects.toMatchObject({ code: 'ENODEV' });
  });

  it('a refused connection says so', async () => {
    const { url } = await serve();
    open.splice(0).forEach((close) => close());
    await expect(openWebSocket(url, { token: undefined, signal: signal() })).rejects.toMatchObject({
      status: 0,
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('is sent on by a redirect', async () => {
    const { url, upgrades } = await serve();
    const http = createServer().on('upgrade', (_, socket) => socket.end(`HTTP/1.1 307 Elsewhere\r\nLocation: ${url}/there\r\n\r\n`));
    const first = await listen(http, {});
    const socket = await openWebSocket(first.url, { token: undefined, signal: signal() });
    expect(upgrades[0]?.url).toBe('/there');
    socket.close(1000, '');
  });

  it('connecting is given up by its signal', async () => {
    const http = createServer().on('upgrade', () => undefined);
    const { url } = await listen(http, {});
    await expect(openWebSocket(url, { token: undefined, signal: AbortSignal.timeout(30) })).rejects.toMatchObject({ status: 0 });
  });
});

/** Upgrades, and then only listens. */
async function listenOnly(): Promise<{ readonly port: string; readonly received: Buffer[] }> {
  const received: Buffer[] = [];
  const http = createServer().on('upgrade', (request, socket) => {
    const accept = createHash('sha1')
      .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64');
    const headers = ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Protocol: iommud.v1', `Sec-WebSocket-Accept: ${accept}`];
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${headers.join('\r\n')}\r\n\r\n`);
    socket.on('data', (chunk: Buffer) => received.push(chunk));
  });
  const { url } = await listen(http, {});
  return { port: new URL(url).port, received };
}

describe('the bytes on the wire', () => {
  it('are masked with a key that is no constant, as RFC 6455 §5.3 asks of a client', async () => {
    const { port, received } = await listenOnly();
    const socket = await openWebSocket(`ws://127.0.0.1:${port}`, { token: undefined, signal: signal() });
    socket.send(new Uint8Array([1, 2, 3]));
    await vi.waitFor(() => expect(Buffer.concat(received)).toHaveLength(9));
    const bytes = Buffer.concat(received);
    const mask = bytes.subarray(2, 6);
    expect([...bytes.subarray(0, 2)]).toEqual([0x82, 0x83]);
    expect(mask.equals(Buffer.alloc(4))).toBe(false);
    expect([...bytes.subarray(6)].map((byte, index) => byte ^ (mask[index] ?? 0))).toEqual([1, 2, 3]);
  });
});

describe('the close of a server that does not answer it', () => {
  it('is waited for two seconds, and then the connection is cut', async () => {
    const { port } = await listenOnly();
    const socket = await openWebSocket(`ws://127.0.0.1:${port}`, { token: undefined, signal: signal() });
    const started = performance.now();
    await new Promise((resolve) => {
      socket.listen({ message: () => undefined, closed: resolve });
      socket.close(1000, 'done');
    });
    expect(performance.now() - started).toBeGreaterThan(1900);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe('a websocket of a browser', () => {
  // The class of \`ws\` has the interface that browsers have.
  beforeEach(() => {
    vi.stubGlobal('WebSocket', WebSocket);
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it('carries binary messages, and tells how it was closed', async () => {
    const { url, sockets } = await serve();
    const socket = await openBrowserSocket(url, { token: 'not sent here', signal: signal() });
    const seen: Uint8Array[] = [];
    const closed = new Promise<Closed>((resolve) => {
      socket.listen({ message: (bytes) => seen.push(bytes), closed: resolve });
    });
    const echoed = new Promise<Buffer>((resolve) => {
      sockets[0]?.on('message', resolve);
    });
    socket.send(new Uint8Array([5, 6]));
    expect([...(await echoed)]).toEqual([5, 6]);
    sockets[0]?.send(new Uint8Array([7]));
    sockets[0]?.close(1001, 'stopping');
    expect(await closed).toEqual({ code: 1001, reason: 'stopping' });
    expect(seen).toEqual([new Uint8Array([7])]);
  });

  it('stays open when the signal that it was opened with fires later, as a deadline for connecting does', async () => {
    const { url, sockets } = await serve();
    const deadline = new AbortController();
    const socket = await openBrowserSocket(url, { token: undefined, signal: deadline.signal });
    const closed = vi.fn<(closed: Closed) => void>();
    socket.listen({ message: () => undefined, closed });
    const echoed = new Promise<Buffer>((resolve) => {
      sockets[0]?.on('message', resolve);
    });
    deadline.abort();
    socket.send(new Uint8Array([5]));
    expect([...(await echoed)]).toEqual([5]);
    expect(closed).not.toHaveBeenCalled();
  });

  it('closes with a code that a page may use', async () => {
    const { url, sockets } = await serve();
    const codes: Promise<number>[] = [];
    for (const code of [1000, 1002]) {
      const socket = await openBrowserSocket(url, { token: undefined, signal: signal() });
      socket.listen({ message: () => undefined, closed: () => undefined });
      codes.push(
        new Promise((resolve) => {
          sockets.at(-1)?.on('close', resolve);
        }),
      );
      socket.close(code, 'out of order');
    }
    expect(await Promise.all(codes)).toEqual([1000, 1005]);
  });

  it('a text message closes it, and a connection that fails is told', async () => {
    const { url, sockets } = await serve();
    const socket = await openBrowserSocket(url, { token: undefined, signal: signal() });
    const closed = new Promise<Closed>((resolve) => {
      socket.listen({ message: () => undefined, closed: resolve });
    });
    sockets[0]?.send('text');
    await closed;
    open.splice(0).forEach((close) => close());
    await expect(openBrowserSocket(url, { token: undefined, signal: signal() })).rejects.toMatchObject({ status: 0 });
  });
});
