/** Programs that take part in a machine are killed (SIGKILL) in the middle of a reset window, over real sockets: `test/scenario/peer-death.test.ts` has each step. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { connect, type Machine } from '../../client/src/index.ts';
import { startServer, type RunningServer } from '../../server/src/app/index.ts';
import { eventually } from '../kit/scenario.ts';

const PROGRAM = fileURLToPath(new URL('peer-program.ts', import.meta.url));
const BDF = '00:04.0';

let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ port: 0, logLevel: 'error' });
});
afterAll(() => server.close());

async function make(name: string): Promise<{ readonly url: string; readonly machine: Machine }> {
  const made = await fetch(`${server.url}/v1/machines`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ preset: 'basic', name }),
  });
  const { socketUrl } = (await made.json()) as { socketUrl: string };
  const connection = await connect(socketUrl, { roles: ['host'] });
  onTestFinished(() => connection.close());
  return { url: socketUrl, machine: connection.machine };
}

async function start(url: string, part: string): Promise<ChildProcess> {
  const child = fork(PROGRAM, [url, part], { execArgv: ['--import', 'tsx'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  expect((await once(child, 'message'))[0]).toBe('ready');
  return child;
}

test.each(['emulator', 'owner', 'host'])(
  'the %s is killed while a prepare waits for what is in flight',
  async (victim) => {
    const { url, machine } = await make(`killed-${victim}`);
    const other = (await make(`beside-${victim}`)).machine;
    const [emulator, owner, host] = await Promise.all(['emulator', 'owner', 'host'].map((part) => start(url, part)));
    const dev = machine.function(BDF);
    await dev.dma.map({ iova: 0x10000, address: 0x8000_0000n, bytes: 4096, access: 'rw' });
    // Its write is with the owner, who says nothing; prepare aborts it, and waits for the owner's fence.
    emulator?.send('write');
    await eventually(async () => expect(await dev.ledger()).toMatchObject([{ operation: 'write', point: 'sent' }]));
    host?.send('prepare');
    await eventually(async () => expect(await dev.ledger()).toMatchObject([{ point: 'indeterminate' }]));
    const killed = { emulator, owner, host }[victim];
    killed?.kill('SIGKILL');
    await once(killed!, 'exit');
    // Another machine does not notice.
    expect(await other.function('00:02.0').reset({ method: 'flr', deadlineMs: 1 })).toMatchObject({ method: 'flr' });
    // The owner's fence may never come: without the owner nothing is waited for.
    owner?.kill('SIGKILL');
    await eventually(async () => expect(await dev.info()).toMatchObject({ resetDepth: 1, blocked: true, gateOpen: false, inFlight: 0 }));
    await dev.resetDone({ all: true });
    expect(await dev.info()).toMatchObject({ resetDepth: 0, blocked: false, absent: victim === 'emulator' });
  },
  60_000,
);
