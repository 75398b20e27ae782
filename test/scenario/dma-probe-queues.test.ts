/**
 * The queues of dma-probe as a harness drives them, by docs/dma-probe.md and nothing else. Each story is told to the server's own model, and to the example that
 * plays it from another connection.
 */
import { expect } from 'vitest';
import {
  BUSY,
  DESCRIPTOR_BYTES,
  FAILED,
  FLAGS,
  IDLE,
  INCREMENT,
  READ,
  START,
  STATUS_OFFSET,
  STOPPED,
  WRITE,
  descriptor,
  queueAt,
  scatterList,
  slowCrc32,
  statusOf,
  type DescriptorFields,
} from '../kit/probe-driver.ts';
import { eventually, scenario, type ScenarioMachine } from '../kit/scenario.ts';

const PROBE = { preset: 'basic', played: 'every-driver' } as const;
const [RING, DATA] = [0x10000, 0x20000];
const [NOT_PRESENT, GATE_CLOSED] = [1, 10];
const VALID = 0x8000_0000;
const [MSIX, TABLE_BAR] = [0x11, 2];

async function driver(m: ScenarioMachine, { queue = 0, entries = 8 } = {}) {
  const dev = m.function('00:02.0');
  const bar = dev.bar(0);
  const at = queueAt(queue);
  const ring = await m.mapped(dev, RING);
  const data = await m.mapped(dev, DATA);
  let tail = 0;
  const write = (offset: number, value: number): Promise<unknown> => bar.write(offset, 4, value);
  const read = (offset: number): Promise<number> => bar.read(offset, 4);
  await bar.write(at.ringBase, 8, RING);
  await write(at.ringEntries, entries);
  await write(at.command, START);
  /** The queue works behind the doorbell. */
  const rest = (): Promise<void> => eventually(async () => expect(await read(at.state)).not.toBe(BUSY));
  /** Puts the descriptors into the ring and rings the doorbell; their statuses are read when asked for: as they are now, or when the queue has come to rest. */
  const post = async (...all: readonly DescriptorFields[]) => {
    const slots: number[] = [];
    for (const fields of all) {
      await m.memory.write(ring + BigInt(tail * DESCRIPTOR_BYTES), descriptor(fields));
      slots.push(tail);
      tail = (tail + 1) % entries;
    }
    await write(at.tail, tail);
    const now = async () => {
      const bytes = slots.map((slot) => m.memory.read(ring + BigInt(slot * DESCRIPTOR_BYTES + STATUS_OFFSET), 32));
      return (await Promise.all(bytes)).map(statusOf);
    };
    return { now, statuses: () => rest().then(now) };
  };
  return { dev, at, data, write, read, rest, post };
}

scenario('a queue writes a pattern, reads it back, and the checksums agree with the memory', PROBE, async (m) => {
  const { at, data, read, post } = await driver(m, { queue: 3 });
  const { statuses } = await post(
    { control: WRITE, address: DATA + 5, length: 1000, pattern: INCREMENT, seed: 0xffff_fff0 },
    { control: READ, address: DATA + 5, length: 1000 },
  );
  const [written, back] = await statuses();
  const memory = await m.memory.read(data + 5n, 1000);
  expect([...memory.subarray(0, 8)]).toEqual([0xf0, 0xff, 0xff, 0xff, 0xf1, 0xff, 0xff, 0xff]);
  expect(written).toMatchObject({ done: true, error: 0, bytesDone: 1000, checksum: slowCrc32(memory), sequence: 1 });
  expect(back).toMatchObject({ done: true, error: 0, bytesDone: 1000, checksum: slowCrc32(memory), sequence: 2 });
  expect([await read(at.state), await read(at.head), await read(at.completed)]).toEqual([IDLE, 2, 2]);
});

scenario('a scatter list that leads out of what is mapped fails there, with a fault record; what follows goes on', PROBE, async (m) => {
  const { at, data, read, post } = await driver(m);
  await m.memory.write(data + 0x800n, scatterList([DATA, 4], [DATA + 4096, 4], [DATA + 8, 4]));
  const { statuses } = await post(
    { control: WRITE | FLAGS.scatter, address: DATA + 0x800, length: 3, seed: 0x4141_4141 },
    { control: 0, address: DATA, length: 4 },
    { control: WRITE, address: DATA + 16, length: 4, seed: 0x4242_4242 },
  );
  const [torn, refused, next] = await statuses();
  expect(torn).toMatchObject({ error: 9, outcome: NOT_PRESENT, bytesDone: 4, failedAddress: BigInt(DATA + 4096) });
  expect(refused).toMatchObject({ done: true, error: 1, bytesDone: 0 });
  expect(next).toMatchObject({ error: 0, sequence: 3 });
  expect(await m.text(data, 20)).toBe('AAAA\0\0\0\0\0\0\0\0\0\0\0\0BBBB');
  expect(await m.faults.next()).toMatchObject({ text: '00:02.0 write 0x21000: not present' });
  expect(await read(at.failed)).toBe(2);
});

scenario('data in the address space of a PASID, by way of the ATC, while the ring is in that of the function', PROBE, async (m) => {
  const { dev, data, post } = await driver(m);
  const domain = await m.domains.alloc();
  const page = await m.pages(1);
  await dev.pasid(9).attach(domain);
  await domain.map({ iova: DATA, address: page, bytes: 4096, access: 'rw' });
  const control = WRITE | FLAGS.pasid | FLAGS.translated;
  const [status] = await (await post({ control, pasid: 9, address: DATA, length: 4, seed: 0x5041_5349 })).statuses();
  expect(status).toMatchObject({ error: 0, bytesDone: 4 });
  expect([await m.text(page, 4), await m.text(data, 4)]).toEqual(['ISAP', '\0\0\0\0']);
  await domain.unmap({ iova: DATA, bytes: 4096 });
  const [gone] = await (await post({ control, pasid: 9, address: DATA, length: 4, seed: 1 })).statuses();
  expect(gone?.error).toBe(9);
  expect(await m.text(page, 4)).toBe('ISAP');
});

scenario('a descriptor with page requests waits for its pages, and the queue with it', PROBE, async (m) => {
  const { dev, at, read, post } = await driver(m);
  const domain = await m.domains.alloc({ faults: true });
  await dev.pasid(9).attach(domain);
  const control = WRITE | FLAGS.pasid | FLAGS.translated | FLAGS.pageRequests;
  const { now, statuses } = await post({ control, pasid: 9, address: DATA, length: 4, seed: 0x4746_4544 });
  const fault = await m.pageFaults.next();
  expect([await read(at.state), (await now())[0]?.done]).toEqual([BUSY, false]);
  const page = await m.pages(1);
  await domain.map({ iova: DATA, address: page, bytes: 4096, access: 'rw' });
  await fault.respond('success');
  expect((await statuses())[0]).toMatchObject({ done: true, error: 0 });
  expect(await m.text(page, 4)).toBe('DEFG');
});

scenario('a reset with a window drops what a queue has in flight: no status, nothing written after, registers as new', PROBE, async (m) => {
  const { dev, at, data, read, post } = await driver(m);
  await dev.faults.arm('hold', { point: 'translated', first: 2 });
  const { now } = await post({ control: WRITE, address: DATA, length: 4, seed: 0x4141_4141 });
  await eventually(async () => expect(await dev.ledger()).toMatchObject([{ held: true, iova: BigInt(DATA), bytes: 4 }]));
  expect(await dev.reset({ method: 'flr', deadlineMs: 10, onDeadline: 'abort' })).toMatchObject({ aborted: 1 });
  expect([await read(at.state), await read(at.ringEntries), (await now())[0]?.done]).toEqual([STOPPED, 0, false]);
  expect([await m.text(data, 4), await dev.ledger()]).toEqual(['\0\0\0\0', []]);
});

scenario('a queue that is rung in a window fails with the closed gate, and runs again when it is over', PROBE, async (m) => {
  const { dev, at, data, write, read, rest, post } = await driver(m);
  const window = await dev.resetPrepare({ deadlineMs: 10 });
  await post({ control: WRITE, address: DATA, length: 4, seed: 0x4141_4141 });
  await rest();
  expect([await read(at.state), await read(at.error)]).toEqual([FAILED, (GATE_CLOSED << 8) | 10]);
  await window.done();
  await write(at.command, START);
  await write(at.tail, 1);
  await rest();
  expect([await read(at.state), await m.text(data, 4)]).toEqual([IDLE, 'AAAA']);
});

scenario('each queue has a vector, which comes after the status where a descriptor asks for it', PROBE, async (m) => {
  const { dev, at, data, write, rest, post } = await driver(m, { queue: 1 });
  let msix = await dev.config.read(0x34, 1);
  while ((await dev.config.read(msix, 1)) !== MSIX) msix = await dev.config.read(msix + 1, 1);
  await dev.config.write(msix + 2, 2, 0x8000);
  const table = dev.bar(TABLE_BAR);
  await table.write(16 * 5, 8, 0xfee0_0000);
  await table.write(16 * 5 + 8, 4, 0x66);
  await table.write(16 * 5 + 12, 4, 0);
  await write(at.vector, VALID + 5);
  await post({ control: WRITE, address: DATA, length: 4, seed: 1 });
  await rest();
  expect(m.interrupts.take()).toEqual([]);
  await post(
    { control: WRITE | FLAGS.interrupt, address: DATA, length: 4, seed: 0x4141_4141 },
    { control: FLAGS.interrupt, address: 0, length: 0 },
  );
  await rest();
  const seen = m.interrupts.take();
  expect(seen.reduce((sum, { count }) => sum + count, 0)).toBe(2);
  expect(seen).toMatchObject(seen.map(() => ({ function: '00:02.0', address: 0xfee0_0000n, data: 0x66, sourceVector: 5 })));
  expect(await m.text(data, 4)).toBe('AAAA');
});
