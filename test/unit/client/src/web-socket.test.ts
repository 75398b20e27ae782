import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import type { Closed } from '../../../../client/src/channel.ts';
import { connect } from '../../../../client/src/index.ts';
import { openWebSocket } from '../../../../client/src/web-socket.ts';

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
