import { describe, expect, test } from 'vitest';
import { SNAPSHOT_BYTES_MAX } from '../../../proto/limits.ts';
import { service, type Machine, type Service } from './service.ts';

const TOKENS = [
  { token: 'all', machines: ['*'], roles: ['host'] },
  { token: 'eyes', machines: ['*'], roles: ['observer'] },
  { token: 'some', machines: ['lab-*'], roles: ['host'] },
] as const;
const BYTES = { 'content-type': 'application/octet-stream' };

async function saved(rest: Service, machine: string): Promise<Buffer> {
  const answer = await rest.get(`/v1/machines/${machine}/snapshot`);
  expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'application/octet-stream']);
  return answer.rawPayload;
}

function load(rest: Service, file: Uint8Array, query = '', headers: Record<string, string> = {}) {
  return rest.post(`/v1/machines/snapshot${query}`, Buffer.from(file), { ...BYTES, ...headers });
}

describe('a machine as a file', () => {
  test('is made again in the middle of a reset window, with what hosts have written, and without their sockets', async () => {
    const rest = await service();
    const { id } = await rest.make({ name: 'lab', clock: 'manual', seed: 9 });
    const host = await rest.connect(id);
    const { address } = await host.machine.memory.alloc(4096);
    await host.machine.memory.write(address, Buffer.from('kept'));
    expect((await rest.post(`/v1/machines/${id}/functions/00:02.0/reset-prepare`, { token: 'w', deadlineMs: 10 })).statusCode).toBe(200);
    const file = await saved(rest, id);
    await rest.delete(`/v1/machines/${id}`);

    const made = await load(rest, file);
    expect(made.statusCode).toBe(201);
    const machine = made.json<Machine>();
    expect(made.headers.location).toBe(`/v1/machines/${machine.id}`);
    expect(machine).toMatchObject({ name: 'lab', source: 'snapshot', seed: 9, clock: 'manual', functions: 4, sessions: 0 });
    expect((await rest.get('/v1/machines/lab/functions/00:02.0')).json()).toMatchObject({ blocked: true });
    const other = await rest.connect(machine.id);
    expect(Buffer.from(await other.machine.memory.read(address, 4)).toString()).toBe('kept');
    expect((await rest.post('/v1/machines/lab/functions/00:02.0/reset-done', { token: 'w' })).json()).toMatchObject({ depth: 0 });
    expect((await rest.get('/v1/machines/lab/functions/00:02.0')).json()).toMatchObject({ blocked: false });
  });

  test('goes on beside the one that was saved, under another name', async () => {
    const rest = await service();
    await rest.make({ name: 'lab' });
    const file = await saved(rest, 'lab');
    const taken = await load(rest, file);
    expect([taken.statusCode, taken.json<{ code: string }>().code]).toEqual([409, 'EEXIST']);
    expect((await load(rest, file, '?name=twin')).json()).toMatchObject({ name: 'twin' });
    expect(Buffer.compare(await saved(rest, 'lab'), file)).toBe(0);
  });

  test('of a clock that is real goes on with the time that it had', async () => {
    const rest = await service();
    const { id } = await rest.make({ name: 'lab', clock: 'real' });
    const host = await rest.connect(id);
    await host.machine.function('00:02.0').resetPrepare({ token: 'w', deadlineMs: 1 });
    const before = (await host.machine.clock.info()).nowNs;
    const twin = (await load(rest, await saved(rest, id), '?name=twin')).json<Machine>();
    const after = (await (await rest.connect(twin.id)).machine.clock.info()).nowNs;
    expect(after >= before).toBe(true);
  });

  test('is made once where it is sent again with the same key', async () => {
    const rest = await service();
    await rest.make({ name: 'lab' });
    const file = await saved(rest, 'lab');
    const first = (await load(rest, file, '?name=twin', { 'idempotency-key': 'k' })).json<Machine>();
    expect((await load(rest, file, '?name=twin', { 'idempotency-key': 'k' })).json<Machine>().id).toBe(first.id);
    expect((await load(rest, file, '?name=other', { 'idempotency-key': 'k' })).statusCode).toBe(422);
  });
});

describe('is refused', () => {
  test('a file that is damaged, cut off, or none, with why; and nothing is made', async () => {
    const rest = await service();
    await rest.make({ name: 'lab' });
    const file = await saved(rest, 'lab');
    const flipped = Buffer.from(file);
    flipped[file.length >> 1]! ^= 4;
    for (const [bytes, why] of [
      [flipped, 'checksum'],
      [file.subarray(0, 500), 'cut off at byte 500'],
      [Buffer.from('no'), 'does not begin as one'],
    ] as const) {
      const answer = await load(rest, bytes, '?name=twin');
      expect([answer.statusCode, answer.json()]).toEqual([
        400,
        expect.objectContaining({ code: 'EINVAL', about: 'snapshot', message: expect.stringContaining(why) }),
      ]);
    }
    expect((await rest.get('/v1/machines')).json<{ machines: unknown[] }>().machines).toHaveLength(1);
  });

  test('another type of content, more than a snapshot may have, and a field that there is none of', async () => {
    const rest = await service();
    expect((await rest.post('/v1/machines/snapshot', { a: 1 })).statusCode).toBe(415);
    const long = await rest.post('/v1/machines/snapshot', Buffer.from('x'), { ...BYTES, 'content-length': String(SNAPSHOT_BYTES_MAX + 1) });
    expect(long.statusCode).toBe(413);
    expect((await load(rest, Buffer.from('x'), '?seed=1')).statusCode).toBe(400);
  });

  test('who may not read, make, or name it so', async () => {
    const rest = await service({ tokens: TOKENS });
    const all = rest.as('all');
    await all.make({ name: 'lab-1' });
    const file = await saved(rest.as('eyes'), 'lab-1');
    expect((await load(rest.as('eyes'), file, '?name=x')).statusCode).toBe(403);
    expect((await load(rest.as('some'), file, '?name=x')).statusCode).toBe(403);
    expect((await load(rest.as('some'), file, '?name=lab-2')).statusCode).toBe(201);
    await all.make({ name: 'other' });
    expect((await rest.as('some').get('/v1/machines/other/snapshot')).statusCode).toBe(404);
    expect((await rest.get('/v1/machines/lab-1/snapshot')).statusCode).toBe(401);
  });
});
