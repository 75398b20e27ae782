/** Three parties in network namespaces of their own; the links of two go down without a word. Needs root and `ip`; without them it is skipped, and says so. */
import { execFileSync, spawnSync } from 'node:child_process';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../../client/src/index.ts';
import { startServer } from '../../server/src/app/index.ts';
import { PeerProcess } from '../kit/peer-process.ts';

const BDF = '00:04.0';
/** The watchdog of a peer's answers is 30 s. */
const STATED_MS = 30_000;
const MARGIN_MS = 10_000;

const tag = `iommud${process.pid % 100_000}`;
const ip = (...args: readonly string[]): void => void execFileSync('ip', args, { stdio: 'pipe' });

/** Why there can be no namespaces here. */
function whyNot(): string | undefined {
  const made = spawnSync('ip', ['netns', 'add', `${tag}x`], { encoding: 'utf8' });
  if (made.error !== undefined) return 'there is no `ip`';
  if (made.status !== 0) return made.stderr.trim();
  const paired = spawnSync('ip', ['link', 'add', `v${tag}x`, 'type', 'veth', 'peer', 'name', `w${tag}x`], { encoding: 'utf8' });
  spawnSync('ip', ['link', 'del', `v${tag}x`]);
  spawnSync('ip', ['netns', 'del', `${tag}x`]);
  return paired.status === 0 ? undefined : paired.stderr.trim();
}

const missing = whyNot();
if (missing !== undefined) console.log(`note: no network namespaces here, their test is skipped: ${missing}`);

/** A namespace with one link to this one; returns the address of this end. */
function namespace(n: number): string {
  const [name, near, far] = [`${tag}${n}`, `v${tag}${n}`, `w${tag}${n}`];
  ip('netns', 'add', name);
  onTestFinished(() => void spawnSync('ip', ['netns', 'del', name]));
  ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far);
  ip('link', 'set', far, 'netns', name);
  ip('addr', 'add', `10.213.${n}.1/30`, 'dev', near);
  ip('link', 'set', near, 'up');
  ip('-n', name, 'addr', 'add', `10.213.${n}.2/30`, 'dev', far);
  ip('-n', name, 'link', 'set', far, 'up');
  return `10.213.${n}.1`;
}

async function start(n: number): Promise<PeerProcess> {
  const peer = await PeerProcess.start(['ip', 'netns', 'exec', `${tag}${n}`]);
  onTestFinished(() => peer[Symbol.asyncDispose]());
  return peer;
}

test.skipIf(missing !== undefined)(
  'links that go down hold a prepare up no longer than the watchdog says, and other machines not at all',
  async () => {
    const server = await startServer({ host: '0.0.0.0', port: 0, logLevel: 'silent', insecure: true });
    onTestFinished(() => server.close());
    const { port } = new URL(server.url);
    const make = async (name: string) => {
      const body = JSON.stringify({ preset: 'basic', name });
      await fetch(`http://127.0.0.1:${port}/v1/machines`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      const connection = await connect(`ws://127.0.0.1:${port}/v1/machines/${name}/socket`, { roles: ['host'] });
      onTestFinished(() => connection.close());
      return connection.machine;
    };
    const [machine, other] = [await make('apart'), await make('beside')];
    const urls = [0, 1, 2].map((n) => `ws://${namespace(n)}:${port}/v1/machines/apart/socket`);
    const [emulator, owner, host] = await Promise.all([start(0), start(1), start(2)]);
    await emulator.tell({ deed: 'claim', at: 'apart', url: urls[0] ?? '', bdf: BDF });
    await owner.tell({ deed: 'own', at: 'apart', url: urls[1] ?? '', address: '0x80000000', slow: true });
    await host.tell({ deed: 'host', at: 'apart', url: urls[2] ?? '' });
    const dev = machine.function(BDF);
    await dev.dma.map({ iova: 0x10000, address: 0x8000_0000n, bytes: 4096, access: 'rw' });
    const write = emulator.tell({ deed: 'write', at: 'apart', iova: 0x10000, text: '!' }).catch(() => undefined);
    await expect.poll(() => dev.ledger()).toMatchObject([{ operation: 'write', point: 'sent' }]);
    for (const n of [0, 1]) ip('-n', `${tag}${n}`, 'link', 'set', `w${tag}${n}`, 'down');
    const began = performance.now();
    const prepared = host.tell({ deed: 'prepare', at: 'apart', bdf: BDF, deadlineMs: 0 });
    await expect.poll(() => dev.ledger()).toMatchObject([{ point: 'indeterminate' }]);
    expect(await other.function('00:02.0').reset({ method: 'flr', deadlineMs: 1 })).toMatchObject({ method: 'flr' });
    await expect.poll(() => dev.info(), { timeout: STATED_MS + MARGIN_MS, interval: 200 }).toMatchObject({ resetDepth: 1, blocked: true });
    // By the watchdog or by pings that nobody answers, and not because a connection was closed.
    expect(performance.now() - began).toBeGreaterThan(STATED_MS / 3);
    expect(await prepared).toMatchObject({ depth: 1, indeterminate: 1 });
    await dev.resetDone({ all: true });
    expect(await dev.info()).toMatchObject({ resetDepth: 0 });
    await Promise.all([emulator.kill(), write]);
  },
  2 * STATED_MS + 3 * MARGIN_MS,
);
