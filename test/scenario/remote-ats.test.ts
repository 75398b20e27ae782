/** ATS of a function that another program plays and whose translations that program caches (PCIe Base r6.0 §10). E emulates it, H is the host. */
import { expect } from 'vitest';
import type {
  ClaimOptions,
  ClaimedFunction,
  Connection,
  DeviceHandlers,
  Invalidation,
  InvalidationAnswer,
} from '../../client/src/index.ts';
import { eventually, refusal, scenario, settled, type ScenarioMachine, type ScenarioOptions } from '../kit/scenario.ts';

const BDF = '00:05.0';
const IOVA = 0x10000;
const PAGE = 4096n;
const TOPOLOGY = {
  schema: 'iommud.topology/v1',
  functions: [{ address: BDF, model: 'remote', capabilities: { ats: { queueDepth: 4 }, pasid: { width: 8 } } }],
};
const REMOTE: ScenarioOptions = { topology: TOPOLOGY };
const text = (words: string): Uint8Array => new TextEncoder().encode(words);

/** An ATC that answers when the test says so. */
class Emulator {
  readonly asked: Invalidation[] = [];
  resets = 0;
  readonly #waiting: ((answer: InvalidationAnswer | Error) => void)[] = [];
  slow = false;

  readonly handlers: DeviceHandlers = {
    onReset: () => {
      this.resets++;
    },
    onInvalidate: (invalidation) => {
      this.asked.push(invalidation);
      if (!this.slow) return;
      return new Promise((resolve, reject) => {
        this.#waiting.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer)));
      });
    },
  };

  /** Answers the oldest. */
  answer(answer?: 'later' | Error): void {
    this.#waiting.shift()?.(answer);
  }
}

interface Cast {
  readonly emulator: Emulator;
  readonly fn: ClaimedFunction;
  readonly link: Connection;
}

async function raise(m: ScenarioMachine, options: ClaimOptions = { atc: 'peer' }): Promise<Cast> {
  const emulator = new Emulator();
  const link = await m.connect(['device']);
  const fn = await link.claimDevice(BDF, emulator.handlers, options);
  await m.function(BDF).config.write(4, 2, 0x0406);
  return { emulator, fn, link };
}

scenario('it asks for translations and uses them, until an invalidation takes them', REMOTE, async (m) => {
  const { emulator, fn } = await raise(m);
  const dev = m.function(BDF);
  const page = await m.mapped(dev, IOVA);
  const { grants, overtaken } = await fn.ats.translate(IOVA, { write: true });
  expect(grants).toEqual([{ address: page, bytes: PAGE, access: 'rw' }]);
  expect(overtaken).toBe(false);
  expect(await fn.dma.write(page + 8n, text('by address'), { translated: true })).toMatchObject({ outcome: 'performed' });
  expect(await m.text(page + 8n, 10)).toBe('by address');
  expect(await fn.dma.read(page + 8n, 2, { translated: true })).toMatchObject({ outcome: 'performed', data: text('by') });

  emulator.slow = true;
  const unmap = dev.dma.unmap({ iova: IOVA, bytes: 4096 });
  await eventually(() => expect(emulator.asked).toEqual([{ itag: 0, pasid: undefined, iova: BigInt(IOVA), bytes: PAGE }]));
  // It has not dropped the translation yet, and may use it; and the clock does not pass what it owes.
  expect(await settled(unmap, m)).toBe(false);
  expect(await fn.dma.write(page, text('in time'), { translated: true })).toMatchObject({ outcome: 'performed' });
  emulator.answer();
  expect(await unmap).toMatchObject({ timedOut: 0 });
  expect(await fn.dma.write(page, text('too late'), { translated: true })).toMatchObject({ outcome: 'stale-atc', bytes: 0 });
  expect(await m.text(page, 7)).toBe('in time');
  expect(await fn.ats.translate(IOVA)).toMatchObject({ outcome: 'no-access', grant: undefined });
});

scenario('an address that it was never granted reaches nothing', REMOTE, async (m) => {
  const { fn } = await raise(m);
  const page = await m.mapped(m.function(BDF), IOVA);
  expect(await fn.dma.write(page, text('a guess'), { translated: true })).toMatchObject({ outcome: 'stale-atc' });
  expect(await fn.dma.write(0xffff_8000_0000_0000n, text('far'), { translated: true })).toMatchObject({ outcome: 'stale-atc' });
  expect(await m.text(page, 1)).toBe('\0');
});

scenario('it completes several requests by one message, when it likes', { ...REMOTE, clock: 'manual' }, async (m) => {
  const { emulator, fn } = await raise(m);
  const dev = m.function(BDF);
  await m.mapped(dev, IOVA, 2);
  emulator.slow = true;
  const first = dev.dma.unmap({ iova: IOVA, bytes: 4096 });
  const second = dev.dma.unmap({ iova: IOVA + 4096, bytes: 4096 });
  await eventually(() => expect(emulator.asked.map(({ itag }) => itag)).toEqual([0, 1]));
  emulator.answer('later');
  emulator.answer('later');
  expect(await settled(second, m)).toBe(false);
  // Of a tag that has no request nothing comes.
  await fn.ats.complete(7);
  expect(await settled(first, m)).toBe(false);
  await fn.ats.complete([0, 1]);
  expect(await first).toMatchObject({ timedOut: 0 });
  expect(await second).toMatchObject({ timedOut: 0 });
  expect(await refusal(fn.ats.complete([]))).toBe('EINVAL');
  expect(await refusal(fn.ats.complete(32))).toBe('EINVAL');
});

scenario('it completes a request for each traffic class that it uses', { ...REMOTE, clock: 'manual' }, async (m) => {
  const { emulator, fn } = await raise(m);
  const dev = m.function(BDF);
  await m.mapped(dev, IOVA, 3);
  emulator.slow = true;
  const both = dev.dma.unmap({ iova: IOVA, bytes: 4096 });
  await eventually(() => expect(emulator.asked).toHaveLength(1));
  emulator.answer('later');
  await fn.ats.complete(0, { completions: 2 });
  expect(await settled(both, m)).toBe(false);
  // All of one request carry the same count.
  await fn.ats.complete(0, { completions: 3 });
  await fn.ats.complete(0);
  expect(await settled(both, m)).toBe(false);
  await fn.ats.complete(0, { completions: 2 });
  expect(await both).toMatchObject({ timedOut: 0 });
  const said = m.logs
    .take()
    .map(({ text: line }) => line)
    .filter((line) => line.includes('completion count'));
  expect(said).toEqual([
    `${BDF} completes an Invalidate Request (ITag 0) with a completion count of 3, and before that one of 2; it does not count`,
    `${BDF} completes an Invalidate Request (ITag 0) with a completion count of 1, and before that one of 2; it does not count`,
  ]);

  // Too few: it times out.
  const few = dev.dma.unmap({ iova: IOVA + 4096, bytes: 4096 });
  await eventually(() => expect(emulator.asked).toHaveLength(2));
  emulator.answer('later');
  for (let i = 1; i < 8; i++) await fn.ats.complete(0, { completions: 8 });
  await m.clock.advance({ ms: 120_000 });
  expect(await few).toMatchObject({ timedOut: 1 });
  expect(await refusal(fn.ats.complete(0, { completions: 9 }))).toBe('EINVAL');
  expect(await refusal(fn.ats.complete(0, { completions: 0 }))).toBe('EINVAL');
});

scenario('a request that it does not complete times out, and its translated requests are refused', REMOTE, async (m) => {
  const { emulator, fn } = await raise(m);
  const dev = m.function(BDF);
  const page = await m.mapped(dev, IOVA, 2);
  await fn.ats.translate(IOVA, { write: true });
  emulator.slow = true;
  const unmap = dev.dma.unmap({ iova: IOVA + 4096, bytes: 4096 });
  await eventually(() => expect(emulator.asked).toHaveLength(1));
  emulator.answer(new Error('this ATC is out of order'));
  expect(await unmap).toMatchObject({ timedOut: 1 });
  expect(await fn.dma.write(page, text('x'), { translated: true })).toMatchObject({ outcome: 'ats-forbidden' });
});

scenario('its window takes all of its cache, and waits for that', REMOTE, async (m) => {
  const { emulator, fn } = await raise(m);
  const dev = m.function(BDF);
  const page = await m.mapped(dev, IOVA);
  await fn.ats.translate(IOVA, { write: true });
  emulator.slow = true;
  const prepare = dev.resetPrepare({ deadlineMs: 10, onDeadline: 'abort' });
  await eventually(() => expect(emulator.asked).toMatchObject([{ pasid: undefined, bytes: undefined }]));
  expect(await settled(prepare, m)).toBe(false);
  expect(await fn.ats.translate(IOVA)).toMatchObject({ outcome: 'gate-closed' });
  emulator.answer();
  const window = await prepare;
  expect(window.report).toMatchObject({ completed: 1, timedOut: 0 });
  expect(await fn.dma.write(page, text('shut'), { translated: true })).toMatchObject({ outcome: 'gate-closed' });
  await window.done();
  expect(await fn.dma.write(page, text('stale'), { translated: true })).toMatchObject({ outcome: 'stale-atc' });
  expect(await fn.ats.translate(IOVA, { write: true })).toMatchObject({ grant: { address: page, access: 'rw' } });
  expect(await fn.dma.write(page, text('anew'), { translated: true })).toMatchObject({ outcome: 'performed' });
});

scenario('what it answers after a reset to a request of before it completes nothing', { ...REMOTE, clock: 'manual' }, async (m) => {
  const { emulator, link } = await raise(m);
  const dev = m.function(BDF);
  await m.mapped(dev, IOVA);
  emulator.slow = true;
  const unmap = dev.dma.unmap({ iova: IOVA, bytes: 4096 });
  await eventually(() => expect(emulator.asked).toHaveLength(1));
  await dev.config.write(0x04, 2, 0x0400);
  const reset = m.connection.call('resetTrigger', { function: 0x28, method: 3 });
  await eventually(() => expect(emulator.resets).toBe(1));
  // Its answer goes another way than the clock's advance, which does not wait for it.
  await link.machine.info();
  await m.clock.advance({ ms: 1000, force: true });
  await reset;
  emulator.answer();
  await link.machine.info();
  expect(await settled(unmap, m)).toBe(false);
  await m.clock.advance({ ms: 90_000, force: true });
  expect(await unmap).toMatchObject({ timedOut: 1 });
});

scenario('a translation that an invalidation overtakes says so', REMOTE, async (m) => {
  const { emulator, fn } = await raise(m);
  const dev = m.function(BDF);
  await m.mapped(dev, IOVA, 2);
  await dev.faults.arm('hold', { point: 'translated' });
  const asked = fn.ats.translate(IOVA, { write: true });
  await eventually(async () => expect(await dev.ledger()).toMatchObject([{ point: 'translated' }]));
  await dev.dma.unmap({ iova: IOVA + 4096, bytes: 4096 });
  await dev.dma.unmap({ iova: IOVA, bytes: 4096 });
  expect(emulator.asked).toHaveLength(2);
  await m.connection.call('dmaRelease', { function: 0x28 });
  expect(await asked).toMatchObject({ outcome: 'performed', overtaken: true });
});

scenario('translations go by PASID', REMOTE, async (m) => {
  const { emulator, fn } = await raise(m);
  const dev = m.function(BDF);
  const domain = await m.domains.alloc();
  const page = await m.pages(1);
  await domain.map({ iova: IOVA, address: page, bytes: 4096, access: 'rw' });
  await dev.pasid(7).attach(domain);
  expect(await fn.ats.translate(IOVA, { write: true })).toMatchObject({ outcome: 'no-access' });
  expect(await fn.ats.translate(IOVA, { write: true, pasid: 7 })).toMatchObject({ grant: { address: page, access: 'rw' } });
  expect(await fn.dma.write(page, text('p'), { translated: true, pasid: 7 })).toMatchObject({ outcome: 'performed' });
  await domain.unmap({ iova: IOVA, bytes: 4096 });
  expect(emulator.asked.at(-1)).toEqual({ itag: 0, pasid: 7, iova: BigInt(IOVA), bytes: PAGE });
  expect(await refusal(fn.ats.translate(IOVA, { execute: true }))).toBe('EINVAL');
  expect(await refusal(fn.ats.translate(IOVA, { count: 9 }))).toBe('EINVAL');
});

scenario('dirty tracking that begins takes all that it was granted, in one request without a range', REMOTE, async (m) => {
  const { emulator, fn } = await raise(m);
  const dev = m.function(BDF);
  const domain = await m.domains.alloc({ format: 'vtd-second-stage-4level', dirtyTracking: true });
  const page = await m.pages(1);
  await domain.map({ iova: IOVA, address: page, bytes: 4096, access: 'rw' });
  await dev.attach(domain);
  await fn.ats.translate(IOVA, { write: true });
  emulator.asked.length = 0;
  await domain.setDirtyTracking(true);
  expect(emulator.asked).toMatchObject([{ pasid: undefined, iova: 0n, bytes: undefined }]);
  expect(await fn.dma.write(page, text('x'), { translated: true })).toMatchObject({ outcome: 'stale-atc' });
  expect(await fn.ats.translate(IOVA, { write: true })).toMatchObject({ grant: { address: page, access: 'rw' } });
});

scenario('a program that goes owes no answer any more, and its successor begins with nothing', REMOTE, async (m) => {
  const { emulator, fn, link } = await raise(m);
  const dev = m.function(BDF);
  const page = await m.mapped(dev, IOVA, 2);
  await fn.ats.translate(IOVA, { write: true });
  emulator.slow = true;
  const unmap = dev.dma.unmap({ iova: IOVA + 4096, bytes: 4096 });
  await eventually(() => expect(emulator.asked).toHaveLength(1));
  await link.close();
  expect(await unmap).toMatchObject({ timedOut: 0 });
  const successor = await raise(m);
  // It is reset as it comes, in a window.
  await eventually(async () => {
    const write = await successor.fn.dma.write(page, text('x'), { translated: true });
    expect(write).toMatchObject({ outcome: 'stale-atc' });
  });
  expect(await successor.fn.ats.translate(IOVA, { write: true })).toMatchObject({ grant: { address: page } });
  expect(await successor.fn.dma.write(page, text('y'), { translated: true })).toMatchObject({ outcome: 'performed' });
});

scenario('where the server keeps the cache it does the asking, and completes invalidations', REMOTE, async (m) => {
  const { emulator, fn } = await raise(m, {});
  const dev = m.function(BDF);
  const page = await m.mapped(dev, IOVA);
  expect(await fn.dma.write(IOVA, text('by way of it'), { translated: true })).toMatchObject({ outcome: 'performed' });
  expect(await m.text(page, 12)).toBe('by way of it');
  expect(await dev.dma.unmap({ iova: IOVA, bytes: 4096 })).toMatchObject({ timedOut: 0 });
  expect(emulator.asked).toEqual([]);
  expect(await fn.dma.write(IOVA, text('gone'), { translated: true })).toMatchObject({ bytes: 0 });
  expect(await refusal(fn.ats.complete(0))).toBe('EOPNOTSUPP');
});
