/** The relay that tests put between parties: what it may change of a stream of bytes, and what not. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { Crossing, Relay, type RelayOptions } from '../kit/relay.ts';

const GOOD: RelayOptions = { delayMs: 0, pieceBytes: 1 << 20, seed: 1 };
const MESSAGES = 40;
/** On a machine that is busy. */
const WITHIN = { timeout: 20_000 };

let server: Server;
let url = '';
/** What came, in the order in which it did: `a3` is the fourth byte of connection a. */
let came: string[] = [];

beforeAll(async () => {
  server = createServer((socket) => {
    let name = '';
    let count = 0;
    socket.on('data', (bytes) => {
      for (const byte of bytes) {
        // The first byte says who it is; it goes back, so that its sender knows.
        if (name === '') socket.write((name = String.fromCodePoint(byte)));
        else came.push(`${name}${byte - count++ === 0 ? byte : 'WRONG'}`);
      }
    });
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

interface Line {
  readonly relay: Relay;
  readonly socket: Socket;
}

async function line(name: string, options: RelayOptions): Promise<Line> {
  came = [];
  const relay = await Relay.to(url, options);
  onTestFinished(() => relay[Symbol.asyncDispose]());
  const socket = connect(Number(new URL(relay.via(url)).port), '127.0.0.1').setNoDelay(true);
  socket.on('error', () => undefined);
  socket.write(name);
  await once(socket, 'data');
  return { relay, socket };
}

/** Each sends a byte in turn. */
async function sendInTurn(lines: readonly Line[]): Promise<void> {
  for (let n = 0; n < MESSAGES; n++) {
    for (const { socket } of lines) socket.write(Uint8Array.of(n));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await expect.poll(() => came.length, WITHIN).toBe(lines.length * MESSAGES);
}

const of = (name: string): readonly string[] => came.filter((one) => one.startsWith(name));
const inOrder = (name: string): readonly string[] => Array.from({ length: MESSAGES }, (_, n) => `${name}${n}`);

test('what came on one connection first arrives when another has delivered so many bytes', async () => {
  const [a, b] = [await line('a', GOOD), await line('b', GOOD)];
  a.relay.after(b.relay, 3);
  a.socket.write(Uint8Array.of(0, 1));
  for (const n of [0, 1]) b.socket.write(Uint8Array.of(n));
  await expect.poll(() => came, WITHIN).toEqual(['b0', 'b1']);
  b.socket.write(Uint8Array.of(2));
  await expect.poll(() => came, WITHIN).toEqual(['b0', 'b1', 'b2', 'a0', 'a1']);
});

test.each([1, 2, 3, 4, 5])('connections overtake each other, and none itself (seed %i)', async (seed) => {
  const crossing = new Crossing({ seed, percent: 30, overtakers: 4, patienceMs: 50 });
  const options: RelayOptions = { ...GOOD, pieceBytes: 2, crossing };
  const lines = [await line('a', options), await line('b', options), await line('c', options)];
  await sendInTurn(lines);
  for (const name of ['a', 'b', 'c']) expect(of(name)).toEqual(inOrder(name));
  expect(crossing.overtaken).toBeGreaterThan(0);
  expect(came).not.toEqual(Array.from({ length: MESSAGES }, (_, n) => [`a${n}`, `b${n}`, `c${n}`]).flat());
});

test('nothing of a connection is held back for ever where no others come', async () => {
  const crossing = new Crossing({ seed: 1, percent: 100, overtakers: 4, patienceMs: 1 });
  await sendInTurn([await line('a', { ...GOOD, crossing })]);
  expect(of('a')).toEqual(inOrder('a'));
  expect(crossing.overtaken).toBe(0);
});

test('what was sent before a connection is closed arrives', async () => {
  const a = await line('a', { ...GOOD, delayMs: 20, pieceBytes: 3 });
  a.socket.end(Uint8Array.from({ length: MESSAGES }, (_, n) => n));
  await expect.poll(() => came, WITHIN).toEqual(inOrder('a'));
});
