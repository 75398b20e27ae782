/** `iommud serve` and the server's own entry, as a supervisor meets them: the ready line, signals, exit codes. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { connect } from '../../client/src/index.ts';
import { CLI, ROOT, SERVER, TIMEOUT_MS, environment, run, start } from './cli-process.ts';

describe('iommud serve', () => {
  test.each([
    ['iommud serve', [...CLI, 'serve', '--listen', '127.0.0.1:0']],
    ['dist/server/src/main.js', [...SERVER, '--listen', '127.0.0.1:0']],
  ])('%s: one JSON line when ready, logs on stderr, and SIGTERM ends it with 0', { timeout: TIMEOUT_MS }, async (_name, args) => {
    const service = await start(args);
    expect(Object.keys(service.ready).sort()).toEqual(['pid', 'url', 'version']);
    expect(service.url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    expect(service.ready).toMatchObject({ pid: service.child.pid, version: expect.stringMatching(/^\d+\.\d+\.\d+$/) as string });
    expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
    service.child.kill('SIGTERM');
    const { code, out, err } = await service.ended;
    expect(code).toBe(0);
    expect(out.trim().split('\n')).toHaveLength(1);
    for (const line of err.trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('msg');
  });

  test('SIGTERM with a call in flight: Draining, ESHUTDOWN within the bound, exit 0', { timeout: TIMEOUT_MS }, async () => {
    const service = await start([...CLI, 'serve', '--listen', '127.0.0.1:0'], { IOMMUD_DRAIN_MS: '700', IOMMUD_LOG_LEVEL: 'error' });
    const body = JSON.stringify({ preset: 'basic', clock: 'manual' });
    const made = await fetch(`${service.url}/v1/machines`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    const connection = await connect(((await made.json()) as { socketUrl: string }).socketUrl);
    const { machine, closed } = connection;
    const probe = machine.function('00:02.0');
    const page = await machine.memory.alloc(4096);
    await probe.dma.map({ iova: 0x10000, address: page.address, bytes: 4096, access: 'rw' });
    const held = probe.model.write(0x10000, 'held', { hold: 'translated' }).catch((error: unknown) => error);
    await machine.info();
    const started = performance.now();
    service.child.kill('SIGTERM');
    expect(await held).toMatchObject({ code: 'ESHUTDOWN' });
    expect(connection.drainingMs).toBe(700);
    expect(performance.now() - started).toBeGreaterThan(500);
    expect(await closed).toMatchObject({ code: 1001 });
    expect((await service.ended).code).toBe(0);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test('--exit-with-stdin: ends with 0 when its standard input does, and not without', { timeout: TIMEOUT_MS }, async () => {
    const with_ = await start([...CLI, 'serve', '--listen', '127.0.0.1:0', '--exit-with-stdin', '--log-level', 'silent']);
    with_.child.stdin.end();
    expect(await with_.ended).toMatchObject({ code: 0, err: '' });
    const without = await start([...CLI, 'serve', '--listen', '127.0.0.1:0', '--log-level', 'silent']);
    without.child.stdin.end();
    await new Promise((resolve) => {
      setTimeout(resolve, 300);
    });
    expect((await fetch(`${without.url}/healthz`)).status).toBe(200);
    without.child.kill('SIGINT');
    expect((await without.ended).code).toBe(0);
  });

  test('a port in use is one line and 1', { timeout: TIMEOUT_MS }, async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void taken.close());
    await new Promise((resolve) => {
      taken.once('listening', resolve);
    });
    const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
    for (const { code, out, err } of await Promise.all([
      run([...CLI, 'serve', '--listen', address]),
      run([...SERVER, '--listen', address]),
    ])) {
      expect({ code, out }).toEqual({ code: 1, out: '' });
      expect(err).toMatch(/^iommud: cannot listen on .*: the port is in use \(EADDRINUSE\).*\n$/);
    }
  });

  test.each([
    [
      'beyond loopback without a token',
      ['--listen', '0.0.0.0:0'],
      {},
      'iommud: will not listen on 0.0.0.0, which is beyond loopback, without a token',
    ],
    ['an address that is none', ['--listen', 'here'], {}, "iommud: cannot listen on 'here': write HOST:PORT"],
    ['a variable that is wrong', [], { IOMMUD_DRAIN_MS: 'long' }, "iommud: IOMMUD_DRAIN_MS is 'long'; write a whole number"],
  ])('%s is one line and 2', { timeout: TIMEOUT_MS }, async (_name, args, env, line) => {
    for (const { code, out, err } of await Promise.all([run([...CLI, 'serve', ...args], env), run([...SERVER, ...args], env)])) {
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err.startsWith(line)).toBe(true);
      expect(err.trim().split('\n')).toHaveLength(1);
    }
  });

  // Skipped where there is no /dev/full, the device of Linux that answers every write with ENOSPC.
  test.skipIf(!existsSync('/dev/full'))('goes on when its log cannot be written', { timeout: TIMEOUT_MS }, async () => {
    const command = `exec "${process.execPath}" ${CLI.join(' ')} serve --listen 127.0.0.1:0 2>/dev/full`;
    const child = spawn('sh', ['-c', command], { cwd: ROOT, env: environment({}), stdio: ['pipe', 'pipe', 'pipe'] });
    const line = await new Promise<string>((resolve) => {
      child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString()));
    });
    const { url } = JSON.parse(line) as { url: string };
    for (let asked = 0; asked < 3; asked++) expect((await fetch(`${url}/v1/machines`)).status).toBe(200);
    const ended = new Promise((resolve) => {
      child.once('close', resolve);
    });
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });
});
