/** Page tables in memory that another process owns: it answers late, or never. */
import { expect } from 'vitest';
import type { Connection, FunctionHandle } from '../../client/src/index.ts';
import { eventually, refusal, scenario, settled, type ScenarioMachine } from '../kit/scenario.ts';

const IOVA = 0x1000n;
const OWNED = 0x8000_0000n;
const PAGE = 4096n;
/** x86-64: present, writable, user, accessed and, in a leaf, dirty. */
const TABLE = 0x27n;
const LEAF = 0x67n;

/** Four tables, one behind the other, of which each entry is given when it is let through. */
class SlowTables {
  readonly asked: bigint[] = [];
  readonly #entries = new Map<bigint, bigint>();
  readonly #held: (() => void)[] = [];

  constructor(page: bigint) {
    for (const level of [0n, 1n, 2n]) this.#entries.set(OWNED + level * PAGE, (OWNED + (level + 1n) * PAGE) | TABLE);
    this.#entries.set(OWNED + 3n * PAGE + 8n, page | LEAF);
  }

  async read(address: bigint, bytes: number): Promise<Uint8Array> {
    this.asked.push(address);
    await new Promise<void>((resolve) => {
      this.#held.push(resolve);
    });
    const data = new Uint8Array(bytes);
    new DataView(data.buffer).setBigUint64(0, this.#entries.get(address) ?? 0n, true);
    return data;
  }

  write(address: bigint, data: Uint8Array): void {
    const entry = new Uint8Array(new BigUint64Array([this.entry(address)]).buffer);
    entry.set(data);
    this.#entries.set(address, new DataView(entry.buffer).getBigUint64(0, true));
  }

  entry(address: bigint): bigint {
    return this.#entries.get(address) ?? 0n;
  }
  put(address: bigint, value: bigint): void {
    this.#entries.set(address, value);
  }

  letThrough(): void {
    for (const answer of this.#held.splice(0)) answer();
  }
}

interface Cast {
  readonly dev: FunctionHandle;
  readonly tables: SlowTables;
  readonly owner: Connection;
  readonly page: bigint;
}

async function raise(m: ScenarioMachine, accessedDirty = false): Promise<Cast> {
  const dev = m.function('00:02.0');
  const page = await m.pages(1);
  const tables = new SlowTables(page);
  const owner = await m.connect(['memory']);
  await owner.serveMemory({ address: OWNED, bytes: 4n * PAGE }, tables);
  await dev.attach(await m.domains.alloc({ root: OWNED, accessedDirty }));
  return { dev, tables, owner, page };
}

scenario('a DMA waits for page tables whose owner answers late', {}, async (m) => {
  const { dev, tables, page } = await raise(m);
  const write = dev.model.write(IOVA, 'late');
  for (let level = 1; level <= 4; level++) {
    await eventually(() => expect(tables.asked).toHaveLength(level));
    if (level === 1) expect((await dev.ledger())[0]?.waitsFor).toMatch(/entry of its page tables, of memory owner/);
    expect(await settled(write, m)).toBe(false);
    tables.letThrough();
  }
  expect((await write).outcome).toBe('performed');
  expect(tables.asked).toEqual([OWNED, OWNED + PAGE, OWNED + 2n * PAGE, OWNED + 3n * PAGE + 8n]);
  expect(await m.memory.read(page, 4)).toEqual(new TextEncoder().encode('late'));
});

scenario('a DMA ends in an external abort when the owner of its page tables goes, and the function goes on', {}, async (m) => {
  const { dev, tables, owner, page } = await raise(m);
  const write = dev.model.write(IOVA, 'never');
  await eventually(() => expect(tables.asked).toHaveLength(1));
  await owner.close();
  expect(await write).toMatchObject({ outcome: 'external-abort', failedIova: IOVA });
  expect((await m.faultRecords()).records.at(-1)).toMatchObject({ cause: 'external-abort', iova: IOVA, stage: 1 });
  await dev.detach();
  await dev.dma.map({ iova: IOVA, address: page, bytes: PAGE, access: 'rw' });
  expect((await dev.model.write(IOVA, 'alive')).outcome).toBe('performed');
});

scenario('accessed and dirty flags reach tables whose owner answers late, before the DMA does its work', {}, async (m) => {
  const { dev, tables, page } = await raise(m, true);
  for (const level of [0n, 1n, 2n]) tables.put(OWNED + level * PAGE, tables.entry(OWNED + level * PAGE) & ~0x20n);
  tables.put(OWNED + 3n * PAGE + 8n, page | 7n);
  const write = dev.model.write(IOVA, 'marked');
  // Each entry is read, read again, and then written.
  for (let calls = 1; calls <= 8; calls++) {
    await eventually(() => expect(tables.asked).toHaveLength(calls));
    expect(await settled(write, m)).toBe(false);
    tables.letThrough();
  }
  expect((await write).outcome).toBe('performed');
  expect([0n, 1n, 2n].map((level) => tables.entry(OWNED + level * PAGE) & 0xfffn)).toEqual([TABLE, TABLE, TABLE]);
  expect(tables.entry(OWNED + 3n * PAGE + 8n)).toBe(page | LEAF);
});

scenario('a lookup asks the owner of the tables, and says so when it does not answer', {}, async (m) => {
  const { dev, tables, owner, page } = await raise(m);
  const found = dev.dma.iovaToPhys(IOVA + 7n);
  for (let level = 1; level <= 4; level++) {
    await eventually(() => expect(tables.asked).toHaveLength(level));
    expect(await settled(found, m)).toBe(false);
    tables.letThrough();
  }
  expect(await found).toBe(page + 7n);
  const lost = refusal(dev.dma.iovaToPhys(IOVA));
  await eventually(() => expect(tables.asked).toHaveLength(5));
  await owner.close();
  expect(await lost).toBe('EIO');
});
