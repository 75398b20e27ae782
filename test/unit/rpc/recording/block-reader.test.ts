import { crc32 } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadContract } from '../../../../proto/contract-lock.mjs';
import { ModelError, Prng } from '../../../../server/src/core/base/index.ts';
import { readRecording, replay } from '../../../../server/src/rpc/index.ts';
import { BlockReader } from '../../../../server/src/rpc/recording/block-reader.ts';
import { PROBE, RAM, probe, specOf } from '../../../kit/core-machine.ts';
import { RECORDED_VERSION, RecordedMachine, settle } from '../../../kit/recorded-machine.ts';

const FLIPS = 600;
const HEAD_BYTES = 14;
const CHECKSUM_BYTES = 5;

let file: Uint8Array;
let traceHash: string;

beforeAll(async () => {
  const recorded = new RecordedMachine(specOf({ functions: [probe(PROBE)] }));
  const { sink, stop } = recorded.record();
  const peer = await recorded.join('host');
  peer.call(7, 'regionRead', { function: PROBE, region: 7, offset: { low: 0, high: 0 }, bytes: 4 }).send();
  await peer.replyTo(7);
  await settle();
  recorded.own({ kind: 'memory-write', address: RAM, data: Uint8Array.of(1, 2, 3) });
  await settle();
  ({ traceHash } = recorded.machine);
  stop('enough');
  file = sink.file;
});

function refusal(bytes: Uint8Array, options = {}): string {
  try {
    const { difference } = replay(readRecording(bytes, options), { productVersion: RECORDED_VERSION });
    return difference === undefined ? 'read' : 'differs';
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    expect(error.code).toBe('EINVAL');
    return error.message;
  }
}

/** Where each block ends. */
function blockEnds(bytes: Uint8Array): number[] {
  const ends: number[] = [];
  for (let at = HEAD_BYTES; at < bytes.length;) {
    let length = 0;
    let next = at + 1;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[next++]!;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    at = next + length;
    ends.push(at);
  }
  return ends;
}

/** Every checksum made right again. */
function withChecksums(bytes: Uint8Array): Uint8Array {
  const fixed = Buffer.from(bytes);
  for (const end of blockEnds(fixed)) fixed.writeUInt32LE(crc32(fixed.subarray(0, end - CHECKSUM_BYTES)), end - 4);
  return fixed;
}

describe('a recording', () => {
  it('is the message that recording.proto says', () => {
    const said = loadContract('proto').lookupType('iommud.v1.Recording').decode(file).toJSON() as {
      block: { start?: object; record?: Record<string, unknown>[]; end?: object }[];
    };
    expect(said.block[0]!.start).toMatchObject({
      name: 'test',
      behaviour: 'strict',
      clock: 'auto',
      functions: 1,
      product_version: RECORDED_VERSION,
    });
    expect(said.block[0]!.start).not.toHaveProperty('state');
    expect(said.block.at(-1)!.end).toEqual({ reason: 'enough', now_ns: '0', inputs: '5', trace_hash: traceHash });
    const records = said.block.flatMap(({ record = [] }) => record);
    expect(said.block[0]!.start).toHaveProperty('welcome.product_version', RECORDED_VERSION);
    expect(records).toMatchObject([
      { input: '1', connection: 1, opened: true, wall_ms: expect.stringMatching(/^\d{13}$/) as string },
      {
        input: '2',
        connection: 1,
        allowed: ['ROLE_HOST', 'ROLE_DEVICE', 'ROLE_MEMORY', 'ROLE_OBSERVER'],
        session_received: { id: 1, kind: 'KIND_CALL', hello: { product: 'test', roles: ['ROLE_HOST'] } },
      },
      { connection: 1, session_sent: { id: 1, kind: 'KIND_REPLY', hello_reply: { roles: ['ROLE_HOST'], machine: 'recorded' } } },
      { input: '3', peer: 1, connection: 1, arrived: { id: 1, roles: ['ROLE_HOST'], client: 'test 0' } },
      { input: '4', peer: 1, received: { id: 7, kind: 'KIND_CALL', region_read: { function: PROBE, region: 7, offset: '0', bytes: 4 } } },
      { peer: 1, sent: { id: 7, kind: 'KIND_REPLY', region_read_reply: {} } },
      { input: '5', peer: 0, command: { token: '1', json: expect.stringContaining('"memory-write"') as string } },
      { peer: 0, reply: { token: '1', json: expect.stringContaining('"ok"') as string } },
    ]);
    for (const at of [2, 5, 7]) expect(records[at]).not.toHaveProperty('input');
  });

  it('is read as it was written', () => {
    expect(refusal(file)).toBe('read');
    const recording = readRecording(file);
    const { start, end } = recording;
    expect([start.name, start.clock, end?.traceHash, [...recording.records()].length]).toEqual(['test', 'auto', traceHash, 8]);
  });
});

describe('a file is refused', () => {
  it(`with any bit of it flipped, as ${FLIPS} are, and those of its head`, () => {
    const chance = new Prng(5);
    const bits = [
      ...Array.from({ length: HEAD_BYTES * 8 }, (_, i) => i),
      ...Array.from({ length: FLIPS }, () => chance.below(file.length * 8)),
    ];
    for (const bit of bits) {
      const bytes = Uint8Array.from(file);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(refusal(bytes), `bit ${bit}`).toMatch(/does not begin as one|format version|cut off|damaged between bytes \d+ and \d+/);
    }
  });

  it('cut off anywhere, also between two blocks, and with bytes behind its end', () => {
    const ends = blockEnds(file);
    expect(ends.length).toBeGreaterThan(2);
    expect(ends.at(-1)).toBe(file.length);
    const cuts = [
      ...Array.from({ length: 40 }, (_, i) => i),
      ...ends.slice(0, -1),
      ...ends.map((end) => end - 1),
      ...ends.slice(0, -1).map((end) => end + 1),
    ];
    for (const cut of cuts) {
      expect(refusal(file.subarray(0, cut)), `cut at ${cut}`).toMatch(
        cut === 0 ? 'does not begin as one' : new RegExp(`cut off at byte ${cut}\\b`),
      );
    }
    expect(refusal(Buffer.concat([file, Buffer.of(0)]))).toContain(`behind its end at byte ${file.length}`);
  });

  it('of which a block was taken out, or two changed places', () => {
    const [first = 0, second = 0, third = 0] = blockEnds(file);
    expect(refusal(Buffer.concat([file.subarray(0, first), file.subarray(second)]))).toContain('damaged between bytes');
    const swapped = [file.subarray(0, first), file.subarray(second, third), file.subarray(first, second), file.subarray(third)];
    expect(refusal(Buffer.concat(swapped))).toContain('damaged between bytes');
  });

  it('that is something else, or of another format', () => {
    expect(refusal(Buffer.from('00:02.0 0604: 8086:1234\n'))).toContain('does not begin as one');
    const other = Buffer.from(file);
    other.writeUInt32LE(3, 10);
    expect(refusal(other)).toContain('format version 3, where this reads 1 to 2');
  });

  it('or it differs, where its checksums are right and its content is not, and nothing worse', () => {
    const chance = new Prng(7);
    const outcomes = new Set<string>();
    for (let i = 0; i < FLIPS; i++) {
      const bytes = Buffer.from(file);
      const ends = blockEnds(bytes);
      const at = HEAD_BYTES + 4 + chance.below(bytes.length - HEAD_BYTES - 4);
      // Lengths and checksums of blocks are the test before.
      if (ends.some((end) => at >= end - CHECKSUM_BYTES && at < end + 3)) continue;
      bytes[at] = chance.below(256);
      outcomes.add(refusal(withChecksums(bytes)).slice(0, 40));
    }
    expect(outcomes.has('differs')).toBe(true);
    expect(outcomes.size).toBeGreaterThan(3);
  });
});

describe('a recording that comes in pieces', () => {
  it.each([1, 2, 7, 1000])('of %i bytes is the same, and each block is there as soon as it is whole', (size) => {
    const reader = new BlockReader();
    const ends = blockEnds(file);
    const records: string[] = [];
    let blocks = 0;
    for (let at = 0; at < file.length; at += size) {
      for (const { records: more } of reader.push(file.slice(at, at + size))) {
        blocks++;
        records.push(...more.map((bytes) => Buffer.from(bytes).toString('hex')));
      }
      expect(blocks).toBe(ends.filter((end) => end <= Math.min(at + size, file.length)).length);
    }
    reader.finish(false);
    const whole = new BlockReader().push(file).flatMap((block) => block.records.map((bytes) => Buffer.from(bytes).toString('hex')));
    expect(records).toEqual(whole);
    expect(whole).toHaveLength(8);
  });

  it('is refused at the piece that is wrong', () => {
    const flipped = Uint8Array.from(file);
    flipped[blockEnds(file)[1]! - 7]! ^= 1;
    const reader = new BlockReader();
    expect(reader.push(flipped.subarray(0, blockEnds(file)[0]))).toHaveLength(1);
    expect(() => reader.push(flipped.subarray(blockEnds(file)[0]))).toThrow('damaged between bytes');
    expect(() => new BlockReader().push(Uint8Array.of(0x50, 0x4b))).toThrow('does not begin as one');
  });
});

describe('a recording without an end', () => {
  it('is played as far as it is whole where that is asked', () => {
    const ends = blockEnds(file);
    for (const cut of [ends[0]!, ends[1]! + 3, file.length - 1]) {
      expect(refusal(file.subarray(0, cut))).toContain('cut off');
      expect(refusal(file.subarray(0, cut), { partial: true })).toBe('read');
    }
    expect(refusal(file.subarray(0, ends[0]! - 1), { partial: true })).toContain('cut off');
    const flipped = Uint8Array.from(file);
    flipped[ends[0]! + 9]! ^= 1;
    expect(refusal(flipped, { partial: true })).toContain('damaged');
  });
});
