/** What functions, hosts and owners have written, as a host that migrates a machine reads it: page by page, and again until nothing is written any more. */
import { expect } from 'vitest';
import { refusal, scenario } from '../kit/scenario.ts';

const BDF = '00:02.0';
const OWNED = 0x8000_0000n;
const PAGE = 4096;
const PAGES = 16;
const BYTES = PAGES * PAGE;
const RANGE = { address: OWNED, bytes: BYTES };
const RAM_IOVA = 0x10000;
const OWNED_IOVA = 0x20000;

class Store {
  readonly content = new Uint8Array(BYTES);

  read(address: bigint, bytes: number): Uint8Array {
    const from = Number(address - OWNED);
    return this.content.slice(from, from + bytes);
  }
  write(address: bigint, data: Uint8Array): void {
    this.content.set(data, Number(address - OWNED));
  }
}

function pagesOf(bitmap: Uint8Array): number[] {
  return [...bitmap].flatMap((byte, at) => [...Array(8).keys()].filter((bit) => (byte >> bit) & 1).map((bit) => at * 8 + bit));
}

scenario('a host that copies memory sees what each has written meanwhile', {}, async (m) => {
  const store = new Store();
  const owner = await (await m.connect(['memory'])).serveMemory(RANGE, store);
  const dev = m.function(BDF);
  const ram = await m.mapped(dev, RAM_IOVA, 2);
  await dev.dma.map({ iova: OWNED_IOVA, ...RANGE, access: 'rw' });
  expect(await owner.dirty([RANGE])).toEqual({ logging: false });
  expect(await refusal(m.memory.readDirtyLog(RANGE))).toBe('EINVAL');
  await m.memory.setDirtyLog(true);
  const written = async (range: { address: bigint; bytes: number }): Promise<number[]> => pagesOf(await m.memory.readDirtyLog(range));
  expect([await written(RANGE), await written({ address: ram, bytes: 2 * PAGE })]).toEqual([[], []]);

  const copy = await m.memory.read(OWNED, BYTES);
  await dev.model.write(OWNED_IOVA + 3 * PAGE - 2, 'by a function');
  await dev.model.write(RAM_IOVA + PAGE, 'by a function');
  await m.memory.write(OWNED + 5n * BigInt(PAGE), 'by a host');
  store.content.fill(7, 9 * PAGE, 11 * PAGE);
  expect(await owner.dirty([{ address: OWNED + 9n * BigInt(PAGE), bytes: 2 * PAGE }])).toEqual({ logging: true });
  expect(await written({ address: ram, bytes: 2 * PAGE })).toEqual([1]);
  expect(pagesOf(await m.memory.readDirtyLog({ ...RANGE, noClear: true }))).toEqual([2, 3, 5, 9, 10]);

  for (const page of await written(RANGE)) {
    copy.set(await m.memory.read(OWNED + BigInt(page * PAGE), PAGE), page * PAGE);
  }
  expect(copy).toEqual(store.content);
  expect(await written(RANGE)).toEqual([]);
  await m.memory.setDirtyLog(false);
  expect(await refusal(m.memory.readDirtyLog(RANGE))).toBe('EINVAL');
});

scenario('an owner tells of its own range only, any number of pages, and of all when it is started anew', {}, async (m) => {
  const connection = await m.connect(['memory']);
  const owner = await connection.serveMemory(RANGE, new Store());
  await m.memory.setDirtyLog(true);
  expect(
    await refusal(
      owner.dirty([
        { address: OWNED, bytes: 1 },
        { address: OWNED + BigInt(BYTES), bytes: 1 },
      ]),
    ),
  ).toBe('EFAULT');
  expect(await refusal(owner.dirty([]))).toBe('EINVAL');
  expect(pagesOf(await m.memory.readDirtyLog(RANGE))).toEqual([]);
  const many = Array.from({ length: 600 }, (_, i) => ({ address: OWNED + BigInt((i % 8) * 2 * PAGE), bytes: 1 }));
  await owner.dirty(many);
  expect(pagesOf(await m.memory.readDirtyLog(RANGE))).toEqual([0, 2, 4, 6, 8, 10, 12, 14]);
  await connection.close();
  expect(await m.memoryChanges.next()).toMatchObject({ change: 'owned' });
  expect(await m.memoryChanges.next()).toMatchObject({ change: 'absent' });
  expect(pagesOf(await m.memory.readDirtyLog(RANGE))).toEqual([]);
  await (await m.connect(['memory'])).serveMemory(RANGE, new Store());
  expect(pagesOf(await m.memory.readDirtyLog(RANGE))).toHaveLength(PAGES);
});

scenario('a flood of what an owner tells is refused, and ends its connection', { drivers: ['loopback', 'socket'] }, async (m) => {
  const connection = await m.connect(['memory']);
  const owner = await connection.serveMemory(RANGE, new Store());
  await Promise.all(Array.from({ length: 5000 }, () => owner.dirty([RANGE])));
  const wrong = Array.from({ length: 5000 }, () => refusal(owner.dirty([{ address: 0, bytes: 1 }])));
  const codes = new Set(await Promise.all(wrong));
  expect(codes).toEqual(new Set(['EFAULT', 'ECONNRESET']));
  expect(await m.memoryChanges.next()).toMatchObject({ change: 'owned' });
  expect(await m.memoryChanges.next()).toMatchObject({ change: 'absent' });
});
