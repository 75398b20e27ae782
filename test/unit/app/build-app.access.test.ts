import { describe, expect, test } from 'vitest';
import { service, type Machine } from './service.ts';

const TOKENS = [
  { token: 'root', roles: ['host', 'device', 'memory', 'observer'], machines: ['*'] },
  { token: 'watch', roles: ['observer'], machines: ['*'] },
  { token: 'ci', roles: ['host'], machines: ['ci-*'] },
  { token: 'rtl', roles: ['device'], machines: ['*'] },
] as const;

describe('with tokens', () => {
  test('nothing but health, documentation and schema is open', async () => {
    const rest = await service({ tokens: TOKENS });
    for (const path of ['/healthz', '/readyz', '/docs', '/docs/json', '/v1/schemas/topology.json']) {
      expect([path, (await rest.get(path)).statusCode]).toEqual([path, 200]);
    }
    for (const path of ['/metrics', '/v1/machines', '/v1/machines/x', '/v1/machines/x/functions', '/v1/machines/x/faults']) {
      const answer = await rest.get(path);
      expect([path, answer.statusCode, answer.headers['www-authenticate']]).toEqual([path, 401, 'Bearer']);
      expect(answer.json()).toMatchObject({ code: 'EPERM', errno: 1, about: 'authorization' });
    }
    expect((await rest.post('/v1/machines', { preset: 'basic' })).statusCode).toBe(401);
    expect((await rest.delete('/v1/machines/x')).statusCode).toBe(401);
  });

  test.each([['Bearer wrong'], ['Bearer '], ['Basic cm9vdA=='], ['root'], ['Bearer rootx']])(
    'the header %s is 401',
    async (authorization) => {
      const rest = await service({ tokens: TOKENS });
      const answer = await rest.get('/v1/machines', { authorization });
      expect(answer.statusCode).toBe(401);
      expect(answer.body).not.toContain('cm9vdA');
    },
  );

  test('an observer reads and changes nothing', async () => {
    const rest = await service({ tokens: TOKENS });
    const { id } = await rest.as('root').make({ name: 'lab' });
    const watch = rest.as('watch');
    for (const path of [
      '/v1/machines',
      `/v1/machines/${id}`,
      `/v1/machines/${id}/functions/00:02.0`,
      `/v1/machines/${id}/faults`,
      '/metrics',
    ]) {
      expect([path, (await watch.get(path)).statusCode]).toEqual([path, 200]);
    }
    const refused = [
      await watch.post('/v1/machines', { preset: 'basic' }),
      await watch.delete(`/v1/machines/${id}`),
      await watch.post(`/v1/machines/${id}/functions/00:02.0/reset`, { method: 'flr', deadlineMs: 1 }),
    ];
    for (const answer of refused) {
      expect(answer.statusCode).toBe(403);
      expect(answer.json()).toMatchObject({ code: 'EPERM', errno: 1 });
    }
    expect((await rest.as('root').get('/v1/machines')).json<{ machines: unknown[] }>().machines).toHaveLength(1);
  });

  test('a device reads nothing over REST', async () => {
    const rest = await service({ tokens: TOKENS });
    expect((await rest.as('rtl').get('/v1/machines')).statusCode).toBe(403);
  });

  test('a token for some machines sees and makes only those', async () => {
    const rest = await service({ tokens: TOKENS });
    const lab = await rest.as('root').make({ name: 'lab' });
    const ci = rest.as('ci');
    await ci.make({ name: 'ci-1' });
    const seen = (await ci.get('/v1/machines')).json<{ machines: Machine[] }>().machines;
    expect(seen.map((machine) => machine.name)).toEqual(['ci-1']);
    for (const path of [`/v1/machines/${lab.id}`, '/v1/machines/lab', '/v1/machines/lab/functions', '/v1/machines/none']) {
      const answer = await ci.get(path);
      expect([path, answer.statusCode]).toEqual([path, 404]);
    }
    for (const body of [{ preset: 'basic' }, { preset: 'basic', name: 'mine' }]) {
      const answer = await ci.post('/v1/machines', body);
      expect(answer.statusCode).toBe(403);
      expect(answer.json()).toMatchObject({ code: 'EPERM', about: 'name' });
    }
    await expect(ci.upgrade(`/v1/machines/${lab.id}/socket`)).rejects.toThrow('404');
  });

  test('an Idempotency-Key is its sender’s own', async () => {
    const rest = await service({ tokens: TOKENS });
    const key = { 'idempotency-key': 'k' };
    const one = await rest.as('root').post('/v1/machines', { preset: 'basic', name: 'ci-a' }, key);
    const two = await rest.as('ci').post('/v1/machines', { preset: 'basic', name: 'ci-b' }, key);
    expect([one.json<Machine>().name, two.json<Machine>().name]).toEqual(['ci-a', 'ci-b']);
  });

  test('a socket opens with the header, or with the token in the first frame', async () => {
    const rest = await service({ tokens: TOKENS });
    const { id } = await rest.as('root').make({ name: 'ci-1' });
    expect((await rest.as('root').connect(id)).granted.roles).toEqual(['host']);
    expect((await rest.connect(id, { token: 'ci' })).granted.roles).toEqual(['host']);
    expect((await rest.connect(id, { token: 'root', roles: ['host', 'observer', 'memory'] })).granted.roles.toSorted()).toEqual([
      'host',
      'memory',
      'observer',
    ]);
    expect((await rest.connect(id, { token: 'watch', roles: ['host', 'observer'] })).granted.roles).toEqual(['observer']);
    // The header has been looked at already: the frame cannot say otherwise.
    expect((await rest.as('watch').connect(id, { token: 'root', roles: ['host', 'observer'] })).granted.roles).toEqual(['observer']);
  });

  test('a socket without a token, or with one that does not open the machine, is refused', async () => {
    const rest = await service({ tokens: TOKENS });
    const { id } = await rest.as('root').make({ name: 'lab' });
    await expect(rest.connect(id)).rejects.toMatchObject({ code: 'EPERM' });
    await expect(rest.connect(id, { token: 'wrong' })).rejects.toMatchObject({ code: 'EPERM' });
    await expect(rest.connect(id, { token: 'ci' })).rejects.toMatchObject({ code: 'EPERM' });
    await expect(rest.connect(id, { token: 'watch', roles: ['host'] })).rejects.toMatchObject({ code: 'EPERM' });
    await expect(rest.as('wrong').upgrade(`/v1/machines/${id}/socket`)).rejects.toThrow('401');
  });
});

describe('without tokens', () => {
  test('a page from elsewhere may not use the service through a browser; one from this machine may', async () => {
    const rest = await service();
    const { id } = await rest.make();
    const socket = `/v1/machines/${id}/socket`;
    for (const origin of ['https://evil.example', 'http://localhost.evil.example', 'null']) {
      const answer = await rest.post('/v1/machines', { preset: 'basic' }, { origin });
      expect([origin, answer.statusCode]).toEqual([origin, 403]);
      expect(answer.json()).toMatchObject({ code: 'EPERM', about: 'origin' });
      await expect(rest.upgrade(socket, { origin, 'sec-websocket-protocol': 'iommud.v1' })).rejects.toThrow('403');
    }
    for (const origin of ['http://localhost:5173', 'http://127.0.0.1:7411', 'http://[::1]:80']) {
      expect((await rest.get('/v1/machines', { origin })).statusCode).toBe(200);
    }
  });

  test('insecure lets every page in, and so does a token', async () => {
    const headers = { origin: 'https://page.example' };
    expect((await (await service({ insecure: true })).get('/v1/machines', headers)).statusCode).toBe(200);
    expect((await (await service({ tokens: TOKENS })).as('root').get('/v1/machines', headers)).statusCode).toBe(200);
  });
});
