import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Machine } from '../../../server/src/core/machine/index.ts';
import { createLog } from '../../../server/src/observe/index.ts';
import { service } from './service.ts';

describe('the socket of a machine', () => {
  test('is refused before the upgrade when something is wrong, with a body that says what', async () => {
    const rest = await service();
    const { id } = await rest.make();
    const socket = `/v1/machines/${id}/socket`;
    for (const protocol of [undefined, 'iommud.v2', 'chat, superchat']) {
      await expect(rest.upgrade(socket, protocol === undefined ? {} : { 'sec-websocket-protocol': protocol })).rejects.toThrow('400');
    }
    await expect(rest.upgrade('/v1/machines/nobody/socket')).rejects.toThrow('404');
    const plain = await rest.get(socket);
    expect(plain.statusCode).toBe(426);
    expect(plain.json()).toEqual({
      code: 'EPROTO',
      errno: 71,
      message: 'this is a websocket; connect with subprotocol iommud.v1',
      about: 'upgrade',
    });
  });

  test('serves the machine that it is of; the machine counts its connections', async () => {
    const rest = await service();
    const { id } = await rest.make({ name: 'lab' });
    const connection = await rest.connect('lab', { roles: ['host', 'observer'] });
    expect(connection.granted).toMatchObject({ machine: 'lab', preset: 'basic', pageBytes: [0x1000n, 0x200000n, 0x40000000n] });
    expect(await connection.machine.function('00:02.0').config.read(0, 4)).toBe(0x11d01234);
    expect((await rest.get(`/v1/machines/${id}`)).json()).toMatchObject({ sessions: 1 });
    const { body } = await rest.get('/metrics');
    expect(body).toContain('iommud_sessions 1\n');
    expect(Number(/iommud_frames_total{direction="received"} (\d+)/.exec(body)?.[1])).toBeGreaterThanOrEqual(2);
  });

  test('closes with 1001 when its machine is deleted', async () => {
    const rest = await service();
    const { id } = await rest.make();
    const { closed } = await rest.connect(id);
    await rest.delete(`/v1/machines/${id}`);
    expect(await closed).toEqual({ code: 1001, reason: 'the machine was deleted' });
  });

  test('an ephemeral machine to which nobody connects is deleted after a minute', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const rest = await service();
    const lonely = await rest.make({ ephemeral: true });
    const visited = await rest.make({ ephemeral: true });
    const socket = await rest.upgrade(`/v1/machines/${visited.id}/socket`);
    await vi.advanceTimersByTimeAsync(59_000);
    expect((await rest.get(`/v1/machines/${lonely.id}`)).statusCode).toBe(200);
    await vi.advanceTimersByTimeAsync(2000);
    expect((await rest.get(`/v1/machines/${lonely.id}`)).statusCode).toBe(404);
    socket.terminate();
  });
});

describe('draining', () => {
  test('refuses new calls, tells the sockets, and answers what is in flight in time', async () => {
    const rest = await service({ drainMs: 300 });
    const { id } = await rest.make({ clock: 'manual' });
    const { machine, closed } = await rest.connect(id);
    const probe = machine.function('00:02.0');
    const page = await machine.memory.alloc(4096);
    await probe.dma.map({ iova: 0x10000, address: page.address, bytes: 4096, access: 'rw' });
    const held = probe.model.write(0x10000, 'held', { hold: 'translated' });
    const socketCall = held.then(
      () => 'done',
      (error: unknown) => error,
    );
    const restCall = rest.post(`/v1/machines/${id}/functions/00:02.0/reset-prepare`, { token: 'w', deadlineMs: 10 });
    await vi.waitFor(async () => expect((await rest.get(`/v1/machines/${id}/functions/00:02.0`)).json()).toMatchObject({ gate: 'closed' }));
    const started = performance.now();
    const closing = Promise.resolve(rest.app.close());
    await vi.waitFor(async () =>
      expect((await machine.info().catch((error: unknown) => error)) as object).toMatchObject({ code: 'ESHUTDOWN' }),
    );
    expect(await socketCall).toMatchObject({ code: 'ESHUTDOWN' });
    const answer = await restCall;
    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toMatchObject({ code: 'ESHUTDOWN', errno: 108 });
    expect(await closed).toMatchObject({ code: 1001 });
    await closing;
    expect(performance.now() - started).toBeLessThan(3000);
  });
});

describe('trace files', () => {
  function folder(): string {
    const path = mkdtempSync(join(tmpdir(), 'iommud-traces-'));
    onTestFinished(() => rmSync(path, { recursive: true }));
    return path;
  }

  test('one for each machine, complete when the machine is deleted', async () => {
    const traceDir = folder();
    const rest = await service({ traceDir });
    const { id } = await rest.make();
    await rest.post(`/v1/machines/${id}/functions/00:02.0/reset`, { method: 'flr', deadlineMs: 1 });
    await rest.delete(`/v1/machines/${id}`);
    await rest.app.close();
    expect(readdirSync(traceDir)).toEqual([`${id}.jsonl`]);
    const kinds = readFileSync(join(traceDir, `${id}.jsonl`), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { kind: string }).kind);
    expect(kinds).toContain('prepare');
    expect(kinds.indexOf('prepare')).toBeLessThan(kinds.indexOf('function-reset'));
    expect(kinds.lastIndexOf('done')).toBeGreaterThan(kinds.indexOf('function-reset'));
  });

  test('that cannot be written are one line in the log, and the machine works', async () => {
    const log = join(folder(), 'log');
    writeFileSync(log, '');
    const rest = await service({ traceDir: join(folder(), 'none'), log: createLog('error', log) });
    const { id } = await rest.make();
    await vi.waitFor(() => expect(readFileSync(log, 'utf8')).toContain('the trace ends here, the machine goes on'));
    expect((await rest.post(`/v1/machines/${id}/functions/00:02.0/reset`, { method: 'flr', deadlineMs: 1 })).statusCode).toBe(200);
    expect(readFileSync(log, 'utf8').trim().split('\n')).toHaveLength(1);
  });
});

describe('the log', () => {
  test('names request, machine and function on each line about them', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'iommud-log-')), 'log');
    const rest = await service({ log: createLog('info', path) });
    const { id } = await rest.make({ name: 'lab' });
    await rest.get('/v1/machines/lab/functions/00:02.0');
    const lines = readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const about = lines.filter((line) => line['function'] !== undefined);
    expect(about.length).toBeGreaterThan(0);
    for (const line of about)
      expect(line).toMatchObject({ requestId: expect.stringMatching(/^req-/) as string, machine: 'lab', function: '00:02.0' });
    expect(lines).toContainEqual(expect.objectContaining({ machine: id, msg: 'machine created' }));
  });

  // Skipped where there is no /dev/full, the device of Linux that answers every write with ENOSPC.
  test.skipIf(!existsSync('/dev/full'))('on a full disk is lost, and the service goes on', async () => {
    const rest = await service({ log: createLog('info', '/dev/full') });
    await rest.make();
    await rest.make();
    expect((await rest.get('/v1/machines')).statusCode).toBe(200);
  });
});

describe('a machine that meets a bug of ours', () => {
  test('says so until it is deleted, and the others go on', async () => {
    const rest = await service();
    const other = await rest.make();
    const { id } = await rest.make();
    const { closed } = await rest.connect(id);
    vi.spyOn(Machine.prototype, 'submit').mockImplementationOnce(() => {
      throw new TypeError('x is undefined');
    });
    expect((await rest.get(`/v1/machines/${id}/functions`)).statusCode).toBe(503);
    expect(await closed).toMatchObject({ code: 1011 });
    const again = await rest.get(`/v1/machines/${id}/functions`);
    expect(again.statusCode).toBe(500);
    expect(again.json()).toMatchObject({ code: 'EIO', about: 'machine', message: expect.stringContaining('crashed on a bug') as string });
    await expect(rest.upgrade(`/v1/machines/${id}/socket`)).rejects.toThrow('500');
    expect((await rest.get(`/v1/machines/${id}`)).json()).toMatchObject({ state: 'crashed' });
    expect((await rest.get('/metrics')).body).toContain('iommud_machine_crashes_total 1\n');
    expect((await rest.get(`/v1/machines/${other.id}/functions`)).statusCode).toBe(200);
    expect((await rest.delete(`/v1/machines/${id}`)).statusCode).toBe(204);
  });
});
