import { describe, expect, it } from 'vitest';
import { BODY, FrameError, KIND, PacketReader, PacketWriter } from '../../../proto/index.ts';

const MIB = 1 << 20;

function writer(): { readonly packets: Uint8Array[]; readonly writer: PacketWriter } {
  const packets: Uint8Array[] = [];
  return { packets, writer: new PacketWriter((packet) => packets.push(packet)) };
}

function frames(packets: readonly Uint8Array[]): { id: number; number: number; bytes: number }[] {
  return packets.flatMap((packet) => {
    const found = [];
    const reader = new PacketReader(packet);
    while (reader.next()) found.push({ id: reader.id, number: reader.number, bytes: reader.data?.length ?? -1 });
    return found;
  });
}

describe('a packet writer', () => {
  it('writes the bytes of the protobuf wire format', () => {
    const { packets, writer: w } = writer();
    w.add(5, KIND.call, BODY.regionRead, { function: 0x0010, region: 7, offset: { low: 0x10, high: 0 }, bytes: 4 });
    w.add(300, KIND.reply, BODY.memoryReadReply, {}, Uint8Array.of(0xaa, 0xbb));
    w.add(300, KIND.cancel, 0, {});
    w.flush();
    expect(packets.map((packet) => Buffer.from(packet).toString('hex'))).toEqual([
      [
        '0a19' + '0805' + '1001' + '820212' + '0d10000000' + '1007' + '191000000000000000' + '2004',
        '0a0c' + '08ac02' + '1002' + '1a02aabb' + 'aa0800',
        '0a05' + '08ac02' + '1004',
      ].join(''),
    ]);
  });

  it('sends nothing when there is nothing', () => {
    const { packets, writer: w } = writer();
    w.flush();
    expect(packets).toEqual([]);
    expect(w.pendingBytes).toBe(0);
  });

  it('joins all frames until it is flushed, and its packets join too', () => {
    const { packets, writer: w } = writer();
    for (let id = 1; id <= 100; id++) {
      w.add(id, KIND.call, BODY.clockInfo, {});
      if (id % 30 === 0) w.flush();
    }
    w.flush();
    expect(packets.length).toBe(4);
    const ids = Array.from({ length: 100 }, (_none, i) => i + 1);
    expect(frames(packets).map((frame) => frame.id)).toEqual(ids);
    expect(frames([Buffer.concat(packets)]).map((frame) => frame.id)).toEqual(ids);
  });

  it('hands on a packet with 64 KiB', () => {
    const { packets, writer: w } = writer();
    for (let id = 1; id <= 100; id++) w.add(id, KIND.reply, BODY.dmaReadReply, {}, new Uint8Array(10_000));
    expect(packets.length).toBe(14);
    w.flush();
    expect(packets.length).toBe(15);
    for (const packet of packets.slice(0, 14)) {
      expect(packet.length).toBeGreaterThanOrEqual(64 * 1024);
      expect(packet.length).toBeLessThan(75 * 1024);
    }
    expect(frames(packets).map((frame) => frame.id)).toEqual(Array.from({ length: 100 }, (_none, i) => i + 1));
  });

  it('gives a frame that would make a packet too long one of its own', () => {
    const { packets, writer: w } = writer();
    w.add(1, KIND.reply, BODY.traceHashReply, { hash: 'x'.repeat(60 * 1024) });
    w.add(2, KIND.reply, BODY.traceHashReply, { hash: 'x'.repeat(200 * 1024) });
    w.add(3, KIND.call, BODY.clockInfo, {});
    w.add(4, KIND.reply, BODY.dmaReadReply, {}, new Uint8Array(MIB));
    w.add(5, KIND.call, BODY.clockInfo, {});
    w.flush();
    expect(packets.map((packet) => frames([packet]).map((frame) => frame.id))).toEqual([[1], [2], [3], [4], [5]]);
  });

  it('starts another packet after 2000 frames where the receiver accepts so many', () => {
    const { packets, writer: w } = writer();
    w.limit({ frameBytesMax: MIB, packetBytesMax: MIB, packetFramesMax: 2000 });
    for (let id = 1; id <= 2001; id++) w.add(id, KIND.cancel, 0, {});
    w.flush();
    expect(packets.map((packet) => frames([packet]).length)).toEqual([2000, 1]);
  });

  it('keeps to what the receiver accepts', () => {
    const { packets, writer: w } = writer();
    w.limit({ frameBytesMax: 5000, packetBytesMax: 1000, packetFramesMax: 3 });
    for (let id = 1; id <= 4; id++) w.add(id, KIND.cancel, 0, {});
    for (let id = 5; id <= 8; id++) w.add(id, KIND.reply, BODY.memoryReadReply, {}, new Uint8Array(400));
    w.flush();
    expect(packets.map((packet) => frames([packet]).map((frame) => frame.id))).toEqual([
      [1, 2, 3],
      [4, 5, 6],
      [7, 8],
    ]);
    expect(() => w.add(9, KIND.reply, BODY.memoryReadReply, {}, new Uint8Array(5000))).toThrow(FrameError);
  });

  it('refuses a body beyond what the receiver accepts in one frame, also where the packet has room for it', () => {
    const { packets, writer: w } = writer();
    w.limit({ frameBytesMax: 5000, packetBytesMax: 100_000, packetFramesMax: 3 });
    expect(w.add(1, KIND.cancel, 0, {})).toBe(6);
    expect(() => w.add(2, KIND.reply, BODY.error, { message: 'm'.repeat(5000) })).toThrow(FrameError);
    w.add(3, KIND.cancel, 0, {});
    w.flush();
    expect(packets.map((packet) => frames([packet]).map((frame) => frame.id))).toEqual([[1, 3]]);
  });

  it('takes data of 1 MiB and no more, and adds nothing when it refuses', () => {
    const { packets, writer: w } = writer();
    w.add(1, KIND.reply, BODY.dmaReadReply, {}, new Uint8Array(MIB));
    expect(() => w.add(2, KIND.reply, BODY.dmaReadReply, {}, new Uint8Array(MIB + 1))).toThrow(
      expect.objectContaining({ name: 'FrameError', closeCode: 1009 }),
    );
    expect(() => w.add(3, KIND.reply, BODY.traceHashReply, { hash: 'x'.repeat(MIB + 65536) })).toThrow(
      expect.objectContaining({ name: 'FrameError', closeCode: 1009 }),
    );
    w.add(4, KIND.call, BODY.clockInfo, {});
    w.flush();
    expect(frames(packets)).toEqual([
      { id: 1, number: BODY.dmaReadReply, bytes: MIB },
      { id: 4, number: BODY.clockInfo, bytes: -1 },
    ]);
  });

  it('tells no data from empty data', () => {
    const { packets, writer: w } = writer();
    w.add(1, KIND.call, BODY.memoryWrite, {});
    w.add(2, KIND.call, BODY.memoryWrite, {}, new Uint8Array(0));
    w.flush();
    expect(frames(packets).map((frame) => frame.bytes)).toEqual([-1, 0]);
  });

  it('adds nothing when a body cannot be encoded, the id is no id, or the number is in no contract', () => {
    const { packets, writer: w } = writer();
    w.add(1, KIND.call, BODY.clockInfo, {});
    expect(() => w.add(2, KIND.reply, BODY.ledgerReply, { entries: [null] })).toThrow(TypeError);
    expect(() => w.add(-1, KIND.call, BODY.clockInfo, {})).toThrow(RangeError);
    expect(() => w.add(2 ** 32, KIND.call, BODY.clockInfo, {})).toThrow(RangeError);
    expect(() => w.add(2, KIND.call, 9999, {})).toThrow(RangeError);
    w.add(0xffff_ffff, KIND.call, BODY.clockInfo, {});
    w.flush();
    expect(frames(packets).map((frame) => frame.id)).toEqual([1, 0xffff_ffff]);
  });

  it('never touches a packet that it has handed on', () => {
    const { packets, writer: w } = writer();
    w.add(1, KIND.call, BODY.clockInfo, {});
    w.flush();
    const before = Buffer.from(packets[0] ?? []).toString('hex');
    for (let id = 2; id < 200; id++) {
      w.add(id, KIND.call, BODY.clockInfo, {});
      w.flush();
    }
    expect(Buffer.from(packets[0] ?? []).toString('hex')).toBe(before);
  });
});
