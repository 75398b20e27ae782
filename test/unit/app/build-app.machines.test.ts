// long: every route of machines, and the list of all routes
import { describe, expect, test } from 'vitest';
import { service, type Machine } from './service.ts';

const DUMP = `00:00.0 Host bridge: an example
00: 86 80 00 20 06 00 00 00 00 00 00 06 00 00 00 00
10: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
20: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
30: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
`;

const TOPOLOGY = {
  schema: 'iommud.topology/v1',
  name: 'two',
  functions: [
    { address: '00:00.0', model: 'host-bridge' },
    { address: '00:02.0', model: 'dma-probe' },
  ],
};

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

describe('making a machine', () => {
  test('from a preset: everything that was said comes back, with what was not', async () => {
    const rest = await service();
    const made = await rest.post('/v1/machines', {
      preset: 'basic',
      name: 'lab',
      seed: 7,
      clock: 'manual',
      behaviour: 'linux-7.1',
      labels: { team: 'x' },
    });
    expect(made.statusCode).toBe(201);
    const body = made.json<Machine>();
    expect(made.headers.location).toBe(`/v1/machines/${body.id}`);
    expect(body.id).toMatch(/^m-[0-9a-f]{12}$/);
    expect(body).toMatchObject({
      name: 'lab',
      source: 'preset basic',
      seed: 7,
      clock: 'manual',
      behaviour: 'linux-7.1',
      labels: { team: 'x' },
      functions: 4,
      iommu: true,
      ephemeral: false,
      expiresAt: null,
      sessions: 0,
      warnings: [],
    });
    expect(await rest.make()).toMatchObject({ seed: 1, clock: 'auto', behaviour: 'strict', labels: {} });
    expect(await rest.make({ preset: 'no-iommu' })).toMatchObject({ iommu: false, functions: 2 });
  });

  test('from a topology as an object, and as text in YAML', async () => {
    const rest = await service();
    expect((await rest.post('/v1/machines', { topology: TOPOLOGY })).json()).toMatchObject({
      name: 'two',
      source: 'topology',
      functions: 2,
    });
    const yaml = 'schema: iommud.topology/v1\nfunctions:\n  - { address: "00:02.0", model: dma-probe }\n';
    expect((await rest.post('/v1/machines', { topology: yaml })).json()).toMatchObject({ source: 'topology', functions: 1 });
  });

  test("from a dump, and the request's name goes before the document's", async () => {
    const rest = await service();
    expect((await rest.post('/v1/machines', { lspci: DUMP })).json()).toMatchObject({ source: 'lspci', functions: 1 });
    expect((await rest.post('/v1/machines', { topology: TOPOLOGY, name: 'mine' })).json()).toMatchObject({ name: 'mine' });
  });

  test('a dump whose capabilities are broken is loaded with a warning', async () => {
    const rest = await service();
    const bytes = new Uint8Array(256);
    // Status: it has capabilities; the first, at 0x40, names itself as the next.
    bytes.set([0x86, 0x80, 0x00, 0x20, 0x06, 0x00, 0x10, 0x00]);
    bytes.set([0x40], 0x34);
    bytes.set([0x01, 0x40], 0x40);
    const rows = Array.from(
      { length: 16 },
      (_, row) =>
        `${row.toString(16)}0: ${Buffer.from(bytes.subarray(row * 16, row * 16 + 16))
          .toString('hex')
          .replace(/../g, '$& ')}`,
    );
    const loop = ['00:00.0 Host bridge: an example', ...rows, ''].join('\n');
    const made = (await rest.post('/v1/machines', { lspci: loop })).json<{ warnings: string[] }>();
    expect(made.warnings).toEqual([expect.stringMatching(/00:00\.0.*0x?40/)]);
  });

  test('the socket is where the caller reached the service, or at its public address', async () => {
    const rest = await service();
    const made = await rest.post('/v1/machines', { preset: 'basic' }, { host: 'box.example:8080' });
    const { id, socketUrl } = made.json<Machine>();
    expect(socketUrl).toBe(`ws://box.example:8080/v1/machines/${id}/socket`);
    const behind = await (await service({ publicUrl: 'https://iommud.example/lab' })).make();
    expect(behind.socketUrl).toBe(`wss://iommud.example/lab/v1/machines/${behind.id}/socket`);
  });

  test.each([
    ['no source', {}, 400, 'EINVAL', 'topology', 'give one of topology, lspci and preset, not none of them'],
    ['two sources', { preset: 'basic', lspci: DUMP }, 400, 'EINVAL', 'preset', 'not lspci and preset'],
    ['an unknown preset', { preset: 'huge' }, 400, 'EINVAL', 'preset', 'there is no preset "huge"'],
    ['a field that is none', { preset: 'basic', sed: 1 }, 400, 'EINVAL', 'sed', 'sed is not a field here'],
    ['a seed that is text', { preset: 'basic', seed: '7' }, 400, 'EINVAL', 'seed', 'seed must be integer'],
    ['a seed of 33 bits', { preset: 'basic', seed: 4_294_967_296 }, 400, 'EINVAL', 'seed', 'must be <= 4294967295'],
    ['an unknown clock', { preset: 'basic', clock: 'fast' }, 400, 'EINVAL', 'clock', 'auto, manual, real'],
    ['an unknown fix', { preset: 'basic', withoutFixes: ['0123456789ab'] }, 400, 'EINVAL', 'withoutFixes.0', '0d5fd7a9323c'],
    ['an unknown behaviour', { preset: 'basic', behaviour: 'linux' }, 400, 'EINVAL', 'behaviour', 'strict, linux-7.1'],
    ['a name with a slash', { preset: 'basic', name: 'a/b' }, 400, 'EINVAL', 'name', 'name must match pattern'],
    ['a name like an id', { preset: 'basic', name: 'm-0123456789ab' }, 400, 'EINVAL', 'name', 'nothing like an id'],
    ['a label that is a number', { preset: 'basic', labels: { a: 1 } }, 400, 'EINVAL', 'labels.a', 'labels.a must be string'],
    ['a ttl of nothing', { preset: 'basic', ttl: 0 }, 400, 'EINVAL', 'ttl', 'ttl must be > 0'],
    ['a dump that is no dump', { lspci: '\n\nhello\n' }, 400, 'EINVAL', 'lspci', 'line '],
    ['a dump that stops in a row', { lspci: DUMP.slice(0, 60) }, 400, 'EINVAL', 'lspci', 'line '],
    ['a topology that is no YAML', { topology: 'a: [' }, 400, 'EINVAL', 'topology', 'line '],
    [
      'two functions on one address',
      { topology: { ...TOPOLOGY, functions: [...TOPOLOGY.functions, { address: '00:02.0', model: 'dma-probe' }] } },
      400,
      'EINVAL',
      undefined,
      '00:02.0',
    ],
  ])('%s is refused and makes nothing', async (_what, body, status, code, about, sentence) => {
    const rest = await service();
    const answer = await rest.post('/v1/machines', body);
    const error = answer.json<{ code: string; errno: number; message: string; about: string }>();
    expect({ status: answer.statusCode, code: error.code, errno: error.errno }).toEqual({ status, code, errno: 22 });
    expect(error.message).toContain(sentence);
    if (about !== undefined) expect(error.about).toBe(about);
    expect((await rest.get('/v1/machines')).json()).toEqual({ machines: [] });
  });

  test('a body that is too long, of another type, or no JSON', async () => {
    const rest = await service({ bodyBytesMax: 1024 });
    const long = await rest.post('/v1/machines', { lspci: 'x'.repeat(2000) });
    expect(long.statusCode).toBe(413);
    expect(long.json()).toMatchObject({ code: 'EINVAL', about: 'body' });
    const xml = await rest.post('/v1/machines', '<machine/>', { 'content-type': 'application/xml' });
    expect(xml.statusCode).toBe(415);
    expect(xml.json()).toMatchObject({ code: 'EINVAL', about: 'content-type' });
    const broken = await rest.post('/v1/machines', '{"preset":', { 'content-type': 'application/json' });
    expect(broken.statusCode).toBe(400);
    expect(broken.json()).toMatchObject({ code: 'EINVAL', about: 'body' });
  });

  test('a name that is taken: EEXIST, and it is free again after a delete', async () => {
    const rest = await service();
    const first = await rest.make({ name: 'lab' });
    const second = await rest.post('/v1/machines', { preset: 'basic', name: 'lab' });
    expect(second.statusCode).toBe(409);
    expect(second.json()).toMatchObject({ code: 'EEXIST', errno: 17, about: 'name' });
    await rest.delete(`/v1/machines/${first.id}`);
    expect((await rest.make({ name: 'lab' })).id).not.toBe(first.id);
  });

  test('as many as there may be, and no more', async () => {
    const rest = await service({ machinesMax: 2 });
    await rest.make();
    const second = await rest.make();
    const third = await rest.post('/v1/machines', { preset: 'basic' });
    expect(third.statusCode).toBe(507);
    expect(third.json()).toMatchObject({ code: 'ENOMEM', errno: 12 });
    await rest.delete(`/v1/machines/${second.id}`);
    await rest.make();
  });
});

describe('finding and deleting machines', () => {
  test('by id and by name; a deleted one is gone', async () => {
    const rest = await service();
    const made = await rest.make({ name: 'lab' });
    expect((await rest.get(`/v1/machines/${made.id}`)).json()).toEqual(made);
    expect((await rest.get('/v1/machines/lab')).json()).toEqual(made);
    const deleted = await rest.delete('/v1/machines/lab');
    expect([deleted.statusCode, deleted.body]).toEqual([204, '']);
    for (const answer of [await rest.get(`/v1/machines/${made.id}`), await rest.delete('/v1/machines/lab')]) {
      expect(answer.statusCode).toBe(404);
      expect(answer.json()).toMatchObject({ code: 'ENODEV', errno: 19 });
    }
  });

  test('by labels: a key, a value, and both of two', async () => {
    const rest = await service();
    await rest.make({ name: 'a', labels: { team: 'x', night: '' } });
    await rest.make({ name: 'b', labels: { team: 'y' } });
    await rest.make({ name: 'c' });
    const names = async (query: string) =>
      (await rest.get(`/v1/machines${query}`)).json<{ machines: Machine[] }>().machines.map((machine) => machine.name);
    expect(await names('')).toEqual(['a', 'b', 'c']);
    expect(await names('?label=team')).toEqual(['a', 'b']);
    expect(await names('?label=team%3Dy')).toEqual(['b']);
    expect(await names('?label=team%3Dx&label=night')).toEqual(['a']);
    expect(await names('?label=team%3D')).toEqual([]);
    expect((await rest.get('/v1/machines?colour=red')).json()).toMatchObject({ code: 'EINVAL', about: 'colour' });
  });

  test('one with a ttl is deleted in time, not before', async () => {
    const rest = await service();
    const { id, expiresAt } = await rest.make({ ttl: 0.4 });
    expect(Date.parse(expiresAt ?? '')).toBeGreaterThan(Date.now());
    expect((await rest.get(`/v1/machines/${id}`)).statusCode).toBe(200);
    await pause(700);
    expect((await rest.get(`/v1/machines/${id}`)).statusCode).toBe(404);
  });

  test('the same Idempotency-Key makes one machine; with another body it is refused', async () => {
    const rest = await service();
    const key = { 'idempotency-key': 'k1' };
    const first = await rest.post('/v1/machines', { preset: 'basic' }, key);
    const again = await rest.post('/v1/machines', { preset: 'basic' }, key);
    expect([again.statusCode, again.body]).toEqual([first.statusCode, first.body]);
    const other = await rest.post('/v1/machines', { preset: 'switch' }, key);
    expect(other.statusCode).toBe(422);
    expect(other.json()).toMatchObject({ code: 'EINVAL', about: 'idempotency-key' });
    expect((await rest.get('/v1/machines')).json<{ machines: unknown[] }>().machines).toHaveLength(1);
  });
});

describe('the service', () => {
  test('tells its versions to whoever asks how it is', async () => {
    const rest = await service();
    for (const path of ['/healthz', '/readyz']) {
      const answer = await rest.get(path);
      expect(answer.statusCode).toBe(200);
      expect(answer.json()).toEqual({
        status: 'ok',
        product: 'iommud',
        version: expect.stringMatching(/^\d+\.\d+\.\d+$/) as string,
        contract: '1.2',
      });
    }
  });

  test('an unknown path is ENOSYS', async () => {
    const answer = await (await service()).get('/v2/machines');
    expect(answer.statusCode).toBe(404);
    expect(answer.json()).toEqual({ code: 'ENOSYS', errno: 38, message: 'there is no GET /v2/machines; see /docs', about: 'path' });
  });

  test('/docs shows every route, in a page that loads', async () => {
    const rest = await service();
    const page = await rest.get('/docs');
    expect(page.statusCode).toBe(200);
    for (const [, asset] of page.body.matchAll(/(?:src|href)="(\/docs\/[^"]+)"/g)) {
      expect([asset, (await rest.get(asset ?? '')).statusCode]).toEqual([asset, 200]);
    }
    const { openapi, paths } = (await rest.get('/docs/json')).json<{ openapi: string; paths: Record<string, object> }>();
    expect(openapi).toBe('3.1.0');
    const fn = '/v1/machines/{id}/functions/{bdf}';
    expect(
      Object.entries(paths)
        .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`))
        .sort(),
    ).toEqual(
      [
        'get /healthz',
        'get /readyz',
        'get /metrics',
        'get /v1/schemas/topology.json',
        'get /v1/machines',
        'post /v1/machines',
        'get /v1/machines/{id}',
        'delete /v1/machines/{id}',
        'get /v1/machines/{id}/snapshot',
        'post /v1/machines/snapshot',
        'get /v1/machines/{id}/recording',
        'delete /v1/machines/{id}/recordings/{recording}',
        'get /v1/machines/{id}/functions',
        'post /v1/machines/{id}/functions',
        `get ${fn}`,
        `delete ${fn}`,
        'get /v1/machines/{id}/faults',
        'get /v1/machines/{id}/status',
        'get /v1/machines/{id}/groups',
        'get /v1/machines/{id}/domains',
        'get /v1/machines/{id}/events',
        'get /v1/machines/{id}/clock',
        'post /v1/machines/{id}/clock',
        'post /v1/machines/{id}/dirty-log',
        'post /v1/machines/{id}/dirty-log/read',
        'post /v1/machines/{id}/bus-read',
        'post /v1/machines/{id}/bus-write',
        `get ${fn}/ledger`,
        'get /v1/machines/{id}/faults-on-purpose',
        'post /v1/machines/{id}/faults-on-purpose',
        'delete /v1/machines/{id}/faults-on-purpose/{armed}',
        `post ${fn}/reset-prepare`,
        `post ${fn}/reset-done`,
        `post ${fn}/reset`,
        'get /v1/machines/{id}/socket',
      ].sort(),
    );
  });

  test('the schema of topologies is a JSON Schema', async () => {
    const answer = await (await service()).get('/v1/schemas/topology.json');
    expect(answer.headers['content-type']).toMatch('application/schema+json');
    expect(answer.json()).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object' });
  });

  test('/metrics counts machines', async () => {
    const rest = await service();
    await rest.make();
    await rest.delete(`/v1/machines/${(await rest.make()).id}`);
    const { body } = await rest.get('/metrics');
    expect(body).toContain('iommud_machines 1\n');
    expect(body).toContain('iommud_machines_created_total 2\n');
  });
});
