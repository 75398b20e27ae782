/** A memory owner that vanishes: absent for a while, then back, or gone; and what functions and hosts get meanwhile. */
import { expect } from 'vitest';
import type { Connection } from '../../client/src/index.ts';
import { eventually, refusal, scenario, settled, type ScenarioMachine } from '../kit/scenario.ts';

const BDF = '00:02.0';
const IOVA = 0x20000;
const OWNED = 0x8000_0000n;
const BYTES = 0x4000;
const RANGE = { address: OWNED, bytes: BYTES };

/** Content outlives the connection, as a file does its process. */
class Store {
  readonly content = new Uint8Array(BYTES);
  /** Writes are answered when it says so. */
  gate: Promise<void> | undefined;

  read(address: bigint, bytes: number): Uint8Array {
    return this.content.slice(Number(address - OWNED), Number(address - OWNED) + bytes);
  }

  async write(address: bigint, data: Uint8Array): Promise<void> {
    await this.gate;
    this.content.set(data, Number(address - OWNED));
  }
}

async function raise(m: ScenarioMachine): Promise<{ store: Store; owner: Connection }> {
  const store = new Store();
  const owner = await m.connect(['memory']);
  await owner.serveMemory(RANGE, store);
  expect(await m.memoryChanges.next()).toMatchObject({ address: OWNED, bytes: BigInt(BYTES), change: 'owned' });
  await m.function(BDF).dma.map({ iova: IOVA, address: OWNED, bytes: BYTES, access: 'rw' });
  return { store, owner };
}

scenario('memory whose owner is started anew is as it was mapped', {}, async (m) => {
  const { store, owner } = await raise(m);
  const { model } = m.function(BDF);
  expect(await model.write(IOVA, 'kept')).toMatchObject({ outcome: 'performed' });
  await owner.close();
  const absent = await m.memoryChanges.next();
  expect(absent).toMatchObject({ ...RANGE, bytes: BigInt(BYTES), change: 'absent' });
  const lost = { outcome: 'completer-abort', bytes: 0, absentOwner: absent.peer };
  expect(await model.write(IOVA, 'lost')).toMatchObject(lost);
  expect(await model.read(IOVA, 4)).toMatchObject(lost);
  expect(await refusal(m.memory.read(OWNED, 4))).toBe('EIO');
  expect(await m.bus.read(OWNED, 4)).toBe(0xffff_ffff);
  await m.bus.write(OWNED, 4, 1);

  const other = await m.connect(['memory']);
  expect(await refusal(other.serveMemory({ address: OWNED + 0x1000n, bytes: BYTES }, store))).toBe('EBUSY');
  await other.serveMemory(RANGE, store);
  expect(await m.memoryChanges.next()).toMatchObject({ address: OWNED, change: 'back' });
  expect(await model.read(IOVA, 4)).toMatchObject({ outcome: 'performed', data: new TextEncoder().encode('kept') });
  expect(await refusal((await m.connect(['memory'])).serveMemory(RANGE, store))).toBe('EADDRINUSE');
});

scenario('memory whose owner does not come back is gone', { peerGraceMs: 20 }, async (m) => {
  const { owner } = await raise(m);
  await owner.close();
  expect(await m.memoryChanges.next()).toMatchObject({ change: 'absent' });
  expect(await m.memoryChanges.next()).toMatchObject({ address: OWNED, change: 'gone' });
  expect(await m.function(BDF).model.write(IOVA, 'x')).toMatchObject({ outcome: 'unsupported-request', absentOwner: undefined });
  expect(await refusal(m.memory.read(OWNED, 4))).toBe('EFAULT');
});

scenario('memory that is given up is gone at once', {}, async (m) => {
  const owner = await m.connect(['memory']);
  const claim = await owner.serveMemory(RANGE, new Store());
  await claim.release();
  expect([(await m.memoryChanges.next()).change, (await m.memoryChanges.next()).change]).toEqual(['owned', 'released']);
  await owner.close();
  expect(await refusal(m.memory.read(OWNED, 4))).toBe('EFAULT');
  expect(m.memoryChanges.take()).toEqual([]);
});

scenario('an owner that dies in a reset window is back before it ends', {}, async (m) => {
  const { store, owner } = await raise(m);
  const dev = m.function(BDF);
  let letThrough = (): void => undefined;
  store.gate = new Promise((resolve) => {
    letThrough = resolve;
  });
  const write = dev.model.write(IOVA, 'lost');
  await eventually(async () => expect(await dev.ledger()).toMatchObject([{ point: 'sent' }]));
  const prepare = dev.resetPrepare({ deadlineMs: 0, onDeadline: 'abort' });
  expect(await write).toMatchObject({ outcome: 'indeterminate' });
  expect(await settled(prepare, m)).toBe(false);
  await owner.close();
  const window = await prepare;
  expect(window.report).toMatchObject({ indeterminate: 1 });
  expect(await dev.ledger()).toEqual([]);
  letThrough();
  store.gate = undefined;
  await (await m.connect(['memory'])).serveMemory(RANGE, store);
  expect(await window.done()).toMatchObject({ depth: 0 });
  expect(await dev.model.write(IOVA, 'next')).toMatchObject({ outcome: 'performed' });
  expect(new TextDecoder().decode(store.content.subarray(0, 4))).toBe('next');
});

scenario('the clock passes an owner that is gone', { clock: 'manual' }, async (m) => {
  const { store, owner } = await raise(m);
  store.gate = new Promise(() => undefined);
  const write = m.function(BDF).model.write(IOVA, 'lost');
  await eventually(async () => expect(await m.function(BDF).ledger()).toMatchObject([{ point: 'sent' }]));
  const advance = m.clock.advance({ ms: 5 });
  expect(await settled(advance, m)).toBe(false);
  await owner.close();
  await advance;
  expect(await write).toMatchObject({ outcome: 'indeterminate' });
  await m.clock.advance({ ms: 5 });
});
