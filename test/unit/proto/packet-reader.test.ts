import { describe, expect, it } from 'vitest';
import { BODY, KIND, PacketReader, PacketWriter, readPacket, type iommud } from '../../../proto/index.ts';

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

function closeCodeOf(packet: Uint8Array, bodyBytesMax?: number): number {
  try {
    const reader = new PacketReader(packet, bodyBytesMax);
    while (reader.next());
  } catch (error) {
    expect(error).toMatchObject({ name: 'FrameError' });
    return (error as { closeCode: number }).closeCode;
  }
  return 0;
}

function framed(inner: Uint8Array): Uint8Array {
  return Buffer.concat([bytes('0a'), varint(inner.length), inner]);
}

function varint(value: number): Uint8Array {
  const out = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  return Uint8Array.of(...out, rest);
}

describe('a packet reader', () => {
  it('reads frames one at a time', () => {
    const reader = new PacketReader(bytes('0a19 0805 1001 820212 0d10000000 1007 191000000000000000 2004  0a05 08ac02 1004'));
    expect(reader.next()).toBe(true);
    expect([reader.id, reader.kind, reader.number, reader.data]).toEqual([5, KIND.call, BODY.regionRead, undefined]);
    const body = reader.body as iommud.v1.RegionRead;
    expect([body.function, body.region, body.offset?.low, body.bytes]).toEqual([16, 7, 16, 4]);
    expect(reader.next()).toBe(true);
    expect([reader.id, reader.kind, reader.number, reader.body]).toEqual([300, KIND.cancel, 0, undefined]);
    expect(reader.next()).toBe(false);
    expect(new PacketReader(new Uint8Array(0)).next()).toBe(false);
  });

  it('reads fields in any order, and skips those that it does not know', () => {
    // body, unknown field 9, kind, id; then an unknown field of the packet.
    const reader = new PacketReader(bytes('0a0c f23f00 4a01ff 1001 08808001  1207 00000000000000'));
    expect(reader.next()).toBe(true);
    expect([reader.id, reader.kind, reader.number]).toEqual([16384, KIND.call, 1022]);
    expect(reader.body).toBeUndefined();
    expect(reader.next()).toBe(false);
  });

  it('shows the number of a body that is in no contract, so that a call can be answered', () => {
    const reader = new PacketReader(framed(bytes('0801 1001 b2ea7a 03010203')));
    expect(reader.next()).toBe(true);
    expect([reader.number, reader.body]).toEqual([251_558, undefined]);
  });

  it('shows the bytes of a body as they came, of an unknown one too', () => {
    const reader = new PacketReader(bytes('0a0c 0805 1001 820205 0d10000000 0a0c f23f03 010203 1001 08808001 0a04 0805 1004'));
    expect(reader.next()).toBe(true);
    expect(Buffer.from(reader.rawBody()).toString('hex')).toBe('0d10000000');
    expect(reader.next()).toBe(true);
    expect([reader.body, Buffer.from(reader.rawBody()).toString('hex')]).toEqual([undefined, '010203']);
    expect(reader.next()).toBe(true);
    expect(reader.rawBody()).toHaveLength(0);
  });

  it('shows data as a view of the packet', () => {
    const packet = bytes('0a0b 0801 1002 1a0201ff aa0800').slice();
    const reader = new PacketReader(packet);
    reader.next();
    expect(reader.data).toEqual(Uint8Array.of(1, 255));
    expect(reader.data?.buffer).toBe(packet.buffer);
    const ofBuffer = new PacketReader(Buffer.from(packet));
    ofBuffer.next();
    expect([ofBuffer.data, Buffer.isBuffer(ofBuffer.data)]).toEqual([Uint8Array.of(1, 255), false]);
  });

  it('calls back for each frame', () => {
    const ids: number[] = [];
    readPacket(bytes('0a04 0801 1004 0a04 0802 1004'), (frame) => ids.push(frame.id));
    expect(ids).toEqual([1, 2]);
  });

  it.each([
    ['a frame beyond its packet', '0a05 0801 1004'],
    ['a tag without a value', '0a'],
    ['a length without an end', '0affffffffff'],
    ['an empty frame', '0a00'],
    ['no kind', '0a02 0801'],
    ['kind 0', '0a04 0801 1000'],
    ['kind 5', '0a04 0801 1005'],
    ['a call without a body', '0a04 0801 1001'],
    ['a reply without a body', '0a04 0801 1002'],
    ['two bodies', '0a0c 0801 1001 820e00 820e00 8207'],
    ['a body beyond its frame', '0a07 0801 1001 82020a'],
    ['data beyond its frame', '0a08 0801 1004 1aff3f 00'],
    ['a varint beyond its frame', '0a03 1004 08 ff01'],
    ['a field of a body beyond it', '0a0a 0801 1001 820203 191000'],
    ['field number 0', '0a05 0801 1004 00'],
    ['a group that does not end', '0a05 1004 23 0801'],
    ['an end of a group that did not begin', '0a03 1004 24'],
    ['text that is not UTF-8', '0a0c 0801 1001 920104 0a02 c328'],
    ['no packet at all', 'ffffffffffffffffffffffff'],
  ])('%s is undecodable: 1007', (_what, hex) => {
    expect(closeCodeOf(bytes(hex))).toBe(1007);
  });

  it('bounds nesting', () => {
    const groups = (depth: number): Uint8Array => framed(bytes(`0801 1004 ${'23'.repeat(depth)}${'24'.repeat(depth)}`));
    expect(closeCodeOf(groups(90))).toBe(0);
    expect(closeCodeOf(groups(110))).toBe(1007);
  });

  it('bounds the message: 1009', () => {
    const most = (1 << 20) + (64 << 10);
    expect(closeCodeOf(new Uint8Array(most + 1))).toBe(1009);
    // An unknown field fills a message of just that length.
    const inner = most - 6;
    expect(closeCodeOf(Buffer.concat([bytes('12'), varint(inner), new Uint8Array(inner + 1)]))).not.toBe(1009);
  });

  it('bounds data: 1009, before it is looked at', () => {
    const frame = (count: number): Uint8Array => framed(Buffer.concat([bytes('0801 1004 1a'), varint(count), new Uint8Array(count)]));
    expect(closeCodeOf(frame(1 << 20))).toBe(0);
    expect(closeCodeOf(frame((1 << 20) + 1))).toBe(1009);
    expect(closeCodeOf(framed(Buffer.concat([bytes('0801 1004 1a'), varint(0x7fff_ffff)])))).toBe(1009);
  });

  it('bounds bodies by what the reader was given: 1009', () => {
    const packets: Uint8Array[] = [];
    const writer = new PacketWriter((packet) => packets.push(packet));
    writer.add(1, KIND.call, BODY.hello, { product: 'x'.repeat(1000) });
    writer.flush();
    const [packet = new Uint8Array()] = packets;
    expect(closeCodeOf(packet, 1003)).toBe(0);
    expect(closeCodeOf(packet, 1002)).toBe(1009);
  });

  it('bounds the frames of one packet: 1008', () => {
    const cancel = bytes('0a04 0801 1004');
    const many = (count: number): Uint8Array => Buffer.concat(Array.from({ length: count }, () => cancel));
    expect(closeCodeOf(many(32768))).toBe(0);
    expect(closeCodeOf(many(32769))).toBe(1008);
  });
});
