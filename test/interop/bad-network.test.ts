/** Three parties, each behind a relay of its own that delays, cuts bytes anywhere, lets one overtake another, stalls, and breaks: outcomes are those of a good network. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { connect, type ClaimedFunction, type Connection, type Role } from '../../client/src/index.ts';
import { startServer, type RunningServer } from '../../server/src/app/index.ts';
import { Crossing, Relay, type RelayOptions } from '../kit/relay.ts';
import { eventually } from '../kit/scenario.ts';

const BDF = '00:04.0';
const IOVA = 0x10000;
const OWNED = 0x8000_0000n;
const GOOD: RelayOptions = { delayMs: 0, pieceBytes: 1 << 20, seed: 1 };
const text = (words: string): Uint8Array => new TextEncoder().encode(words);

let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ port: 0, logLevel: 'silent' });
});
afterAll(() => server.close());

interface Party {
  readonly relay: Relay;
  readonly connection: Connection;
}

interface Cast {
  readonly host: Party;
  readonly emulator: Party;
  readonly owner: Party;
  readonly fn: ClaimedFunction;
  readonly memory: Uint8Array;
  /** What the owner was asked, in order. */
  readonly asked: string[];
  readonly resets: string[];
}

async function raise(name: string, options: (n: number) => RelayOptions): Promise<Cast> {
  const made = await fetch(`${server.url}/v1/machines`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ preset: 'basic', name, seed: 7 }),
  });
  const { socketUrl } = (await made.json()) as { socketUrl: string };
  const join = async (role: Role, n: number): Promise<Party> => {
    const relay = await Relay.to(socketUrl, options(n));
    onTestFinished(() => relay[Symbol.asyncDispose]());
    return { relay, connection: await connect(relay.via(socketUrl), { roles: [role] }) };
  };
  const [host, emulator, owner] = [await join('host', 1), await join('device', 2), await join('memory', 3)];
  const memory = new Uint8Array(4096);
  const asked: string[] = [];
  const resets: string[] = [];
  await owner.connection.serveMemory(
    { address: OWNED, bytes: 4096 },
    {
      read: (address, bytes) => memory.slice(Number(address - OWNED), Number(address - OWNED) + bytes),
      write: (address, data) => {
        asked.push('write');
        memory.set(data, Number(address - OWNED));
      },
      fence: () => void asked.push('fence'),
    },
  );
  const fn = await emulator.connection.claimDevice(BDF, {
    onRegionRead: ({ offset }) => offset + 1,
    onReset: (method) => void resets.push(method),
  });
  await host.connection.machine.function(BDF).dma.map({ iova: IOVA, address: OWNED, bytes: 4096, access: 'rw' });
  return { host, emulator, owner, fn, memory, asked, resets };
}

/** A story of all three, and all that they see of it. */
async function story({ host, fn, memory, asked, resets }: Cast): Promise<unknown> {
  const { machine } = host.connection;
  const dev = machine.function(BDF);
  const registers = await Promise.all([0, 8, 16].map((offset) => dev.bar(0).read(offset, 4)));
  const writes = await Promise.all(['one', 'two'].map((words, n) => fn.dma.write(IOVA + 16 * n, text(words))));
  const rogue = await fn.dma.write(IOVA + 4090, text('over the edge'));
  const fault = await machine.faults.next();
  const report = await dev.reset({ method: 'flr', deadlineMs: 10, onDeadline: 'abort' });
  const again = await fn.dma.read(IOVA, 3);
  const { elapsedMs: _, ...counts } = report;
  return { registers, writes, rogue, fault: fault.text, counts, again, resets, asked, memory: memory.slice(0, 20) };
}

test.each([
  ['delays', { delayMs: 4, pieceBytes: 1 << 20 }],
  ['cuts bytes anywhere', { delayMs: 0, pieceBytes: 7 }],
  ['does both', { delayMs: 2, pieceBytes: 40 }],
  ['lets one overtake another', { delayMs: 0, pieceBytes: 200, percent: 40 }],
])('a network that %s changes no outcome', async (how, bad) => {
  const name = how.replaceAll(' ', '-');
  const good = await story(await raise(`good-${name}`, () => GOOD));
  for (const seed of [3, 4]) {
    const crossing = new Crossing({ seed, percent: 0, overtakers: 3, patienceMs: 20, ...bad });
    expect(await story(await raise(`bad-${name}-${seed}`, (n) => ({ ...bad, crossing, seed: seed * 16 + n })))).toEqual(good);
    expect(crossing.overtaken > 0).toBe('percent' in bad);
  }
});

test('a write that comes to its owner when the function was aborted already is told by the fence', async () => {
  const { host, owner, fn, memory, asked } = await raise('late', () => GOOD);
  const dev = host.connection.machine.function(BDF);
  owner.relay.stall(true);
  const write = fn.dma.write(IOVA, text('late'));
  await eventually(async () => expect(await dev.ledger()).toMatchObject([{ point: 'sent' }]));
  const prepare = dev.resetPrepare({ deadlineMs: 0, onDeadline: 'abort' });
  expect(await write).toMatchObject({ outcome: 'indeterminate' });
  let isPrepared = false;
  const over = prepare.then((window) => {
    isPrepared = true;
    return window;
  });
  await eventually(async () => expect(await dev.ledger()).toMatchObject([{ point: 'indeterminate' }]));
  // The owner has seen nothing; its range may not be used by anybody else yet.
  expect([isPrepared, asked]).toEqual([false, []]);
  owner.relay.stall(false);
  const window = await over;
  expect(asked).toEqual(['write', 'fence']);
  expect(new TextDecoder().decode(memory.slice(0, 4))).toBe('late');
  expect(window.report).toMatchObject({ indeterminate: 1, indeterminateRanges: [{ address: OWNED, bytes: 4 }] });
  await window.done();
});

test('a host whose connection breaks while its prepare waits asks again with its token, and gets the answer that the first would have had', async () => {
  const { host, owner, fn } = await raise('asked-again', () => GOOD);
  const dev = host.connection.machine.function(BDF);
  owner.relay.stall(true);
  const write = fn.dma.write(IOVA, text('late'));
  await eventually(async () => expect(await dev.ledger()).toMatchObject([{ point: 'sent' }]));
  const options = { deadlineMs: 0, onDeadline: 'abort', token: 'mine' } as const;
  const lost = dev.resetPrepare(options).catch((error: unknown) => error);
  expect(await write).toMatchObject({ outcome: 'indeterminate' });
  host.relay.cut();
  expect(await lost).toMatchObject({ code: 'ECONNRESET' });
  const second = await anotherHost('asked-again');
  const again = second.machine.function(BDF).resetPrepare(options);
  owner.relay.stall(false);
  const window = await again;
  expect(window.report).toMatchObject({ depth: 1, indeterminate: 1, indeterminateRanges: [{ address: OWNED, bytes: 4 }] });
  expect(await window.done()).toMatchObject({ depth: 0 });
  expect(await fn.dma.write(IOVA, text('x'))).toMatchObject({ outcome: 'performed' });
});

test.each(['emulator', 'owner', 'host'] as const)(
  'the connection of the %s breaks in a window, and another host ends it',
  async (victim) => {
    const cast = await raise(`cut-${victim}`, () => GOOD);
    const { host, fn } = cast;
    const second = await anotherHost(`cut-${victim}`);
    const window = await host.connection.machine.function(BDF).resetPrepare({ deadlineMs: 10, onDeadline: 'abort' });
    cast[victim].relay.cut();
    await cast[victim].connection.closed;
    const dev = second.machine.function(BDF);
    expect(await dev.info()).toMatchObject({ blocked: true, gateOpen: false, resetDepth: 1 });
    if (victim !== 'emulator') expect(await fn.dma.write(IOVA, text('x'))).toMatchObject({ outcome: 'gate-closed' });
    if (victim === 'host') await expect(window.done()).rejects.toMatchObject({ code: 'ECONNRESET' });
    await dev.resetDone({ all: true });
    expect(await dev.info()).toMatchObject({ blocked: false, resetDepth: 0, absent: victim === 'emulator' });
    if (victim === 'host') expect(await fn.dma.write(IOVA, text('x'))).toMatchObject({ outcome: 'performed' });
  },
);

/** On a good way. */
async function anotherHost(machine: string): Promise<Connection> {
  const { socketUrl } = (await (await fetch(`${server.url}/v1/machines/${machine}`)).json()) as { socketUrl: string };
  const connection = await connect(socketUrl, { roles: ['host'] });
  onTestFinished(() => connection.close());
  return connection;
}
