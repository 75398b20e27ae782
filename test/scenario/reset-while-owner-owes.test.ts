/**
 * What the machine is for: a function is reset while its DMA waits on memory that another process owns. E emulates the function, M owns
 * the memory, H is the host.
 */
import { expect } from 'vitest';
import type { ClaimedFunction, Connection } from '../../client/src/index.ts';
import { eventually, refusal, scenario, settled, type ScenarioMachine } from '../kit/scenario.ts';

const IOVA = 0x20000;
const OWNED = 0x8000_0000n;
const PAGE_BYTES = 4096;
const COMMAND = 0x04;

/** Memory whose owner answers a write only when it is told to. */
class SlowOwner {
  readonly content = new Uint8Array(PAGE_BYTES);
  readonly epochs: number[] = [];
  /** `write` and `fence` in the order in which they were asked, `written` when a write has been let through. */
  readonly log: string[] = [];
  readonly #held: (() => void)[] = [];
  slow = true;

  read(address: bigint, bytes: number): Uint8Array {
    const from = Number(address - OWNED);
    return this.content.slice(from, from + bytes);
  }

  async write(address: bigint, data: Uint8Array, { epoch }: { epoch: number }): Promise<void> {
    this.epochs.push(epoch);
    this.log.push('write');
    if (this.slow) {
      await new Promise<void>((resolve) => {
        this.#held.push(resolve);
      });
    }
    this.content.set(data, Number(address - OWNED));
    this.log.push('written');
  }

  fence(): void {
    this.log.push('fence');
  }

  letThrough(): void {
    for (const answer of this.#held.splice(0)) answer();
  }
}

interface Cast {
  readonly emulator: ClaimedFunction;
  readonly owner: SlowOwner;
  /** M's connection. */
  readonly memory: Connection;
  readonly resets: string[];
}

async function raise(m: ScenarioMachine): Promise<Cast> {
  const owner = new SlowOwner();
  const resets: string[] = [];
  const memory = await m.connect(['memory']);
  const device = await m.connect(['device']);
  await memory.serveMemory({ address: OWNED, bytes: PAGE_BYTES }, owner);
  const emulator = await device.claimDevice('00:04.0', {
    onReset(method) {
      resets.push(method);
    },
  });
  await m.function('00:04.0').dma.map({ iova: IOVA, address: OWNED, bytes: PAGE_BYTES, access: 'rw' });
  return { emulator, owner, memory, resets };
}

const text = (words: string): Uint8Array => new TextEncoder().encode(words);

scenario('a late answer of a memory owner is dropped by epoch, its fence is awaited, and the function goes on', {}, async (m) => {
  const { emulator, owner, resets } = await raise(m);
  const dev = m.function('00:04.0');
  await m.subscribe(['trace']);

  const write = emulator.dma.write(IOVA, text('before'));
  await eventually(() => expect(owner.log).toEqual(['write']));
  expect(await dev.ledger()).toMatchObject([{ operation: 'write', point: 'sent', bytes: 6, address: OWNED, epoch: 0 }]);

  // Virtual time does not pass while M owes an answer, so the drain's deadline is now or never.
  const prepare = dev.resetPrepare({ deadlineMs: 0, onDeadline: 'abort' });
  expect(await write).toMatchObject({ outcome: 'indeterminate', bytes: 0 });
  expect(await settled(prepare, m)).toBe(false);
  expect(await dev.ledger()).toMatchObject([{ point: 'indeterminate', bytes: 6, address: OWNED }]);
  expect(await emulator.dma.write(IOVA, text('while closed'))).toMatchObject({ outcome: 'gate-closed', bytes: 0 });

  // M's answer is late by an epoch. Its fence was asked behind the write, is answered behind it, and ends the wait.
  owner.slow = false;
  owner.letThrough();
  const window = await prepare;
  expect(owner.log).toEqual(['write', 'written', 'fence']);
  expect(window.report).toMatchObject({ depth: 1, drained: 0, aborted: 0, indeterminate: 1 });
  expect(window.report.indeterminateRanges).toEqual([{ address: OWNED, bytes: 6 }]);
  expect(await dev.ledger()).toEqual([]);
  expect(await dev.info()).toMatchObject({ blocked: true, gateOpen: false, resetDepth: 1 });
  expect(m.trace.take().filter((record) => record.name === 'late-answer')).toMatchObject([{ values: [0x20, 1, 0, 1] }]);

  // A reset clears the command register, so the host keeps what was in it.
  const command = await dev.config.read(COMMAND, 2);
  await dev.resetTrigger('flr');
  await dev.config.write(COMMAND, 2, command);
  expect(resets).toEqual(['flr']);
  expect(await window.done()).toMatchObject({ depth: 0 });
  expect(await dev.info()).toMatchObject({ blocked: false, gateOpen: true, resetDepth: 0 });

  // E goes on, in a new epoch.
  expect(await emulator.dma.write(IOVA, text('after!'))).toMatchObject({ outcome: 'performed', bytes: 6 });
  expect(new TextDecoder().decode(owner.content.slice(0, 6))).toBe('after!');
  expect(owner.epochs).toEqual([0, 1]);
});

scenario('an owner that goes away while its fence is awaited does not hold the reset', {}, async (m) => {
  const { emulator, owner, memory, resets } = await raise(m);
  const dev = m.function('00:04.0');
  const write = emulator.dma.write(IOVA, text('lost?'));
  await eventually(() => expect(owner.log).toEqual(['write']));

  const reset = dev.reset({ method: 'flr', deadlineMs: 0, onDeadline: 'abort' });
  expect(await write).toMatchObject({ outcome: 'indeterminate' });
  expect(await settled(reset, m)).toBe(false);
  await memory.close();

  expect(await reset).toMatchObject({ method: 'flr', indeterminate: 1 });
  expect(resets).toEqual(['flr']);
  expect(await dev.ledger()).toEqual([]);
  expect(await dev.info()).toMatchObject({ blocked: false, resetDepth: 0 });
});

scenario('with `fail` the prepare is refused, and the write lands as if nothing had been', {}, async (m) => {
  const { emulator, owner } = await raise(m);
  const dev = m.function('00:04.0');
  const write = emulator.dma.write(IOVA, text('kept'));
  await eventually(() => expect(owner.log).toEqual(['write']));

  expect(await refusal(dev.resetPrepare({ deadlineMs: 0, onDeadline: 'fail' }))).toBe('ETIMEDOUT');
  expect(await dev.info()).toMatchObject({ blocked: false, gateOpen: true, resetDepth: 0 });

  owner.letThrough();
  expect(await write).toMatchObject({ outcome: 'performed', bytes: 4 });
  expect(new TextDecoder().decode(owner.content.slice(0, 4))).toBe('kept');
});
