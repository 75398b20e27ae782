import { crc32 } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadContract } from '../../../proto/contract-lock.mjs';
import { ModelError, Prng } from '../../../server/src/core/base/index.ts';
import { Machine } from '../../../server/src/core/machine/index.ts';
import { decodeSnapshot, encodeSnapshot } from '../../../server/src/rpc/index.ts';
import { RAM, specOf } from '../../kit/core-machine.ts';

const VERSION = '1.2.3';
const FLIPS = 400;
const CUTS = 200;
const HEAD_BYTES = 23;
const CHECKSUM_BYTES = 5;

let file: Uint8Array;

beforeAll(() => {
  const machine = new Machine(specOf());
  machine.submit(0, 1, { kind: 'memory-write', address: RAM + 0x5000n, data: Uint8Array.from([1, 2, 3]) });
  machine.submit(0, 2, { kind: 'memory-write', address: RAM + 0x8ff0n, data: new Uint8Array(0x20).fill(7) });
  file = encodeSnapshot(machine, VERSION);
});

function refusal(bytes: Uint8Array, version = VERSION): string {
  try {
    Machine.restore(decodeSnapshot(bytes, version));
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    expect([error.code, error.field]).toEqual(['EINVAL', 'snapshot']);
    return error.message;
  }
  return 'loaded';
}

function withChecksum(bytes: Uint8Array): Uint8Array {
  const fixed = Buffer.from(bytes);
  fixed.writeUInt32LE(crc32(fixed.subarray(0, -CHECKSUM_BYTES)), fixed.length - 4);
  return fixed;
}

describe('a file', () => {
  it('is the message that snapshot.proto says', () => {
    const message = loadContract('proto').lookupType('iommud.v1.Snapshot').decode(file);
    const said = message.toJSON() as Record<string, unknown> & {
      state: { buffers: { bytes: string; runs?: { offset: string; data: string }[] }[]; words: string[] };
    };
    expect(said).toMatchObject({
      format: 1,
      file_bytes: String(file.length),
      product_version: VERSION,
      name: 'test',
      behaviour: 'strict',
      functions: 1,
    });
    const ram = said.state.buffers.find(({ bytes }) => bytes === String(0x10_0000))!;
    expect(ram.runs!.map(({ offset, data }) => [offset, Buffer.from(data, 'base64').length])).toEqual([
      [String(0x5000), 4096],
      [String(0x8000), 8192],
    ]);
    expect(said.state.words.map(Number)).toEqual(decodeSnapshot(file, VERSION).state.words);
  });

  it('has no zero pages in it', () => {
    expect(file.length).toBeLessThan(60_000);
  });

  it('gives the machine its memory', () => {
    const machine = Machine.restore(decodeSnapshot(file, VERSION));
    machine.submit(0, 3, { kind: 'memory-read', address: RAM + 0x8ff0n, bytes: 0x20 });
    expect(machine.takeOutbox()[0]).toMatchObject({ reply: { data: new Uint8Array(0x20).fill(7) } });
  });

  it('is loaded under another name where that is asked', () => {
    expect(Machine.restore(decodeSnapshot(file, VERSION), { name: 'other' }).spec.name).toBe('other');
  });
});

describe('a file is refused', () => {
  it(`with any bit of it flipped, as ${FLIPS} are`, () => {
    const chance = new Prng(5);
    const bits = [
      ...Array.from({ length: HEAD_BYTES * 8 }, (_, i) => i),
      ...Array.from({ length: FLIPS }, () => chance.below(file.length * 8)),
    ];
    for (const bit of bits) {
      const bytes = Uint8Array.from(file);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(refusal(bytes), `bit ${bit}`).toMatch(/does not begin as one|format version|cut off|goes on behind|checksum/);
    }
  });

  it(`cut off anywhere, as at ${CUTS} places, and with bytes behind its end`, () => {
    const chance = new Prng(6);
    const ends = [
      0,
      1,
      8,
      9,
      HEAD_BYTES,
      HEAD_BYTES + 4,
      file.length - 1,
      ...Array.from({ length: CUTS }, () => chance.below(file.length)),
    ];
    for (const end of ends) {
      expect(refusal(file.subarray(0, end))).toContain(end === 0 ? 'does not begin as one' : `cut off at byte ${end}`);
    }
    expect(refusal(Buffer.concat([file, Buffer.from([0])]))).toContain(`behind its end at byte ${file.length}`);
  });

  it('that is something else', () => {
    expect(refusal(Buffer.from('00:02.0 0604: 8086:1234\n'))).toContain('does not begin as one');
  });

  it('of another format, or of another version of iommud', () => {
    const other = Buffer.from(file);
    other.writeUInt32LE(3, 10);
    expect(refusal(withChecksum(other))).toContain('format version 3, where this reads 1');
    expect(refusal(file, '9.9.9')).toContain('saved by iommud 1.2.3, and this is 9.9.9');
  });

  it('whose checksum is right and whose content is nonsense, as after any change of a byte', () => {
    const chance = new Prng(7);
    const outcomes = new Set<string>();
    for (let i = 0; i < FLIPS; i++) {
      const bytes = Buffer.from(file);
      bytes[HEAD_BYTES + chance.below(bytes.length - HEAD_BYTES - CHECKSUM_BYTES)] = chance.below(256);
      outcomes.add(refusal(withChecksum(bytes)).slice(0, 30));
    }
    // A byte of its memory, or of a text, may be any; what does not fit is said.
    expect(outcomes.size).toBeGreaterThan(2);
  });
});
