import { describe, expect, it } from 'vitest';
import { BODY, KIND } from '../../../../proto/index.ts';
import { connected, tick } from './fake-server.ts';

const value = (low: number): object => ({ value: { low, high: 0 } });

describe('a tick', () => {
  it('calls made in one tick travel in one packet, in the order in which they were made', async () => {
    const { server, connection } = await connected();
    const before = server.packets.length;
    const { config } = connection.machine.function('00:02.0');
    const reads = [0, 4, 8].map((offset) => config.read(offset, 4));
    await Promise.resolve();
    reads.push(config.read(12, 4));
    await tick();
    expect(server.packets.slice(before)).toHaveLength(1);
    expect(server.calls('regionRead').map((frame) => (frame.body as { offset: { low: number } }).offset.low)).toEqual([0, 4, 8, 12]);
    for (const [index, frame] of server.calls('regionRead').entries()) server.reply(frame.id, 'regionReadReply', value(index));
    expect(await Promise.all(reads)).toEqual([0, 1, 2, 3]);
  });

  it('what is asked when replies come travels in one packet again', async () => {
    const { server, connection } = await connected();
    const { config } = connection.machine.function('00:02.0');
    const loop = async (): Promise<void> => {
      await config.read(0, 4);
      await config.read(4, 4);
    };
    const loops = [loop(), loop(), loop()];
    await tick();
    const before = server.packets.length;
    server.say(...server.calls('regionRead').map((frame) => [frame.id, KIND.reply, 'regionReadReply', value(0)] as const));
    await tick();
    expect(server.packets.slice(before).map((packet) => packet.length)).toEqual([3]);
    for (const frame of server.calls('regionRead').slice(3)) server.reply(frame.id, 'regionReadReply', value(0));
    await Promise.all(loops);
  });

  it('a packet holds no more than the server takes', async () => {
    const { server, connection } = await connected({ limits: { packetFramesMax: 2 } });
    const before = server.packets.length;
    const { config } = connection.machine.function('00:02.0');
    for (let i = 0; i < 5; i++) config.read(0, 4).catch(() => undefined);
    await tick();
    expect(server.packets.slice(before).map((packet) => packet.length)).toEqual([2, 2, 1]);
  });

  it('two ticks are two packets', async () => {
    const { server, connection } = await connected();
    const before = server.packets.length;
    void connection.machine.traceHash().catch(() => undefined);
    await tick();
    void connection.machine.traceHash().catch(() => undefined);
    await tick();
    expect(server.packets.slice(before)).toHaveLength(2);
  });
});

describe('answers', () => {
  it('a refusal has its code, number, sentence and subject, and a stack that names the caller', async () => {
    const { server, connection } = await connected();
    const call = async function theCaller(): Promise<unknown> {
      return await connection.machine.function('00:02.0').info();
    };
    const calling = call().catch((error: unknown) => error);
    await tick();
    server.refuse(1, 19, 'ENODEV', 'there is no 00:02.0', 'function');
    const error = await calling;
    expect(error).toMatchObject({ name: 'IommudError', code: 'ENODEV', errno: 19, message: 'there is no 00:02.0', about: 'function' });
    expect((error as Error).stack).toContain('theCaller');
  });

  it('a code that a newer server sends keeps its name in the message', async () => {
    const { server, connection } = await connected();
    const hash = connection.machine.traceHash();
    await tick();
    server.refuse(1, 4242, 'EFUTURE', 'not yet');
    await expect(hash).rejects.toMatchObject({ code: 'EIO', message: 'EFUTURE (4242): not yet' });
  });

  it('ids are used again when their replies have come, and not before', async () => {
    const { server, connection } = await connected();
    const first = connection.machine.traceHash();
    const second = connection.machine.traceHash();
    await tick();
    expect(server.frames.map((frame) => frame.id)).toEqual([1, 2]);
    server.reply(2, 'traceHashReply', { hash: 'b' });
    expect(await second).toBe('b');
    const third = connection.machine.traceHash();
    await tick();
    expect(server.frames.map((frame) => frame.id)).toEqual([1, 2, 2]);
    server.say([1, KIND.reply, 'traceHashReply', { hash: 'a' }], [2, KIND.reply, 'traceHashReply', { hash: 'c' }]);
    expect([await first, await third]).toEqual(['a', 'c']);
  });

  it.each([
    ['a reply to nothing', (reply: (id: number, name: 'traceHashReply' | 'clockInfoReply') => void) => reply(7, 'traceHashReply')],
    ['a reply of another call', (reply: (id: number, name: 'traceHashReply' | 'clockInfoReply') => void) => reply(1, 'clockInfoReply')],
  ])('%s closes with 1002', async (_, answer) => {
    const { server, connection } = await connected();
    const hash = connection.machine.traceHash();
    const lost = expect(hash).rejects.toMatchObject({ code: 'ECONNRESET' });
    await tick();
    answer((id, name) => server.reply(id, name, {}));
    expect(server.closedWith).toMatchObject({ code: 1002 });
    await lost;
  });

  it('bytes that are no packet close with 1007', async () => {
    const { server } = await connected();
    server.raw(new Uint8Array([0x0a, 0x7f, 1]));
    expect(server.closedWith).toMatchObject({ code: 1007 });
  });

  it('data beyond what one call carries is refused here, and the connection goes on', async () => {
    const { server, connection } = await connected();
    const write = connection.call('memoryWrite', { address: { low: 0, high: 0 } }, new Uint8Array((1 << 20) + 1));
    await expect(write).rejects.toMatchObject({ code: 'EINVAL', about: 'data' });
    const hash = connection.machine.traceHash();
    await tick();
    server.reply(1, 'traceHashReply', { hash: 'ok' });
    expect(await hash).toBe('ok');
  });
});

describe('the end', () => {
  it('rejects every pending call with ECONNRESET and the reason', async () => {
    const { server, connection } = await connected();
    const calls = [connection.machine.traceHash(), connection.machine.info(), connection.machine.faults.next()];
    await tick();
    server.end(1013, 'does not read');
    for (const call of calls)
      await expect(call).rejects.toMatchObject({ code: 'ECONNRESET', message: expect.stringContaining('does not read') });
    expect(await connection.closed).toEqual({ code: 1013, reason: 'does not read' });
  });

  it('a call after it is refused without being sent', async () => {
    const { server, connection } = await connected();
    server.end(1006, '');
    const before = server.packets.length;
    await expect(connection.machine.traceHash()).rejects.toMatchObject({
      code: 'ECONNRESET',
      message: expect.stringContaining('was not made'),
    });
    await tick();
    expect(server.packets).toHaveLength(before);
  });

  it('close() sends what was asked before, and rejects it', async () => {
    const { server, connection } = await connected();
    const hash = connection.machine.traceHash();
    const lost = expect(hash).rejects.toMatchObject({ code: 'ECONNRESET' });
    await connection.close();
    expect(server.calls('traceHash')).toHaveLength(1);
    expect(server.closedWith).toMatchObject({ code: 1000 });
    await lost;
  });
});

describe('an AbortSignal', () => {
  it('rejects at once with ECANCELED and tells the server; the id stays taken until the reply', async () => {
    const { server, connection } = await connected();
    const stop = new AbortController();
    const hash = connection.machine.traceHash({ signal: stop.signal });
    await tick();
    stop.abort(new Error('enough'));
    await expect(hash).rejects.toMatchObject({ code: 'ECANCELED', cause: { message: 'enough' } });
    const next = connection.machine.traceHash();
    await tick();
    expect(server.frames.map((frame) => [frame.kind, frame.id])).toEqual([
      [KIND.call, 1],
      [KIND.cancel, 1],
      [KIND.call, 2],
    ]);
    // The one reply still comes, and then the id is free.
    server.say([1, KIND.reply, 'traceHashReply', { hash: 'late' }], [2, KIND.reply, 'traceHashReply', { hash: 'wanted' }]);
    expect(await next).toBe('wanted');
    void connection.machine.traceHash().catch(() => undefined);
    await tick();
    expect(server.frames.at(-1)).toMatchObject({ kind: KIND.call, id: 2 });
  });

  it('that has fired already sends nothing', async () => {
    const { server, connection } = await connected();
    await expect(connection.machine.traceHash({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ECANCELED' });
    await tick();
    expect(server.frames).toEqual([]);
  });

  it('that fires after the reply does nothing', async () => {
    const { server, connection } = await connected();
    const stop = new AbortController();
    const hash = connection.machine.traceHash({ signal: stop.signal });
    await tick();
    server.reply(1, 'traceHashReply', { hash: 'x' });
    expect(await hash).toBe('x');
    stop.abort();
    await tick();
    expect(server.frames).toHaveLength(1);
  });
});

describe('what the server says unasked', () => {
  it('an event right behind the reply to Hello is heard', async () => {
    const { FakeServer, AMPLE } = await import('./fake-server.ts');
    const { connectOver } = await import('../../../../client/src/index.ts');
    const server = new FakeServer();
    const connecting = connectOver(server);
    await tick();
    server.say(
      [1, KIND.reply, 'helloReply', { roles: [1], credits: [...AMPLE] }],
      [1, KIND.event, 'logEvent', { level: 1, text: 'first', timeNs: { low: 5, high: 0 } }],
    );
    const connection = await connecting;
    expect(await connection.machine.logs.next()).toMatchObject({ level: 'info', text: 'first', timeNs: 5 });
  });

  it('a call that this client does not know gets ENOSYS', async () => {
    const { server } = await connected();
    server.say([9, KIND.call, 'clockInfo', {}]);
    await tick();
    expect(server.frames).toMatchObject([{ id: 9, kind: KIND.reply, number: BODY.error, body: { name: 'ENOSYS', code: 38 } }]);
  });
});
