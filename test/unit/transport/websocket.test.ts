import { EventEmitter, once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough, type Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { WebSocketTransport } from '../../../server/src/transport/index.ts';

interface Accepted {
  readonly transport: WebSocketTransport;
  readonly stream: Duplex;
}

let http: Server;
let accepted: Promise<Accepted>;
let client: WebSocket;

beforeEach(async () => {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: (1 << 20) + (64 << 10) + 1024, perMessageDeflate: false });
  http = createServer();
  accepted = new Promise((resolve) => {
    http.on('upgrade', (request, stream, head) => {
      sockets.handleUpgrade(request, stream, head, (socket) => resolve({ transport: new WebSocketTransport(socket, stream), stream }));
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`);
  await once(client, 'open');
});

afterEach(async () => {
  vi.useRealTimers();
  client.terminate();
  await new Promise((resolve) => {
    http.close(resolve);
  });
});

function listen(transport: WebSocketTransport): { readonly got: Buffer[]; readonly closed: Promise<string> } {
  const got: Buffer[] = [];
  const closed = new Promise<string>((resolve) => {
    transport.start({ message: (bytes) => got.push(Buffer.from(bytes)), closed: (code, reason) => resolve(`${code} ${reason}`) });
  });
  return { got, closed };
}
const clientClosed = async (): Promise<string> => {
  const [code, reason] = (await once(client, 'close')) as [number, Buffer];
  return `${code} ${reason.toString()}`;
};

describe('a websocket', () => {
  it('ends the tick when every message of a chunk has been handled, and does not wait for promises', async () => {
    const { transport } = await accepted;
    const order: string[] = [];
    const both = new Promise<void>((resolve) => {
      transport.start({
        message: (bytes) => {
          order.push(`message ${bytes[0]}`);
          transport.atTickEnd(() => order.push('tick'));
          queueMicrotask(() => {
            if (order.push('promise') === 6) resolve();
          });
        },
        closed: () => undefined,
      });
    });
    const socket = (client as unknown as { readonly _socket: Duplex })._socket;
    socket.cork();
    client.send(Uint8Array.of(1));
    client.send(Uint8Array.of(2));
    socket.uncork();
    await both;
    expect(order).toEqual(['message 1', 'message 2', 'tick', 'tick', 'promise', 'promise']);
  });

  it('says that it was pinged', async () => {
    const { transport } = await accepted;
    const said: string[] = [];
    const pinged = new Promise<void>((resolve) => {
      const keepalive = (what: string): void => {
        said.push(what);
        resolve();
      };
      transport.start({ message: () => undefined, closed: () => undefined, keepalive });
    });
    client.ping();
    await pinged;
    expect(said).toEqual(['ping-received']);
  });

  it('moves binary messages both ways, also those from before it was started', async () => {
    client.send(Buffer.of(1, 2));
    const { transport } = await accepted;
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
    const { got } = listen(transport);
    client.send(Buffer.of(3));
    await vi.waitFor(() => expect(got).toEqual([Buffer.of(1, 2), Buffer.of(3)]));
    transport.send(Uint8Array.of(4, 5));
    expect((await once(client, 'message'))[0]).toEqual(Buffer.of(4, 5));
  });

  it('tells when a message has left, in order', async () => {
    const { transport } = await accepted;
    const written: number[] = [];
    transport.send(new Uint8Array(10), () => written.push(1));
    expect(transport.bufferedBytes).toBeGreaterThan(10);
    transport.send(new Uint8Array(1 << 20), () => written.push(2));
    await vi.waitFor(() => expect(written).toEqual([1, 2]));
    expect(transport.bufferedBytes).toBe(0);
  });

  it('tells so in order also when the other end closes in between', async () => {
    const { transport, stream } = await accepted;
    const { closed } = listen(transport);
    const written: number[] = [];
    client.pause();
    // More than the buffers of the two sockets take: it is on its way when the close arrives.
    for (let i = 1; i <= 40; i++) transport.send(new Uint8Array(1 << 20), () => written.push(i));
    client.close(1000);
    await vi.waitFor(() => {
      transport.send(Uint8Array.of(1));
      expect(transport.bufferedBytes).toBeGreaterThan(0);
    });
    const before = written.length;
    expect(before).toBeLessThan(40);
    await vi.waitFor(() => {
      const buffered = transport.bufferedBytes;
      transport.send(Uint8Array.of(1));
      expect(transport.bufferedBytes).toBe(buffered);
    });
    transport.send(Uint8Array.of(1), () => written.push(41));
    expect(written.includes(41)).toBe(false);
    stream.destroy();
    await closed;
    expect(written).toEqual(Array.from({ length: 41 }, (_none, i) => i + 1));
  });

  it('lets a large message go at once and keeps the rest of the tick corked', async () => {
    const { transport, stream } = await accepted;
    const writes = vi.spyOn(stream, '_writev');
    transport.send(new Uint8Array(100));
    expect(writes).not.toHaveBeenCalled();
    transport.send(new Uint8Array(32 << 10));
    expect(writes).toHaveBeenCalledOnce();
    expect(stream.writableCorked).toBe(1);
  });

  it('corks its stream for the rest of the tick', async () => {
    const { transport, stream } = await accepted;
    const corks = vi.spyOn(stream, 'cork');
    transport.send(Uint8Array.of(1));
    expect(stream.writableCorked).toBe(1);
    transport.send(Uint8Array.of(2));
    await Promise.resolve();
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    expect(stream.writableCorked).toBe(0);
    expect(corks).toHaveBeenCalled();
  });

  it('closes a text message with 1003, and takes nothing after it', async () => {
    const { transport } = await accepted;
    const { got, closed } = listen(transport);
    client.send('text');
    client.send(Buffer.of(1));
    expect(await clientClosed()).toBe('1003 binary messages only');
    expect(await closed).toContain('1003');
    expect(got).toEqual([]);
  });

  it('closes a message beyond its bound with 1009', async () => {
    const { transport } = await accepted;
    const { got, closed } = listen(transport);
    client.send(Buffer.alloc((1 << 20) + (64 << 10) + 1024));
    await vi.waitFor(() => expect(got.length).toBe(1));
    client.send(Buffer.alloc((1 << 20) + (64 << 10) + 1025));
    expect(await clientClosed()).toContain('1009');
    await closed;
    expect(got.length).toBe(1);
  });

  it('ends after what was sent, with a reason that fits', async () => {
    const { transport } = await accepted;
    const { closed } = listen(transport);
    const message = once(client, 'message');
    transport.send(Uint8Array.of(7));
    transport.close(1008, 'r'.repeat(200));
    transport.close(1000, 'again');
    expect((await message)[0]).toEqual(Buffer.of(7));
    expect(await closed).toBe(`1008 ${'r'.repeat(123)}`);
    const written = vi.fn<() => void>();
    transport.send(Uint8Array.of(8), written);
    expect(written).toHaveBeenCalledOnce();
  });

  it('tells its owner of an end that came before the owner', async () => {
    const { transport } = await accepted;
    client.terminate();
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    expect(await listen(transport).closed).toBe('1006 ');
  });
});

describe('a websocket whose other end is dead', () => {
  it('is cut when a close is not answered within 2 s', async () => {
    const { transport } = await accepted;
    (client as unknown as { _socket: Duplex })._socket.pause();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { closed } = listen(transport);
    transport.close(1000, 'bye');
    await vi.advanceTimersByTimeAsync(2000);
    expect(await closed).toBe('1006 ');
  });

  it('is pinged every 15 s, and cut when a ping was not answered by the next', () => {
    vi.useFakeTimers();
    const socket = Object.assign(new EventEmitter(), { ping: vi.fn<() => void>(), terminate: vi.fn<() => void>() });
    const { closed } = listen(new WebSocketTransport(socket as unknown as WebSocket, new PassThrough()));
    vi.advanceTimersByTime(15_000);
    expect(socket.ping).toHaveBeenCalledTimes(1);
    socket.emit('pong');
    vi.advanceTimersByTime(15_000);
    socket.emit('message', Buffer.of(1), true);
    vi.advanceTimersByTime(15_000);
    expect(socket.terminate).not.toHaveBeenCalled();
    vi.advanceTimersByTime(15_000);
    expect(socket.ping).toHaveBeenCalledTimes(3);
    expect(socket.terminate).toHaveBeenCalledOnce();
    socket.emit('close', 1006, Buffer.of());
    vi.advanceTimersByTime(60_000);
    expect(socket.terminate).toHaveBeenCalledOnce();
    return expect(closed).resolves.toBe('1006 ');
  });
});
