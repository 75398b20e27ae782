/**
 * A dma-probe of the server's and the one of client/examples, which another program plays, side by side: random accesses to their registers, and rings of random
 * descriptors, right and wrong, over pages that are there, read-only, and missing. Nothing that a driver can see tells one from the other.
 */
import { expect } from 'vitest';
import { dmaProbe } from '../../client/examples/dma-probe-device.ts';
import { checkDevice, type FunctionHandle } from '../../client/src/index.ts';
import { Prng } from '../../server/src/core/base/index.ts';
import {
  BUSY,
  DESCRIPTOR_BYTES,
  FLAGS,
  START,
  STATUS_OFFSET,
  descriptor,
  queueAt,
  scatterList,
  statusOf,
  type DescriptorFields,
} from '../kit/probe-driver.ts';
import { eventually, scenario, type ScenarioMachine } from '../kit/scenario.ts';

const [SERVERS, PLAYED] = ['00:02.0', '00:04.0'];
const [RING, LISTS, DATA] = [0x10_0000, 0x20_0000, 0x30_0000];
const RIGHTS = ['rw', 'rw', 'none', 'rw', 'r', 'rw'] as const;
const PAGE = 4096;
const ENTRIES = 64;
const ROUNDS = 12;
const QUEUE = 2;

/** One of the two in its own address space, with memory of its own. */
class Side {
  readonly dev: FunctionHandle;
  readonly #m: ScenarioMachine;
  readonly #pages = new Map<number, bigint>();

  constructor(m: ScenarioMachine, bdf: string) {
    this.#m = m;
    this.dev = m.function(bdf);
  }

  async begin(): Promise<void> {
    for (const [index, access] of RIGHTS.entries()) {
      const iova = DATA + index * PAGE;
      const address = await this.#m.pages(1);
      this.#pages.set(iova, address);
      if (access !== 'none') await this.dev.dma.map({ iova, address, bytes: PAGE, access });
    }
    for (const iova of [RING, LISTS]) this.#pages.set(iova, await this.#m.mapped(this.dev, iova));
    const at = queueAt(QUEUE);
    const bar = this.dev.bar(0);
    await bar.write(at.ringBase, 8, RING);
    await bar.write(at.ringEntries, 4, ENTRIES);
    await bar.write(at.command, 4, START);
  }

  put(iova: number, data: Uint8Array): Promise<void> {
    return this.#m.memory.write(this.#at(iova), data);
  }
  get(iova: number, bytes: number): Promise<Uint8Array> {
    return this.#m.memory.read(this.#at(iova), bytes);
  }

  /** Rings the doorbell, and says what is in the queue's registers, the statuses from `from` on and the data when it is at rest. */
  async ring(from: number, tail: number): Promise<unknown> {
    const bar = this.dev.bar(0);
    const at = queueAt(QUEUE);
    await bar.write(at.tail, 4, tail);
    await eventually(async () => expect(await bar.read(at.state, 4)).not.toBe(BUSY));
    const registers = await Promise.all(Object.values(at).map((offset) => bar.read(offset, 4)));
    const statuses = [];
    for (let slot = from; slot < tail; slot++) statuses.push(statusOf(await this.get(RING + slot * DESCRIPTOR_BYTES + STATUS_OFFSET, 32)));
    const data = await Promise.all(RIGHTS.map((_, index) => this.get(DATA + index * PAGE, PAGE)));
    return { registers, statuses, data: data.map((page) => Buffer.from(page).toString('base64')) };
  }

  #at(iova: number): bigint {
    const page = iova - (iova % PAGE);
    return (this.#pages.get(page) ?? 0n) + BigInt(iova - page);
  }
}

async function sides(m: ScenarioMachine): Promise<readonly [Side, Side]> {
  await dmaProbe.claim(await m.connect(['device']), PLAYED);
  return [new Side(m, SERVERS), new Side(m, PLAYED)];
}

/** Mostly right. */
function randomDescriptor(chance: Prng, list: number): { readonly fields: DescriptorFields; readonly list: Uint8Array } {
  const place = (): number => DATA + chance.below(RIGHTS.length * PAGE - 64);
  const length = (): number => 1 + chance.below(chance.below(4) === 0 ? 3 * PAGE : 200);
  const scatter = chance.below(3) === 0;
  const entries = 1 + chance.below(4);
  const flags =
    (scatter ? FLAGS.scatter : 0) | (chance.below(2) === 0 ? FLAGS.translated : 0) | (chance.below(3) === 0 ? FLAGS.interrupt : 0);
  const spoiled = chance.below(6) === 0 ? chance.below(6) : -1;
  const fields = {
    control: (spoiled === 0 ? 3 + chance.below(200) : 1 + chance.below(2)) | flags | (spoiled === 1 ? 1 << (13 + chance.below(18)) : 0),
    address: spoiled === 2 ? 0xffff_ffff_ffff_fff8n : BigInt(scatter ? list : place()),
    length: spoiled === 3 ? ([0, 65537, 33][chance.below(3)] ?? 0) : scatter ? entries : length(),
    pattern: chance.below(spoiled === 4 ? 100 : 3),
    seed: chance.next(),
    reserved: spoiled === 5 ? 1 : 0,
  };
  const segments = Array.from({ length: entries }, () => [place(), chance.below(20) === 0 ? 0 : length()] as const);
  return { fields, list: scatterList(...segments) };
}

scenario('rings of random descriptors end alike', { played: 'none' }, async (m) => {
  const both = await sides(m);
  for (const side of both) await side.begin();
  const chance = new Prng(11);
  for (let round = 0, tail = 0; round < ROUNDS; round++) {
    const from = tail;
    for (const count = 1 + chance.below(4); tail < from + count; tail++) {
      const { fields, list } = randomDescriptor(chance, LISTS + tail * 64);
      for (const side of both) {
        await side.put(RING + tail * DESCRIPTOR_BYTES, descriptor(fields));
        await side.put(LISTS + tail * 64, list);
      }
    }
    const [ours, played] = [await both[0].ring(from, tail), await both[1].ring(from, tail)];
    expect(played, `descriptors ${from} to ${tail - 1}`).toEqual(ours);
  }
});

scenario('random accesses to their registers find the same', { played: 'none' }, async (m) => {
  const both = await sides(m);
  const chance = new Prng(5);
  for (let turn = 0; turn < 100; turn++) {
    const bytes = 1 << chance.below(4);
    const queue = queueAt(chance.below(4));
    const base = chance.below(5) === 0 ? 0 : queue.command;
    const offset = base + chance.below(0x40 / bytes) * bytes;
    const value = BigInt.asUintN(
      8 * bytes,
      chance.below(3) === 0 ? BigInt(chance.below(4)) : (BigInt(chance.next()) << 32n) | BigInt(chance.next()),
    );
    const seen = [];
    for (const { dev } of both) {
      const bar = dev.bar(0);
      await bar.write(offset, bytes, value);
      await eventually(async () => expect(await bar.read(queue.state, 4)).not.toBe(BUSY));
      const wide = Array.from({ length: 8 }, (_, index) => bar.read64(base + 8 * index));
      seen.push([await Promise.all(wide), bytes === 8 ? undefined : await bar.read(offset, bytes)]);
    }
    expect(seen[1], `turn ${turn}: ${value} to ${offset}, ${bytes} bytes`).toEqual(seen[0]);
  }
});

scenario('what any PCI function has to do, the one that is played does', { played: 'none', drivers: ['loopback'] }, async (m) => {
  await dmaProbe.claim(await m.connect(['device']), PLAYED);
  const checks: string[] = [];
  for await (const { name, passed, text } of checkDevice(m, PLAYED)) checks.push(`${passed === false ? `FAIL ${text} ` : ''}${name}`);
  expect(checks.filter((line) => line.startsWith('FAIL'))).toEqual([]);
  expect(checks).toContain('a reset by flr: it answers, and its configuration is given back');
});
