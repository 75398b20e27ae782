import { describe, expect, it } from 'vitest';
import { NotConnected, connect, type OpenSocket } from '../../../../client/src/index.ts';
import { BODY } from '../../../../proto/index.ts';
import { FakeServer, greet, tick } from './fake-server.ts';

const REFUSED = (): NotConnected => new NotConnected('connect ECONNREFUSED 127.0.0.1:1', 0);

/** Fails as many times as there are errors, then opens. */
function opening(...errors: readonly Error[]): { readonly open: OpenSocket; readonly tries: () => number; readonly server: FakeServer } {
  const server = new FakeServer();
  let tries = 0;
  return {
    server,
    tries: () => tries,
    open: () => {
      const error = errors[tries++];
      if (error !== undefined) return Promise.reject(error);
      // Hello is answered when it has come.
      void tick().then(() => greet(server));
      return Promise.resolve(server);
    },
  };
}

describe('connect', () => {
  it('says Hello with what it is, what it wants and its token, and knows what was granted', async () => {
    const { open, server } = opening();
    const connection = await connect('ws://x', {
      open,
      token: 'secret',
      roles: ['host', 'observer'],
      product: { name: 'p', version: '1' },
    });
    expect(server.packets.flat()[0]).toMatchObject({
      id: 1,
      number: BODY.hello,
      body: { product: 'p', productVersion: '1', contractVersion: '1.2', roles: [1, 4], token: 'secret' },
    });
    expect(connection.granted).toEqual({
      roles: ['host'],
      features: [],
      pageBytes: [4096n],
      machine: 'box',
      preset: 'basic',
      server: 'iommud 9.9.9',
    });
  });

  it('tries again until there is a service', async () => {
    const { open, tries } = opening(REFUSED(), REFUSED(), new NotConnected('HTTP 503', 503));
    await connect('ws://x', { open });
    expect(tries()).toBe(4);
  });

  it('gives up at the deadline, saying what the last try met', async () => {
    const open: OpenSocket = () => Promise.reject(REFUSED());
    const started = performance.now();
    await expect(connect('ws://nowhere', { open, deadlineMs: 120 })).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      about: 'ws://nowhere',
      message: expect.stringContaining('120 ms'),
      cause: { message: expect.stringContaining('ECONNREFUSED') },
    });
    expect(performance.now() - started).toBeGreaterThan(100);
  });

  it('a service that takes the connection and says nothing is given up at the deadline too', async () => {
    const server = new FakeServer();
    await expect(connect('ws://mute', { open: () => Promise.resolve(server), deadlineMs: 60 })).rejects.toMatchObject({
      code: 'ETIMEDOUT',
    });
    expect(server.closedWith).toMatchObject({ code: 1000 });
  });

  it('without retry tries once', async () => {
    const { open, tries } = opening(REFUSED(), REFUSED());
    await expect(connect('ws://x', { open, retry: false })).rejects.toMatchObject({ code: 'ECONNRESET', cause: { status: 0 } });
    expect(tries()).toBe(1);
  });

  it.each([
    [401, 'EPERM'],
    [403, 'EPERM'],
    [404, 'ENODEV'],
    [418, 'EPROTO'],
  ])('HTTP %i is final: %s', async (status, code) => {
    const { open, tries } = opening(new NotConnected(`HTTP ${status}`, status));
    await expect(connect('ws://x', { open })).rejects.toMatchObject({ code });
    expect(tries()).toBe(1);
  });

  it('a URL that is none is EINVAL', async () => {
    await expect(connect('no url at all')).rejects.toMatchObject({ code: 'EINVAL', about: 'url' });
  });

  it('a Hello that is refused is final, and the socket is closed', async () => {
    const server = new FakeServer();
    const connecting = connect('ws://x', { open: () => Promise.resolve(server) });
    const refused = expect(connecting).rejects.toMatchObject({ code: 'EPERM', about: 'token' });
    await tick();
    server.refuse(1, 1, 'EPERM', 'the token opens nothing here', 'token');
    await refused;
    expect(server.closedWith?.code).toBe(1000);
  });

  it('a server that closes during Hello is tried again', async () => {
    const first = new FakeServer();
    const { open, tries } = opening();
    let tried = 0;
    const connecting = connect('ws://x', { open: (url, options) => (tried++ === 0 ? Promise.resolve(first) : open(url, options)) });
    await tick();
    first.end(1001, 'restarting');
    await connecting;
    expect(tries()).toBe(1);
  });

  it('an AbortSignal ends the trying with ECANCELED', async () => {
    const stop = new AbortController();
    const open: OpenSocket = () => Promise.reject(REFUSED());
    const connecting = connect('ws://x', { open, signal: stop.signal });
    setTimeout(() => stop.abort(), 20);
    await expect(connecting).rejects.toMatchObject({ code: 'ECANCELED' });
  });

  it('a role that there is not is EINVAL and leaves no socket open', async () => {
    const server = new FakeServer();
    await expect(connect('ws://x', { open: () => Promise.resolve(server), roles: ['guest' as 'host'] })).rejects.toMatchObject({
      code: 'EINVAL',
      about: 'roles',
    });
    expect(server.closedWith?.code).toBe(1000);
  });

  it('tokens of reset windows are new ones each time, and differ between connections', async () => {
    const tokens = await Promise.all([1, 2].map(async () => (await connect('ws://x', { open: opening().open })).nextToken()));
    const connection = await connect('ws://x', { open: opening().open });
    tokens.push(connection.nextToken(), connection.nextToken());
    expect(new Set(tokens).size).toBe(4);
    for (const token of tokens) expect(token).toMatch(/^[0-9a-f]{16}-\d+$/);
  });
});
