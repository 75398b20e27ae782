import { describe, expect, it } from 'vitest';
import { IommudError, type MemoryHandlers, type MemoryOwner } from '../../../../client/src/index.ts';
import { BODY, KIND } from '../../../../proto/index.ts';
import { connected, tick, type FakeServer } from './fake-server.ts';

const u64 = (low: number): object => ({ low, high: 0 });
const RANGE = { address: 0x10000, bytes: 0x2000 };

async function serving(handlers: Partial<MemoryHandlers>): Promise<{ readonly server: FakeServer; readonly owner: MemoryOwner }> {
  const { server, connection } = await connected();
  const claiming = connection.serveMemory(RANGE, { read: () => new Uint8Array(0), write: () => undefined, ...handlers });
  await tick();
  server.reply(server.calls('memoryClaim')[0]?.id ?? 0, 'memoryClaimReply', {});
  return { server, owner: await claiming };
}

/** Ids of the replies that came, in order. */
const answers = (server: FakeServer): number[] => server.frames.filter((frame) => frame.kind === KIND.reply).map((frame) => frame.id);

function gate(): { readonly wait: () => Promise<void>; readonly open: () => void } {
  const waiting: (() => void)[] = [];
  return {
    wait: () =>
      new Promise((resolve) => {
        waiting.push(resolve);
      }),
    open: () => waiting.shift()?.(),
  };
}

describe('memory owner', () => {
  it('claims what it is told to, and is asked for it', async () => {
    const asked: unknown[] = [];
    const { server } = await serving({
      read(address, bytes, { epoch }) {
        asked.push([address, bytes, epoch]);
        return new Uint8Array(bytes).fill(7);
      },
      write(address, data, { epoch }) {
        asked.push([address, [...data], epoch]);
      },
    });
    expect(server.calls('memoryClaim')[0]?.body).toMatchObject({ address: { low: 0x10000 }, bytes: { low: 0x2000 }, depth: null });
    server.say(
      [5, KIND.call, 'memoryRead', { address: u64(0x10ffe), bytes: 4, epoch: 3 }],
      [6, KIND.call, 'memoryWrite', { address: u64(0x11000), epoch: 4 }, new Uint8Array([1, 2])],
    );
    await tick();
    expect(asked).toEqual([
      [0x10ffen, 4, 3],
      [0x11000n, [1, 2], 4],
    ]);
    const replies = server.frames.filter((frame) => frame.kind === KIND.reply);
    expect(replies).toMatchObject([
      { id: 5, number: BODY.memoryReadReply, data: new Uint8Array([7, 7, 7, 7]) },
      { id: 6, number: BODY.memoryWriteReply },
    ]);
  });

  it('tells of what it has written in calls of 256 ranges', async () => {
    const { server, owner } = await serving({});
    const telling = owner.dirty(Array.from({ length: 300 }, (_, i) => ({ address: 0x10000 + i, bytes: 1 })));
    await tick();
    const [first] = server.calls('memoryDirty');
    server.reply(first?.id ?? 0, 'memoryDirtyReply', { logging: true });
    await tick();
    const [, second] = server.calls('memoryDirty');
    server.reply(second?.id ?? 0, 'memoryDirtyReply', { logging: true });
    expect(await telling).toEqual({ logging: true });
    const ranges = [first, second].map((call) => (call?.body as { ranges: unknown[] } | undefined)?.ranges ?? []);
    expect(ranges.map(({ length }) => length)).toEqual([256, 44]);
    expect(ranges[1]?.[0]).toMatchObject({ address: { low: 0x10100 }, bytes: { low: 1 } });
  });

  it('a fence is answered when every write that started before it has settled, and not before', async () => {
    const { wait, open } = gate();
    const order: string[] = [];
    const { server } = await serving({
      write: wait,
      fence: () => {
        order.push('fence');
      },
    });
    const write = (id: number) => [id, KIND.call, 'memoryWrite', { address: u64(0x10000) }, new Uint8Array(1)] as const;
    server.say(write(1), write(2), [3, KIND.call, 'memoryFence', { address: u64(0x10000), bytes: u64(0x1000) }], write(4));
    await tick();
    expect(answers(server)).toEqual([]);
    open();
    await tick();
    expect([answers(server), order]).toEqual([[1], []]);
    open();
    await tick();
    // The write behind the fence does not hold it up.
    expect([answers(server), order]).toEqual([[1, 2, 3], ['fence']]);
    open();
    await tick();
    expect(answers(server)).toEqual([1, 2, 3, 4]);
  });

  it('a write that fails does not keep the fence', async () => {
    const { server } = await serving({ write: () => Promise.reject(new Error('disk full')) });
    server.say(
      [1, KIND.call, 'memoryWrite', { address: u64(0x10000) }, new Uint8Array(1)],
      [2, KIND.call, 'memoryFence', { address: u64(0x10000), bytes: u64(0x1000) }],
    );
    await tick();
    expect(server.frames.filter((frame) => frame.kind === KIND.reply)).toMatchObject([
      { id: 1, number: BODY.error, body: { code: 5, name: 'EIO', message: 'disk full' } },
      { id: 2, number: BODY.memoryFenceReply },
    ]);
  });

  it('an error of a handler keeps its code; data of another length is EIO; an address that is not owned EFAULT', async () => {
    const { server } = await serving({
      read(address) {
        if (address === 0x10000n) throw new IommudError({ code: 'EAGAIN', message: 'busy', about: 'bank 0' });
        return new Uint8Array(1);
      },
    });
    for (const [id, address] of [
      [1, 0x10000],
      [2, 0x10004],
      [3, 0x20000],
    ] as const) {
      server.say([id, KIND.call, 'memoryRead', { address: u64(address), bytes: 4 }]);
    }
    await tick();
    expect(server.frames.filter((frame) => frame.kind === KIND.reply).map((frame) => frame.body)).toMatchObject([
      { name: 'EAGAIN', about: 'bank 0' },
      { name: 'EIO' },
      { name: 'EFAULT' },
    ]);
  });

  it('an access right behind the answer to the claim finds its owner', async () => {
    const { server, connection } = await connected();
    const claiming = connection.serveMemory(RANGE, { read: (_, bytes) => new Uint8Array(bytes), write: () => undefined });
    await tick();
    server.say([1, KIND.reply, 'memoryClaimReply', {}], [9, KIND.call, 'memoryRead', { address: u64(0x10000), bytes: 2 }]);
    await claiming;
    await tick();
    expect(server.frames.at(-1)).toMatchObject({ id: 9, number: BODY.memoryReadReply });
  });

  it('a range that was given up is not answered for', async () => {
    const { server, owner } = await serving({ read: (_, bytes) => new Uint8Array(bytes) });
    const releasing = owner.release();
    await tick();
    server.reply(server.calls('memoryRelease')[0]?.id ?? 0, 'memoryReleaseReply', {});
    await releasing;
    server.say([9, KIND.call, 'memoryRead', { address: u64(0x10000), bytes: 2 }]);
    await tick();
    expect(server.frames.at(-1)).toMatchObject({ id: 9, body: { name: 'EFAULT' } });
  });

  it('a claim that is refused owns nothing', async () => {
    const { server, connection } = await connected();
    const claiming = connection.serveMemory(RANGE, { read: () => new Uint8Array(0), write: () => undefined });
    const refused = expect(claiming).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await tick();
    server.refuse(1, 98, 'EADDRINUSE');
    await refused;
    server.say([9, KIND.call, 'memoryRead', { address: u64(0x10000), bytes: 2 }]);
    await tick();
    expect(server.frames.at(-1)).toMatchObject({ body: { name: 'EFAULT' } });
  });
});
