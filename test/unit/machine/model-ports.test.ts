/** A model's DMA is DMA like any other: the gate, the ledger and resets act on it, and it comes back in the machine's loop. */
import { describe, expect, it } from 'vitest';
import { modelDmaEnded } from '../../../server/src/core/machine/model-ports.ts';
import { CoreMachine, MS, PROBE, probe } from '../../kit/core-machine.ts';
import { BUSY, FAILED, IDLE, START, STOPPED, WRITE, descriptor, queueAt, statusOf } from '../../kit/probe-driver.ts';

const RING = 0x1_0000;
const DATA = 0x2_0000;
const AT = queueAt(0);

function driven(options: ConstructorParameters<typeof CoreMachine>[0] = {}) {
  const m = new CoreMachine(options);
  const ring = m.allocPage();
  const data = m.allocPage();
  m.map(PROBE, RING, ring);
  m.map(PROBE, DATA, data);
  const write = (offset: number, valueLow: number): void => {
    m.call('ok', { kind: 'region-write', bdf: PROBE, region: 0, offset, bytes: 4, valueLow, valueHigh: 0 });
  };
  const read = (offset: number): number => m.call('region-read', { kind: 'region-read', bdf: PROBE, region: 0, offset, bytes: 4 }).valueLow;
  const put = (slot: number, text: string): void => {
    const seed = new DataView(new TextEncoder().encode(text.padEnd(4)).buffer).getUint32(0, true);
    const bytes = descriptor({ control: WRITE, address: DATA + 4 * slot, length: 4, seed });
    m.call('ok', { kind: 'memory-write', address: ring + BigInt(64 * slot), data: bytes });
  };
  const status = (slot: number): ReturnType<typeof statusOf> =>
    statusOf(m.call('memory-read', { kind: 'memory-read', address: ring + BigInt(64 * slot + 32), bytes: 32 }).data);
  write(AT.ringBase, RING);
  write(AT.ringEntries, 8);
  write(AT.command, START);
  return { m, read, write, put, status, text: () => m.text(data, 8) };
}

describe("a model's DMA", () => {
  it('runs to its end in the step of the doorbell, however many follow each other', () => {
    const { read, write, put, status, text } = driven();
    put(0, 'one.');
    put(1, 'two.');
    write(AT.tail, 2);
    expect([text(), status(1).sequence, read(AT.state), read(AT.head)]).toEqual(['one.two.', 2, IDLE, 2]);
  });

  it('counts in the registers, and is in the trace, as that of a command', () => {
    const { m, read, write, put } = driven();
    put(0, 'one.');
    write(AT.tail, 1);
    expect([read(0x0c), read(0x10)]).toEqual([3, 3]);
    expect(m.outcome(PROBE, DATA)).toBe('performed');
    expect([read(0x0c), read(0x10)]).toEqual([4, 4]);
  });

  it('is held, listed and released as that of a command', () => {
    const { m, read, write, put, text } = driven();
    put(0, 'one.');
    m.arm(PROBE, 'hold', { first: 2 });
    write(AT.tail, 1);
    const { entries } = m.call('ledger', { kind: 'ledger', bdf: PROBE });
    expect(entries).toMatchObject([{ point: 'issued', held: true, iova: BigInt(DATA), bytes: 4 }]);
    m.release(PROBE);
    expect([text().slice(0, 4), read(AT.state)]).toEqual(['one.', IDLE]);
  });

  it('takes the latency of its function', () => {
    const { m, read, write, put, text } = driven({ clock: 'manual', functions: [probe(PROBE, { latencyNs: 5 * MS })] });
    put(0, 'one.');
    write(AT.tail, 1);
    expect(read(AT.state)).toBe(BUSY);
    m.advance(9);
    expect(text().slice(0, 4)).toBe('\0\0\0\0');
    m.advance(6);
    expect([text().slice(0, 4), read(AT.state)]).toEqual(['one.', IDLE]);
  });

  it.each([
    ['before it reads a descriptor', 1],
    ['in the middle of the data', 2],
    ['before the status', 3],
  ])('ends with a reset %s: the model hears nothing of it, and is as new', (_, first) => {
    const { m, read, write, put, status } = driven();
    put(0, 'one.');
    m.arm(PROBE, 'hold', { first });
    write(AT.tail, 1);
    expect(m.reset(PROBE).reply).toMatchObject({ kind: 'reset', aborted: 1 });
    expect([read(AT.state), read(AT.ringEntries), status(0).done]).toEqual([STOPPED, 0, false]);
    expect(m.call('ledger', { kind: 'ledger', bdf: PROBE }).entries).toEqual([]);
  });

  it('finds the gate closed in a reset window, and its queue says so', () => {
    const { m, read, write, put, text } = driven();
    put(0, 'one.');
    m.prepare(PROBE);
    write(AT.tail, 1);
    expect([text().slice(0, 4), read(AT.state)]).toEqual(['\0\0\0\0', FAILED]);
    expect(read(AT.error)).toBe((10 << 8) | 10);
  });

  it('is refused where the ledger is full, as aborted; and what it was told in another life is not for it', () => {
    const ended: unknown[] = [];
    const model = { dmaEnded: (...args: unknown[]) => ended.push(args) };
    const parts = { functionList: [{ index: 0, modelLife: 1, model }] } as unknown as Parameters<typeof modelDmaEnded>[0];
    const refused = { kind: 'refused', code: 'EAGAIN', message: '', about: '', elapsedNs: 0 } as const;
    modelDmaEnded(parts, { model: 0, tag: 9, life: 1, sinceNs: 0 }, refused);
    modelDmaEnded(parts, { model: 0, tag: 8, life: 0, sinceNs: 0 }, refused);
    expect(ended).toEqual([[9, { outcome: 'aborted', bytesDone: 0, data: undefined }]]);
  });
});
