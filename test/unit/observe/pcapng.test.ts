import { describe, expect, it } from 'vitest';
import { pcapngHeader, pcapngInterface, pcapngPacket } from '../../../server/src/observe/index.ts';

/** Blocks as draft-ietf-opsawg-pcapng §3.1 has them: type, length, body, length. */
function blocks(file: Buffer): { readonly type: number; readonly body: Buffer }[] {
  const found = [];
  for (let at = 0; at < file.length;) {
    const length = file.readUInt32LE(at + 4);
    expect(length % 4).toBe(0);
    expect(file.readUInt32LE(at + length - 4)).toBe(length);
    found.push({ type: file.readUInt32LE(at), body: file.subarray(at + 8, at + length - 4) });
    at += length;
  }
  return found;
}

function options(body: Buffer): Record<number, string> {
  const found: Record<number, string> = {};
  for (let at = 0; at < body.length;) {
    const code = body.readUInt16LE(at);
    const length = body.readUInt16LE(at + 2);
    if (code === 0) {
      expect([length, at + 4]).toEqual([0, body.length]);
      break;
    }
    found[code] = body.subarray(at + 4, at + 4 + length).toString('latin1');
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return found;
}

describe('a pcapng file', () => {
  const file = Buffer.concat([
    pcapngHeader('iommud 1', 'machine lab'),
    pcapngInterface('peer 1', 'lab'),
    pcapngPacket(0, 0, 'in', Uint8Array.of(1, 2, 3, 4)),
    pcapngPacket(1, 2 ** 40 + 7, 'out', Uint8Array.of(9)),
    pcapngPacket(0, 5, undefined, new Uint8Array(0)),
  ]);
  const [section, first, ...packets] = blocks(file);

  it('begins with a section of this byte order and an interface of link type USER0 whose times are nanoseconds', () => {
    expect([section!.type, section!.body.readUInt32LE(0), section!.body.readUInt16LE(4), section!.body.readBigInt64LE(8)]).toEqual([
      0x0a0d0d0a,
      0x1a2b3c4d,
      1,
      -1n,
    ]);
    expect(options(section!.body.subarray(16))).toEqual({ 1: 'machine lab', 4: 'iommud 1' });
    expect([first!.type, first!.body.readUInt16LE(0)]).toEqual([1, 147]);
    expect(options(first!.body.subarray(8))).toEqual({ 2: 'peer 1', 3: 'lab', 9: '\t' });
  });

  it('has packets with their time, direction and bytes', () => {
    const read = packets.map(({ type, body }) => {
      const bytes = body.readUInt32LE(12);
      expect([type, body.readUInt32LE(16)]).toEqual([6, bytes]);
      const time = (BigInt(body.readUInt32LE(4)) << 32n) | BigInt(body.readUInt32LE(8));
      const flags = Buffer.from(options(body.subarray(20 + Math.ceil(bytes / 4) * 4))[2]!, 'latin1').readUInt32LE(0);
      return [body.readUInt32LE(0), Number(time), flags, [...body.subarray(20, 20 + bytes)]];
    });
    expect(read).toEqual([
      [0, 0, 1, [1, 2, 3, 4]],
      [1, 2 ** 40 + 7, 2, [9]],
      [0, 5, 0, []],
    ]);
  });
});
