/**
 * A write that its owner applies after its function was aborted: the fence tells when it has, and nothing of it comes later. An owner that answers the fence too early is
 * held to its answer to the write; one that lies in both is found out by what is in its memory, and by nothing else.
 */
import { expect } from 'vitest';
import type { ClaimedFunction, Connection, MemoryHandlers } from '../../client/src/index.ts';
import { BODY } from '../../proto/index.ts';
import { eventually, scenario, settled, type ScenarioMachine } from '../kit/scenario.ts';

const BDF = '00:04.0';
const IOVA = 0x20000;
const OWNED = 0x8000_0000n;
const PAGE = 4096;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Memory whose writes are applied when the test says so. */
class LateOwner implements MemoryHandlers {
  readonly log: string[] = [];
  readonly #content = new Uint8Array(PAGE);
  readonly #waiting: (() => void)[] = [];
  /** It answers a write at once, and applies it when it likes. */
  readonly #lies: boolean;
  slow = true;

  constructor(lies: boolean) {
    this.#lies = lies;
  }

  read(address: bigint, size: number): Uint8Array {
    const from = Number(address - OWNED);
    return this.#content.slice(from, from + size);
  }

  write(address: bigint, data: Uint8Array): Promise<void> | undefined {
    const applied = this.#apply(Number(address - OWNED), data);
    return this.#lies ? undefined : applied;
  }

  fence(): void {
    this.log.push('fence');
  }

  letThrough(): void {
    this.slow = false;
    for (const go of this.#waiting.splice(0)) go();
  }

  async #apply(at: number, data: Uint8Array): Promise<void> {
    this.log.push('sent');
    if (this.slow) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#content.set(data, at);
    this.log.push('applied');
  }
}

async function play(m: ScenarioMachine): Promise<ClaimedFunction> {
  const emulator = await (await m.connect(['device'])).claimDevice(BDF);
  await m.function(BDF).dma.map({ iova: IOVA, address: OWNED, bytes: PAGE, access: 'rw' });
  return emulator;
}

async function serve(m: ScenarioMachine, owner: LateOwner): Promise<Connection> {
  const connection = await m.connect(['memory']);
  await connection.serveMemory({ address: OWNED, bytes: PAGE }, owner);
  return connection;
}

scenario('a write that is applied after its function was aborted is awaited by its fence, and nothing lands behind that', {}, async (m) => {
  const owner = new LateOwner(false);
  await serve(m, owner);
  const emulator = await play(m);
  const dev = m.function(BDF);
  const write = emulator.dma.write(IOVA, bytes('late'));
  await eventually(() => expect(owner.log).toEqual(['sent']));
  const prepare = dev.resetPrepare({ deadlineMs: 0, onDeadline: 'abort' });
  expect(await write).toMatchObject({ outcome: 'indeterminate' });
  expect(await settled(prepare, m)).toBe(false);
  expect(await dev.ledger()).toMatchObject([{ point: 'indeterminate', address: OWNED, bytes: 4 }]);
  expect(await m.text(OWNED, 4)).toBe('\0\0\0\0');

  owner.letThrough();
  const window = await prepare;
  expect(owner.log).toEqual(['sent', 'applied', 'fence']);
  expect(window.report.indeterminateRanges).toEqual([{ address: OWNED, bytes: 4 }]);
  // It has landed, as the report says that it may have; the page is the host's from here on.
  expect(await m.text(OWNED, 4)).toBe('late');
  await m.memory.write(OWNED, bytes('mine'));
  expect(await emulator.dma.write(IOVA, bytes('more'))).toMatchObject({ outcome: 'gate-closed' });
  await dev.resetTrigger('flr');
  expect(await m.text(OWNED, 4)).toBe('mine');
  await dev.config.write(4, 2, 0x0406);
  await window.done();
  expect(await m.text(OWNED, 4)).toBe('mine');
  expect(await emulator.dma.write(IOVA, bytes('next'))).toMatchObject({ outcome: 'performed' });
  expect(await m.text(OWNED, 4)).toBe('next');
});

scenario(
  'an owner that answers its fence before the write is held to its answer to the write',
  { drivers: ['loopback', 'socket'] },
  async (m) => {
    const owner = await m.raw('memory');
    owner.call(2, 'memoryClaim', { address: { low: 0x8000_0000, high: 0 }, bytes: { low: PAGE, high: 0 } }).send();
    await owner.replyTo(2);
    const emulator = await play(m);
    const dev = m.function(BDF);
    const asked = async (number: number): Promise<number> => {
      await owner.until(() => owner.calls().some((call) => call.number === number), `call ${number}`);
      return owner.calls().find((call) => call.number === number)?.id ?? expect.unreachable('it has come');
    };
    const write = emulator.dma.write(IOVA, bytes('late'));
    const sent = await asked(BODY.memoryWrite);
    const prepare = dev.resetPrepare({ deadlineMs: 0, onDeadline: 'abort' });
    expect(await write).toMatchObject({ outcome: 'indeterminate' });
    const fence = await asked(BODY.memoryFence);
    expect(await dev.ledger()).toMatchObject([
      { waitsFor: expect.stringMatching(/^the answers of memory owner \d+ to the write and the fence$/) },
    ]);
    owner.reply(fence, 'memoryFenceReply').send();
    await eventually(() =>
      expect(m.logs.take().map(({ text }) => text)).toContainEqual(expect.stringContaining('has answered a fence before 1 of the writes')),
    );
    expect(await settled(prepare, m)).toBe(false);
    expect(await dev.ledger()).toMatchObject([
      { point: 'indeterminate', waitsFor: expect.stringMatching(/^the answer of memory owner \d+ to the write$/) },
    ]);
    owner.reply(sent, 'memoryWriteReply').send();
    const window = await prepare;
    expect(window.report).toMatchObject({ indeterminate: 1 });
    expect(await dev.ledger()).toEqual([]);
    await window.done();
  },
);

scenario('an owner that lies in all its answers is found out by its memory, which changes in the window', {}, async (m) => {
  const owner = new LateOwner(true);
  await serve(m, owner);
  const emulator = await play(m);
  const dev = m.function(BDF);
  // It says that it has written, and has not.
  expect(await emulator.dma.write(IOVA, bytes('late'))).toMatchObject({ outcome: 'performed' });
  const window = await dev.resetPrepare({ deadlineMs: 0, onDeadline: 'abort' });
  expect(window.report).toMatchObject({ indeterminate: 0 });
  const before = await m.memory.read(OWNED, PAGE);
  owner.letThrough();
  await eventually(() => expect(owner.log).toContain('applied'));
  // Nobody could write to it, for the window is open.
  expect(await m.memory.read(OWNED, PAGE)).not.toEqual(before);
  await window.done();
});
