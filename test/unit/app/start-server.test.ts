import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect as connectTcp, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { connect } from '../../../client/src/index.ts';
import { ListenError, SettingsError, startServer, type RunningServer, type StartOptions } from '../../../server/src/app/index.ts';

interface Made {
  readonly id: string;
  readonly socketUrl: string;
}

async function start(options: StartOptions = {}): Promise<RunningServer> {
  const server = await startServer({ port: 0, logLevel: 'silent', drainMs: 300, ...options });
  onTestFinished(() => server.close());
  return server;
}

async function make(server: RunningServer, body: object = {}): Promise<Made> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${server.url}/v1/machines`, { method: 'POST', headers, body: JSON.stringify({ preset: 'basic', ...body }) });
  return (await answer.json()) as Made;
}

async function status(server: RunningServer, path: string): Promise<number> {
  return (await fetch(`${server.url}${path}`)).status;
}

describe('the end of a service', () => {
  test.each([
    ['asks nothing', ''],
    ['stops in the middle of a header', 'GET /healthz HT'],
    [
      'stops in the middle of a body',
      'POST /v1/machines HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
    ],
  ])('is not held up by a connection that %s', async (_what, text) => {
    const server = await start();
    const stray = connectTcp(Number(new URL(server.url).port), '127.0.0.1');
    onTestFinished(() => void stray.destroy());
    await new Promise((resolve) => {
      stray.once('connect', resolve);
    });
    stray.write(text);
    const cut = new Promise((resolve) => {
      stray.once('close', resolve).on('error', () => undefined);
    });
    stray.resume();
    expect(await status(server, '/healthz')).toBe(200);
    const started = performance.now();
    await server.close();
    await cut;
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe('an ephemeral machine', () => {
  test('lives with the first connection that was granted a role, and not with a stranger', async () => {
    const server = await start({ tokens: [{ token: 'secret', roles: ['host'], machines: ['*'] }] });
    const authorization = 'Bearer secret';
    const headers = { authorization, 'content-type': 'application/json' };
    const body = JSON.stringify({ preset: 'basic', ephemeral: true });
    const { id, socketUrl } = (await (await fetch(`${server.url}/v1/machines`, { method: 'POST', headers, body })).json()) as Made;
    const there = async (): Promise<number> => (await fetch(`${server.url}/v1/machines/${id}`, { headers: { authorization } })).status;
    const stranger = new WebSocket(socketUrl, 'iommud.v1');
    await new Promise((resolve) => {
      stranger.once('open', resolve);
    });
    const gone = new Promise((resolve) => {
      stranger.once('close', resolve);
    });
    stranger.close();
    await gone;
    await expect(connect(socketUrl, { token: 'secret', roles: ['device'] })).rejects.toMatchObject({ code: 'EPERM' });
    expect(await there()).toBe(200);
    const connection = await connect(socketUrl, { token: 'secret' });
    expect(await there()).toBe(200);
    await connection.close();
    await vi.waitFor(async () => expect(await there()).toBe(404));
  });
});

describe('a service on a port', () => {
  test('is at the address that it says', async () => {
    const server = await start();
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await status(server, '/healthz')).toBe(200);
    const six = await start({ host: '::1' });
    expect(six.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    expect(await status(six, '/healthz')).toBe(200);
  });

  test('all addresses are told as one that can be connected to', async () => {
    const server = await start({ host: '0.0.0.0', insecure: true });
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await status(server, '/healthz')).toBe(200);
  });

  test('beyond loopback it does not start without a token', async () => {
    await expect(startServer({ host: '0.0.0.0', port: 0, logLevel: 'silent' })).rejects.toThrow(SettingsError);
    await expect(startServer({ host: '::', port: 0, logLevel: 'silent' })).rejects.toThrow('IOMMUD_TOKEN');
    await start({ host: '0.0.0.0', tokens: [{ token: 't', roles: ['host'], machines: ['*'] }] });
  });

  test('a port in use is one sentence', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => {
      taken.once('listening', resolve);
    });
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as AddressInfo;
    const failed = startServer({ port, logLevel: 'silent' });
    await expect(failed).rejects.toThrow(ListenError);
    await expect(failed).rejects.toThrow(`cannot listen on 127.0.0.1:${port}: the port is in use (EADDRINUSE)`);
  });

  test('an address that is not this machine’s is one sentence', async () => {
    const failed = startServer({ host: '192.0.2.1', port: 0, insecure: true, logLevel: 'silent' });
    await expect(failed).rejects.toThrow('cannot listen on 192.0.2.1:0: this machine has no such address (EADDRNOTAVAIL)');
  });

  test('gives a socketUrl that is used as it is, and counts who is connected', async () => {
    const server = await start();
    const { id, socketUrl } = await make(server);
    const connection = await connect(socketUrl);
    expect(await connection.machine.function('00:02.0').config.read(0, 4)).toBe(0x11d01234);
    const sessions = async () => ((await (await fetch(`${server.url}/v1/machines/${id}`)).json()) as { sessions: number }).sessions;
    expect(await sessions()).toBe(1);
    await connection.close();
    await vi.waitFor(async () => expect(await sessions()).toBe(0));
  });

  test('closes a socket with the code of what it broke: text 1003, garbage 1007, too long 1009', async () => {
    const server = await start();
    const { socketUrl } = await make(server);
    for (const [message, code] of [
      ['text', 1003],
      [Buffer.alloc(10, 0xff), 1007],
      [Buffer.alloc((1 << 20) + (64 << 10) + 1025), 1009],
    ] as const) {
      const socket = new WebSocket(socketUrl, 'iommud.v1', { perMessageDeflate: false });
      const closed = new Promise((resolve) => {
        socket.on('open', () => socket.send(message)).on('close', resolve);
      });
      expect(await closed).toBe(code);
    }
    expect(await status(server, '/healthz')).toBe(200);
  });

  test('speaks iommud.v1 and no compression', async () => {
    const server = await start();
    const { socketUrl } = await make(server);
    const socket = new WebSocket(socketUrl, ['other', 'iommud.v1']);
    await new Promise((resolve) => {
      socket.on('open', resolve);
    });
    expect([socket.protocol, socket.extensions]).toEqual(['iommud.v1', '']);
    socket.terminate();
  });

  test('makes the folder for traces, or says that it cannot', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'iommud-start-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const server = await start({ traceDir: join(folder, 'a', 'b') });
    const { id } = await make(server);
    await vi.waitFor(() => expect(existsSync(join(folder, 'a', 'b', `${id}.jsonl`))).toBe(true));
    for (const [traceDir, code] of [
      ['/dev/null', 'EEXIST'],
      ['/dev/null/x', 'ENOTDIR'],
      ['/proc/none/x', 'ENOENT'],
    ]) {
      await expect(startServer({ port: 0, logLevel: 'silent', traceDir: traceDir! })).rejects.toThrow(`IOMMUD_TRACE_DIR: ${code}`);
    }
  });

  test('deletes an ephemeral machine when the first socket to it closes', async () => {
    const server = await start();
    const { id, socketUrl } = await make(server, { ephemeral: true });
    const first = await connect(socketUrl);
    const second = await connect(socketUrl);
    await second.close();
    expect(await status(server, `/v1/machines/${id}`)).toBe(200);
    const third = await connect(socketUrl);
    await first.close();
    await vi.waitFor(async () => expect(await status(server, `/v1/machines/${id}`)).toBe(404));
    expect(await third.closed).toMatchObject({ code: 1001 });
  });
});

describe('close', () => {
  test('ends at once when nothing is in flight, and is the same when called again', async () => {
    const server = await start({ drainMs: 60_000 });
    const { socketUrl } = await make(server);
    const connection = await connect(socketUrl);
    const started = performance.now();
    await Promise.all([server.close(), server.close()]);
    expect(performance.now() - started).toBeLessThan(5000);
    expect(await connection.closed).toMatchObject({ code: 1001 });
    await expect(fetch(server.url)).rejects.toThrow('fetch failed');
  });

  test('says Draining, refuses what is new, and lets what is in flight end', async () => {
    const server = await start({ drainMs: 20_000 });
    const { id, socketUrl } = await make(server, { clock: 'real' });
    const connection = await connect(socketUrl);
    const { machine } = connection;
    const probe = machine.function('00:02.0');
    const page = await machine.memory.alloc(4096);
    await probe.dma.map({ iova: 0x10000, address: page.address, bytes: 4096, access: 'rw' });
    const slow = probe.model.write(0x10000, 'late', { hold: 'translated', holdMs: 1500 });
    await machine.info();
    const closing = server.close();
    await vi.waitFor(() => expect(connection.drainingMs).toBe(20_000));
    await expect(machine.info()).rejects.toMatchObject({ code: 'ESHUTDOWN' });
    const refused = await fetch(`${server.url}/v1/machines/${id}`);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ code: 'ESHUTDOWN', errno: 108 });
    expect(await status(server, '/readyz')).toBe(503);
    expect(await status(server, '/healthz')).toBe(200);
    expect(await slow).toMatchObject({ outcome: 'performed', bytes: 4 });
    await closing;
    expect(await connection.closed).toMatchObject({ code: 1001 });
  });
});
