import { describe, expect, it } from 'vitest';
import type { Connection } from '../../../../client/src/index.ts';
import { AMPLE, CLASS, connected, tick, type Credit, type FakeServer } from './fake-server.ts';

const only = (which: keyof typeof CLASS, calls: number, replyBytes = 1 << 24): Credit[] =>
  AMPLE.map((credit) => (credit.class === CLASS[which] ? { ...credit, calls, replyBytes } : credit));

function readAt(connection: Connection, address: number, bytes: number, signal?: AbortSignal): Promise<Uint8Array> {
  return connection.machine.memory.read(address, bytes, { signal });
}

async function answerAll(server: FakeServer, from: number): Promise<void> {
  for (const frame of server.calls('memoryRead').slice(from)) {
    server.reply(frame.id, 'memoryReadReply', {}, new Uint8Array((frame.body as { bytes: number }).bytes));
  }
  await tick();
}

describe('credits', () => {
  it('calls past the credit of their class wait here and go as replies come, in order', async () => {
    const { server, connection } = await connected({ credits: only('access', 2) });
    const { config } = connection.machine.function('00:02.0');
    const reads = [0, 4, 8, 12, 16].map((offset) => config.read(offset, 4));
    await tick();
    const seen = (): number[] => server.calls('regionRead').map((frame) => (frame.body as { offset: { low: number } }).offset.low);
    expect(seen()).toEqual([0, 4]);
    const [first] = server.calls('regionRead');
    server.reply(first?.id ?? 0, 'regionReadReply', { value: { low: 100, high: 0 } });
    await tick();
    expect(seen()).toEqual([0, 4, 8]);
    for (let answered = 1; answered < 5; answered++) {
      const frame = server.calls('regionRead')[answered];
      server.reply(frame?.id ?? 0, 'regionReadReply', { value: { low: 100 + answered, high: 0 } });
      await tick();
    }
    expect(seen()).toEqual([0, 4, 8, 12, 16]);
    expect(await Promise.all(reads)).toEqual([100, 101, 102, 103, 104]);
  });

  it('a class without credit does not hold up another', async () => {
    const { server, connection } = await connected({ credits: only('control', 1) });
    const hashes = [connection.machine.traceHash(), connection.machine.traceHash()];
    for (const hash of hashes) hash.catch(() => undefined);
    connection.machine
      .function('00:02.0')
      .config.read(0, 4)
      .catch(() => undefined);
    await tick();
    expect(server.calls('traceHash')).toHaveLength(1);
    expect(server.calls('regionRead')).toHaveLength(1);
  });

  it('bytes that replies will carry are counted, and one call may always go', async () => {
    const { server, connection } = await connected({ credits: only('memory', 100, 10_000) });
    const reads = [readAt(connection, 0, 6000), readAt(connection, 0, 4000), readAt(connection, 0, 1)];
    await tick();
    expect(server.calls('memoryRead')).toHaveLength(2);
    await answerAll(server, 0);
    expect(server.calls('memoryRead')).toHaveLength(3);
    await answerAll(server, 2);
    await Promise.all(reads);
    const large = readAt(connection, 0, 50_000);
    await tick();
    expect(server.calls('memoryRead')).toHaveLength(4);
    await answerAll(server, 3);
    expect(await large).toHaveLength(50_000);
  });

  it('a small call does not pass a large one of its class that waits', async () => {
    const { server, connection } = await connected({ credits: only('memory', 100, 10_000) });
    const reads = [readAt(connection, 1, 6000), readAt(connection, 2, 6000), readAt(connection, 3, 1)];
    await tick();
    expect(server.calls('memoryRead')).toHaveLength(1);
    await answerAll(server, 0);
    expect(server.frames.map((frame) => (frame.body as { address: { low: number } }).address.low)).toEqual([1, 2, 3]);
    await answerAll(server, 1);
    await Promise.all(reads);
  });

  it('bytes of calls are bounded too, far below what a server lets gather', async () => {
    const { server, connection } = await connected();
    const megabyte = new Uint8Array(1 << 20);
    const writes = Array.from({ length: 12 }, (_, index) => connection.machine.memory.write(index << 20, megabyte));
    await tick();
    expect(server.calls('memoryWrite')).toHaveLength(8);
    for (let answered = 0; answered < 12; answered++) {
      server.reply(server.calls('memoryWrite')[answered]?.id ?? 0, 'memoryWriteReply', {});
      await tick();
    }
    await Promise.all(writes);
  });

  it('a server that lets less gather is sent less', async () => {
    const { server, connection } = await connected({ limits: { receiveBufferBytesMax: 80_000 } });
    const writes = Array.from({ length: 3 }, () => connection.machine.memory.write(0, new Uint8Array(5000)));
    for (const write of writes) write.catch(() => undefined);
    await tick();
    expect(server.calls('memoryWrite')).toHaveLength(2);
  });

  it('data of a call that waits is kept as it was', async () => {
    const { server, connection } = await connected({ credits: only('memory', 1) });
    // A Buffer: its own slice would be a view.
    const data = Buffer.from([1, 2, 3]);
    const writes = [connection.machine.memory.write(0, data), connection.machine.memory.write(0, data)];
    await tick();
    data.fill(9);
    server.reply(1, 'memoryWriteReply', {});
    await tick();
    expect(server.calls('memoryWrite').map((frame) => [...(frame.data ?? [])])).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    server.reply(1, 'memoryWriteReply', {});
    await Promise.all(writes);
  });

  it('a call that is given up while it waits is never sent', async () => {
    const { server, connection } = await connected({ credits: only('memory', 1) });
    const stop = new AbortController();
    const first = readAt(connection, 1, 1);
    const second = readAt(connection, 2, 1, stop.signal);
    const third = readAt(connection, 3, 1);
    await tick();
    stop.abort();
    await expect(second).rejects.toMatchObject({ code: 'ECANCELED' });
    await answerAll(server, 0);
    await answerAll(server, 1);
    expect(server.frames.map((frame) => (frame.body as { address: { low: number } }).address.low)).toEqual([1, 3]);
    await Promise.all([first, third]);
  });

  it('calls that wait are rejected when the connection ends', async () => {
    const { server, connection } = await connected({ credits: only('memory', 1) });
    const calls = [readAt(connection, 0, 1), readAt(connection, 0, 1)];
    await tick();
    server.end(1001, 'stopping');
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('a cancelled call holds its credit until its reply', async () => {
    const { server, connection } = await connected({ credits: only('memory', 1) });
    const stop = new AbortController();
    const first = readAt(connection, 1, 1, stop.signal);
    const second = readAt(connection, 2, 1);
    await tick();
    stop.abort();
    await expect(first).rejects.toMatchObject({ code: 'ECANCELED' });
    await tick();
    expect(server.calls('memoryRead')).toHaveLength(1);
    await answerAll(server, 0);
    expect(server.calls('memoryRead')).toHaveLength(2);
    await answerAll(server, 1);
    await second;
  });

  it('past so many waiting calls another is refused with EAGAIN', async () => {
    const WAITING_MAX = 1 << 18;
    const { connection, server } = await connected({ credits: only('access', 1) });
    const read = { function: 0x10, region: 7, offset: { low: 0, high: 0 }, bytes: 4 };
    const calls = Array.from({ length: WAITING_MAX + 1 }, () => connection.channel.request('regionRead', read));
    expect(await connection.channel.request('regionRead', read)).toMatchObject({ failed: true, code: 'EAGAIN' });
    server.end(1000, '');
    const codes = new Set((await Promise.all(calls)).map((answer) => answer.failed && answer.code));
    expect([...codes]).toEqual(['ECONNRESET']);
  });
});
