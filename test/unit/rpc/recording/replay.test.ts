import { crc32 } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadContract } from '../../../../proto/contract-lock.mjs';
import { BODY } from '../../../../proto/index.ts';
import { createModel } from '../../../../server/src/core/devices/index.ts';
import { Machine, type MachineOptions } from '../../../../server/src/core/machine/index.ts';
import { readRecording, replay, type Recording } from '../../../../server/src/rpc/index.ts';
import { PROBE, RAM, probe, specOf } from '../../../kit/core-machine.ts';
import { RECORDED_VERSION, RecordedMachine, replayed, settle } from '../../../kit/recorded-machine.ts';

const HEAD_BYTES = 14;
const CHECKSUM_BYTES = 5;
const HALVES = { low: 0x1_0000, high: 0 };

let file: Uint8Array;
/** The numbers of inputs: a connection, its Hello, its arrival, map, write, prepare, write in the window, done. */
const INPUT = { join: 3, map: 4, write: 5, prepare: 6, refused: 7, done: 8 } as const;

beforeAll(async () => {
  const recorded = new RecordedMachine(specOf({ functions: [probe(PROBE)] }));
  const { sink, stop } = recorded.record();
  const host = await recorded.join('host');
  const page = { low: Number(RAM), high: 0 };
  host.call(2, 'dmaMap', { function: PROBE, iova: HALVES, address: page, bytes: { low: 4096, high: 0 }, access: 3 }).send();
  await host.replyTo(2);
  const dma = { function: PROBE, iova: HALVES, operation: 2, bytes: 4 };
  host.call(3, 'modelDma', dma, Uint8Array.of(1, 2, 3, 4)).send();
  await host.replyTo(3);
  host.call(4, 'resetPrepare', { function: PROBE, token: 'w', deadlineNs: { low: 1_000_000, high: 0 }, onDeadline: 1 }).send();
  await host.replyTo(4);
  host.call(5, 'modelDma', dma, Uint8Array.of(5, 6, 7, 8)).send();
  await host.replyTo(5);
  host.call(6, 'resetDone', { function: PROBE, token: 'w' }).send();
  await host.replyTo(6);
  stop();
  file = sink.file;
});

/** The file again, with something in its records changed, and right checksums. */
function changed(change: (records: Record<string, unknown>[]) => void): Uint8Array {
  const type = loadContract('proto').lookupType('iommud.v1.Recording');
  const message = type.toObject(type.decode(file)) as { block: { record?: Record<string, unknown>[]; checksum: number }[] };
  const records = message.block.flatMap(({ record = [] }) => record);
  change(records);
  const block = loadContract('proto').lookupType('iommud.v1.RecordingBlock');
  let bytes = Buffer.from(file.subarray(0, HEAD_BYTES));
  for (const [i, { checksum: _checksum, record: _record, ...rest }] of message.block.entries()) {
    const content = Buffer.from(block.encode(block.fromObject(i === 1 ? { ...rest, record: records } : rest)).finish());
    const writer = Buffer.alloc(6);
    writer[0] = 0x1a;
    let at = 1;
    for (let left = content.length + CHECKSUM_BYTES; ; left >>>= 7) {
      writer[at++] = left > 0x7f ? (left & 0x7f) | 0x80 : left;
      if (left <= 0x7f) break;
    }
    bytes = Buffer.concat([bytes, writer.subarray(0, at), content, Buffer.of(0x7d, 0, 0, 0, 0)]);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, -CHECKSUM_BYTES)), bytes.length - 4);
  }
  return bytes;
}

function differenceOf(bytes: Uint8Array): ReturnType<typeof replay>['difference'] {
  return replayed(readRecording(bytes)).difference;
}

/** The recording as if the machine had been made from another spec. */
function madeFrom(recording: Recording, spec: Parameters<typeof specOf>[0]): Recording {
  const other = new Machine(specOf({ functions: [probe(PROBE)], ...spec }));
  return { ...recording, start: { ...recording.start, spec: other.saveSpec(), traceHash: other.traceHash } };
}

describe('a replay', () => {
  it('says how much was played and that nothing differs', () => {
    const recording = readRecording(file);
    expect(replayed(recording)).toEqual({
      inputs: INPUT.done,
      outputs: expect.any(Number) as number,
      nowNs: 0,
      traceHash: recording.end?.traceHash,
      difference: undefined,
    });
  });

  it('finds a reply that was tampered with, where it is', () => {
    const bytes = changed((records) => {
      const reply = records.find(({ sent }) => (sent as { id?: number } | undefined)?.id === 3)?.['sent'] as {
        model_dma_reply: { result: { bytes_done: number } };
      };
      expect(reply.model_dma_reply.result.bytes_done).toBe(4);
      reply.model_dma_reply.result.bytes_done = 5;
    });
    const difference = differenceOf(bytes);
    expect(difference).toMatchObject({ input: INPUT.write, timeNs: 0 });
    expect(difference?.of).toContain('from peer 1: call 3 modelDma {"function":16');
    expect(difference?.recorded).toContain('"bytesDone":5');
    expect(difference?.came).toContain('"bytesDone":4');
    expect(difference?.field).toBe('result.bytesDone: 5, and 4 came');
  });

  it('finds an output that is too many, and one that is missing', () => {
    let of = 0;
    const without = changed((records) => {
      of = records.findIndex(({ sent }) => (sent as { id?: number } | undefined)?.id === 4);
      records.splice(of, 1);
    });
    expect(differenceOf(without)).toMatchObject({
      input: INPUT.prepare,
      recorded: 'nothing more',
      came: expect.stringContaining('reply 4') as string,
    });
    const twice = changed((records) => records.splice(of, 0, records[of]!));
    expect(differenceOf(twice)).toMatchObject({
      input: INPUT.prepare,
      recorded: expect.stringContaining('reply 4') as string,
      came: 'nothing more',
    });
  });

  it('finds an input that is another, by what comes of it', () => {
    const bytes = changed((records) => {
      const call = records.find(({ input, received }) => input !== undefined && (received as { id?: number } | undefined)?.id === 4);
      (call!['received'] as { reset_prepare: { token: string } }).reset_prepare.token = 'other';
    });
    expect(differenceOf(bytes)).toMatchObject({ input: INPUT.done, came: expect.stringContaining('which is not open') as string });
  });

  it('finds an input at another time', () => {
    const bytes = changed((records) => {
      const write = records.filter(({ input }) => input !== undefined)[INPUT.write - 1]!;
      write['time_ns'] = 7;
    });
    expect(differenceOf(bytes)).toMatchObject({ input: INPUT.write, timeNs: 7, came: 'the clock stands at 0 ns' });
  });

  it('of a build that behaves in another way differs at the first input where it shows', () => {
    const recording = readRecording(file);
    expect(replayed(madeFrom(recording, {})).difference).toBeUndefined();
    const other = replayed(madeFrom(recording, { behaviour: 'linux-7.0' })).difference;
    // What is issued in the window is refused by the gate, which that kernel does not have.
    expect(other).toMatchObject({ input: INPUT.refused, recorded: expect.stringContaining('reply 5 modelDmaReply') as string });
    const without = replayed(madeFrom(recording, { iommu: false })).difference;
    expect(without).toMatchObject({ input: INPUT.map, recorded: expect.stringContaining('dmaMapReply') as string });
    expect(without?.came).toContain('error');
  });

  it('differs from the start where the machine is another', () => {
    const recording = readRecording(file);
    const other = { ...recording, start: { ...recording.start, traceHash: '0123456789abcdef' } };
    expect(replayed(other).difference).toMatchObject({ input: 0, of: 'the start', recorded: 'trace hash 0123456789abcdef' });
  });

  it('needs the same version where it begins in the middle, and only there', async () => {
    const recorded = new RecordedMachine(specOf({ functions: [probe(PROBE)] }));
    recorded.own({ kind: 'memory-write', address: RAM, data: Uint8Array.of(1) });
    const { stop } = recorded.record();
    recorded.own({ kind: 'memory-read', address: RAM, bytes: 1 });
    await settle();
    const recording = stop();
    expect(replayed(recording).difference).toBeUndefined();
    expect(() => replay(recording, { productVersion: '10.0.0' })).toThrow('saved, and this is 10.0.0');
    expect(replay(readRecording(file), { productVersion: '10.0.0' }).difference).toBeUndefined();
  });

  it('of a machine that crashed crashes with it, at the same input and with the same words, and says otherwise what is new', async () => {
    const models: NonNullable<MachineOptions['models']> = (name, ports) => {
      const model = createModel(name, ports);
      if (name !== 'dma-probe') return model;
      const read = model.barRead.bind(model);
      model.barRead = (bar, offset, bytes) => {
        if (offset === 0x40) throw new TypeError('the bug');
        return read(bar, offset, bytes);
      };
      return model;
    };
    const spec = specOf({ functions: [probe(PROBE)] });
    const recorded = new RecordedMachine(spec, { machine: new Machine(spec, { models }) });
    const { sink } = recorded.record();
    recorded.own({ kind: 'region-write', bdf: PROBE, region: 7, offset: 4, bytes: 2, valueLow: 6, valueHigh: 0 });
    recorded.own({ kind: 'region-read', bdf: PROBE, region: 0, offset: 0x40, bytes: 4 });
    await settle();
    expect(recorded.host.state).toBe('closed');
    const recording = readRecording(sink.file);
    expect(recording.end).toMatchObject({ crash: 'the bug', inputs: 2, reason: 'the machine crashed on a bug of the server' });
    const options = { productVersion: RECORDED_VERSION };
    expect(replay(recording, { ...options, models })).toMatchObject({ crash: 'the bug', difference: undefined, inputs: 2 });
    expect(replay(recording, options).crash).toBeUndefined();
    expect(replay(recording, options).difference).toMatchObject({ input: 2 });
    const before = { ...recording, end: { ...recording.end!, crash: undefined } };
    expect(replay(before, { ...options, models })).toMatchObject({ crash: undefined, difference: { input: 2, came: 'a crash: the bug' } });
  });

  it('gives its trace, and each record before it is played', () => {
    const kinds: string[] = [];
    const seen: number[] = [];
    replay(readRecording(file), {
      productVersion: RECORDED_VERSION,
      trace: ({ kind }) => kinds.push(kind),
      onRecord: ({ what }) => seen.push(what.kind === 'received' ? what.frame.number : 0),
    });
    expect(kinds).toContain('prepare');
    expect(seen).toContain(BODY.resetDone);
  });
});
