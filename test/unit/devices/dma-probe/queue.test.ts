import { describe, expect, it } from 'vitest';
import { OUTCOMES } from '../../../../server/src/core/base/index.ts';
import { AT, Bench } from '../../../kit/probe-bench.ts';
import {
  ABORT,
  BUSY,
  FAILED,
  FILL,
  FLAGS,
  IDLE,
  INCREMENT,
  READ,
  START,
  STOP,
  STOPPED,
  STOPPING,
  WRITE,
  scatterList,
  slowCrc32,
  type DescriptorFields,
} from '../../../kit/probe-driver.ts';

const VALID = 0x8000_0000;

describe('a queue', () => {
  it('writes a pattern, says what it wrote, and raises its vector where asked', () => {
    const bench = new Bench();
    const status = bench.one({ control: WRITE | FLAGS.interrupt, address: 0x4000, length: 10, pattern: INCREMENT, seed: 7 });
    const written = bench.memory.subarray(0x4000, 0x400a);
    expect([...written]).toEqual([7, 0, 0, 0, 8, 0, 0, 0, 9, 0]);
    expect(status).toEqual({
      done: true,
      outcome: 0,
      error: 0,
      bytesDone: 10,
      checksum: slowCrc32(written),
      sequence: 1,
      failedAddress: 0n,
    });
    expect([bench.read(AT.state), bench.read(AT.head), bench.read(AT.completed), bench.read(AT.failed)]).toEqual([IDLE, 1, 1, 0]);
    expect(bench.ports.raised).toEqual([5]);
  });

  it('reads, and has the checksum of what it read; raises nothing unasked', () => {
    const bench = new Bench();
    bench.memory.set(new TextEncoder().encode('123456789'), 0x4000);
    expect(bench.one({ control: READ, address: 0x4000, length: 9 })).toMatchObject({ error: 0, bytesDone: 9, checksum: 0xcbf4_3926 });
    expect(bench.ports.raised).toEqual([]);
  });

  it('writes the status after the data, and raises after both', () => {
    const bench = new Bench();
    bench.put(0, { control: WRITE | FLAGS.interrupt, address: 0x4000, length: 4, pattern: FILL, seed: 1 });
    bench.write(AT.tail, 1);
    bench.step();
    expect(bench.ports.started).toMatchObject([{ operation: 'write', iovaLow: 0x4000 }]);
    bench.step();
    expect([bench.ports.started.length, bench.read(AT.head), bench.ports.raised]).toEqual([1, 0, []]);
    expect(bench.ports.started).toMatchObject([{ operation: 'write', iovaLow: 0x1020, bytes: 32 }]);
    bench.step();
    expect([bench.read(AT.head), bench.ports.raised]).toEqual([1, [5]]);
  });

  it('gathers and scatters: one pattern and one checksum over all segments', () => {
    const bench = new Bench();
    bench.memory.set(scatterList([0x4000, 6], [0x5001, 3], [0x6000, 3]), 0x3000);
    const status = bench.one({ control: WRITE | FLAGS.scatter, address: 0x3000, length: 3, pattern: INCREMENT, seed: 1 });
    const parts = [bench.memory.subarray(0x4000, 0x4006), bench.memory.subarray(0x5001, 0x5004), bench.memory.subarray(0x6000, 0x6003)];
    expect(parts.flatMap((part) => [...part])).toEqual([1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
    expect(status).toMatchObject({ error: 0, bytesDone: 12, checksum: slowCrc32(Uint8Array.from(parts.flatMap((part) => [...part]))) });
  });

  it('goes round its ring, and never past the tail', () => {
    const bench = new Bench();
    for (let index = 0; index < 4; index++) bench.put(index, { control: WRITE, address: 0x4000 + index, length: 1, seed: 0x10 + index });
    bench.write(AT.tail, 3);
    bench.run();
    expect([bench.read(AT.head), bench.read(AT.completed), bench.status(3).done]).toEqual([3, 3, false]);
    bench.put(0, { control: WRITE, address: 0x4100, length: 1, seed: 0x20 });
    bench.write(AT.tail, 1);
    bench.run();
    expect([bench.read(AT.head), bench.read(AT.completed), bench.status(0).sequence]).toEqual([1, 5, 5]);
    expect([...bench.memory.subarray(0x4000, 0x4004), bench.memory[0x4100]]).toEqual([0x10, 0x11, 0x12, 0x13, 0x20]);
  });

  it.each<[string, DescriptorFields, number]>([
    ['an operation that is none', { control: 0, address: 0, length: 4 }, 1],
    ['another', { control: 3, address: 0, length: 4 }, 1],
    ['a flag that is none', { control: WRITE | (1 << 13), address: 0, length: 4 }, 2],
    ['page requests without an ATC', { control: READ | FLAGS.pageRequests, address: 0, length: 4 }, 2],
    ['a reserved word', { control: READ, address: 0, length: 4, reserved: 1 }, 2],
    ['no bytes', { control: READ, address: 0, length: 0 }, 3],
    ['too many bytes', { control: READ, address: 0, length: 65537 }, 3],
    ['an empty list', { control: READ | FLAGS.scatter, address: 0, length: 0 }, 4],
    ['a list that is too long', { control: READ | FLAGS.scatter, address: 0, length: 33 }, 4],
    ['a pattern that is none', { control: WRITE, address: 0, length: 4, pattern: 3 }, 5],
    ['a PASID of 21 bits', { control: READ | FLAGS.pasid, address: 0, length: 4, pasid: 0x10_0000 }, 6],
    ['data beyond 64 bits', { control: READ, address: 0xffff_ffff_ffff_fffdn, length: 4 }, 7],
    ['a list beyond 64 bits', { control: READ | FLAGS.scatter, address: 0xffff_ffff_ffff_fff8n, length: 1 }, 7],
  ])('refuses a descriptor with %s by name, without DMA of its data, and goes on', (_, fields, error) => {
    const bench = new Bench();
    bench.put(0, fields);
    bench.put(1, { control: WRITE, address: 0x4000, length: 1, seed: 9 });
    bench.write(AT.tail, 2);
    bench.step();
    expect(bench.ports.started).toMatchObject([{ operation: 'write', iovaLow: 0x1020 }]);
    bench.run();
    expect(bench.status(0)).toMatchObject({ done: true, error, outcome: 0, bytesDone: 0, sequence: 1 });
    expect([bench.memory[0x4000], bench.read(AT.completed), bench.read(AT.failed)]).toEqual([9, 2, 1]);
  });

  it.each<[string, Uint8Array, number]>([
    ['an entry without bytes', scatterList([0x4000, 4], [0x5000, 0]), 4],
    ['a reserved word', scatterList([0x4000, 4], [0x5000, 4, 1]), 4],
    ['more bytes than a descriptor moves', scatterList([0x4000, 65000], [0x5000, 537]), 3],
    ['an entry beyond 64 bits', scatterList([0x4000, 4], [0xffff_ffff_ffff_ffffn, 2]), 7],
  ])('refuses a list with %s, before any of its data', (_, list, error) => {
    const bench = new Bench();
    bench.memory.set(list, 0x3000);
    expect(bench.one({ control: WRITE | FLAGS.scatter, address: 0x3000, length: 2, seed: 1 })).toMatchObject({ error, bytesDone: 0 });
    expect(bench.memory[0x4000]).toBe(0);
  });

  it('takes the last byte of 64 bits', () => {
    const bench = new Bench();
    bench.put(0, { control: READ, address: 0xffff_ffff_ffff_fffcn, length: 4 });
    bench.write(AT.tail, 1);
    bench.step();
    expect(bench.ports.started).toMatchObject([{ operation: 'read', iovaLow: -4, iovaHigh: -1, bytes: 4 }]);
  });

  it('says where and how its DMA failed, and of how much the checksum is', () => {
    const bench = new Bench();
    bench.memory.set(scatterList([0x4000, 4], [0x5000, 8]), 0x3000);
    bench.broken.set(0x5000, 'not-present');
    const status = bench.one({ control: WRITE | FLAGS.scatter | FLAGS.interrupt, address: 0x3000, length: 2, pattern: INCREMENT, seed: 1 });
    const outcome = OUTCOMES.indexOf('not-present');
    expect(status).toMatchObject({ done: true, error: 9, outcome, bytesDone: 8, failedAddress: 0x5004n });
    expect(status.checksum).toBe(slowCrc32(Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0)));
    expect([bench.read(AT.failed), bench.read(AT.state), bench.ports.raised]).toEqual([1, IDLE, [5]]);
  });

  it('says so where its list cannot be read', () => {
    const bench = new Bench();
    bench.broken.set(0x3000, 'not-permitted');
    const status = bench.one({ control: READ | FLAGS.scatter, address: 0x3000, length: 2 });
    expect(status).toMatchObject({ error: 8, outcome: OUTCOMES.indexOf('not-permitted'), bytesDone: 0, failedAddress: 0x3010n });
  });

  it.each([
    ['a descriptor cannot be read', 0x1000, 10],
    ['a status cannot be written', 0x1020, 11],
  ])('fails where %s, raises its vector, and does no more until it is started', (_, at, error) => {
    const bench = new Bench();
    bench.broken.set(at, 'blocked-domain');
    bench.one({ control: WRITE, address: 0x4000, length: 1, seed: 9 });
    expect(bench.read(AT.error)).toBe((OUTCOMES.indexOf('blocked-domain') << 8) | error);
    expect([bench.read(AT.state), bench.read(AT.head), bench.ports.raised]).toEqual([FAILED, 0, [5]]);
    bench.write(AT.tail, 2);
    expect([bench.ports.started, bench.read(AT.error)]).toEqual([[], 13]);
    bench.broken.clear();
    bench.write(AT.command, START);
    expect(bench.one({ control: WRITE, address: 0x4000, length: 1, seed: 9 })).toMatchObject({ done: true, error: 0 });
  });

  it.each([
    [0, 0x1000, 0],
    [1, 0x1000, 0],
    [257, 0x1000, 0],
    [2, 0xffff_ffc0, 0xffff_ffff],
  ])('does not start with %i descriptors at 0x%s', (entries, low, high) => {
    const bench = new Bench();
    bench.write(AT.command, STOP);
    bench.queue.write(AT.ringBase, 8, low, high);
    bench.write(AT.ringEntries, entries);
    bench.write(AT.command, START);
    expect([bench.read(AT.state), bench.read(AT.error)]).toEqual([FAILED, 12]);
  });

  it('keeps its ring while it runs, and ignores doorbells beyond it and commands that are none', () => {
    const bench = new Bench();
    bench.write(AT.ringEntries, 8);
    bench.queue.write(AT.ringBase, 8, 0x2000, 0);
    expect([bench.read(AT.ringEntries), bench.read(AT.ringBase)]).toEqual([4, 0x1000]);
    bench.write(AT.tail, 4);
    expect([bench.read(AT.error), bench.read(AT.tail), bench.ports.started]).toEqual([13, 0, []]);
    bench.write(AT.command, START);
    expect([bench.read(AT.error), bench.read(AT.state)]).toEqual([14, IDLE]);
    bench.write(AT.command, 9);
    expect(bench.read(AT.state)).toBe(IDLE);
  });

  it('stops when the descriptor under way is done, and at once where none is', () => {
    const bench = new Bench();
    for (const index of [0, 1]) bench.put(index, { control: WRITE, address: 0x4000 + index, length: 1, seed: 9 });
    bench.write(AT.tail, 2);
    bench.step();
    bench.write(AT.command, STOP);
    expect(bench.read(AT.state)).toBe(STOPPING);
    bench.run();
    expect([bench.read(AT.state), bench.status(0).done, bench.status(1).done]).toEqual([STOPPED, true, false]);
    bench.write(AT.command, START);
    bench.write(AT.command, STOP);
    expect([bench.read(AT.state), bench.read(AT.head), bench.read(AT.tail)]).toEqual([STOPPED, 0, 0]);
  });

  it("aborts at once: what ends then is nobody's, also when it has started again", () => {
    const bench = new Bench();
    bench.put(0, { control: WRITE | FLAGS.interrupt, address: 0x4000, length: 1, seed: 9 });
    bench.write(AT.tail, 1);
    expect(bench.read(AT.state)).toBe(BUSY);
    bench.write(AT.command, ABORT);
    expect(bench.read(AT.state)).toBe(STOPPED);
    bench.write(AT.command, START);
    bench.write(AT.tail, 1);
    expect(bench.ports.started).toHaveLength(2);
    bench.step();
    expect(bench.ports.started).toHaveLength(1);
    bench.run();
    expect([bench.read(AT.completed), bench.ports.raised]).toEqual([1, [5]]);
  });

  it('has a PASID for all that it does, and a descriptor one for its data', () => {
    const bench = new Bench();
    bench.write(AT.pasid, VALID | 77);
    bench.memory.set(scatterList([0x4000, 4]), 0x3000);
    bench.put(0, {
      control: WRITE | FLAGS.scatter | FLAGS.pasid | FLAGS.translated | FLAGS.pageRequests,
      address: 0x3000,
      length: 1,
      pasid: 5,
    });
    bench.write(AT.tail, 1);
    const seen: unknown[] = [];
    while (bench.ports.started.length > 0) {
      const { operation, pasid, translated, pageRequests } = bench.ports.started[0] ?? {};
      seen.push([operation, pasid, translated, pageRequests]);
      bench.step();
    }
    expect(seen).toEqual([
      ['read', 77, false, false],
      ['read', 77, false, false],
      ['write', 5, true, true],
      ['write', 77, false, false],
    ]);
  });

  it('goes on where it was in a copy that was loaded, at any point', () => {
    for (let steps = 0; steps < 5; steps++) {
      const bench = new Bench();
      bench.memory.set(scatterList([0x4000, 4], [0x5000, 4]), 0x3000);
      bench.put(0, { control: WRITE | FLAGS.scatter | FLAGS.interrupt, address: 0x3000, length: 2, pattern: INCREMENT, seed: 1 });
      bench.write(AT.tail, 1);
      for (let step = 0; step < steps; step++) bench.step();
      const copy = new Bench();
      copy.queue.load(bench.queue.save());
      copy.memory.set(bench.memory);
      copy.ports.started.push(...bench.ports.started);
      bench.run();
      copy.run();
      expect([copy.status(0), copy.queue.save(), copy.ports.raised]).toEqual([bench.status(0), bench.queue.save(), [5]]);
    }
  });
});
