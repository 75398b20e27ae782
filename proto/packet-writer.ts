import type { Writer } from 'protobufjs';
import protobuf from 'protobufjs/minimal.js';
import { ID_MAX, LENGTH_DELIMITED, TAG, tooLarge, type FrameKind } from './frame.ts';
import { CODECS } from './gen/bodies.ts';
import { DMA_BYTES_MAX, FRAME_BYTES_MAX, PACKET_BYTES_ENOUGH, PACKET_BYTES_MAX, PACKET_FRAMES_MAX } from './limits.ts';

/** Longest envelope in front of a body: the frame's tag and length, id, kind, the body's tag and length. */
const ENVELOPE_BYTES_MAX = 32;
const ROOM = new Uint8Array(ENVELOPE_BYTES_MAX);
const WRITER_BYTES_MIN = 1024;

/** What the receiver of packets accepts. */
export interface PacketLimits {
  readonly frameBytesMax: number;
  readonly packetBytesMax: number;
  readonly packetFramesMax: number;
}

/** Makes room for a packet of so many bytes; in Node a Buffer. What it holds does not matter. */
export type AllocatePacket = (bytes: number) => Uint8Array;

/**
 * Gathers the frames of one tick and hands on packets. A packet is handed on when it has enough, or by {@link flush}; its bytes are the
 * receiver's to keep.
 */
export class PacketWriter {
  readonly #send: (packet: Uint8Array) => void;
  readonly #allocate: AllocatePacket | undefined;
  #writer: Writer;
  #frames = 0;
  #frameBytesMax = FRAME_BYTES_MAX;
  #packetBytesMax = PACKET_BYTES_MAX;
  #packetFramesMax = PACKET_FRAMES_MAX;
  /** Bytes of the last packet: the next one will be about as large, and growing a writer copies it. */
  #guessBytes = WRITER_BYTES_MIN;

  constructor(send: (packet: Uint8Array) => void, allocate?: AllocatePacket) {
    this.#send = send;
    this.#allocate = allocate;
    this.#writer = freshWriter(WRITER_BYTES_MIN, allocate);
  }

  /** From now on. */
  limit(limits: PacketLimits): void {
    this.#frameBytesMax = limits.frameBytesMax;
    this.#packetBytesMax = limits.packetBytesMax;
    this.#packetFramesMax = limits.packetFramesMax;
  }

  /** Bytes gathered and not handed on. */
  get pendingBytes(): number {
    return this.#writer.pos;
  }

  /**
   * Adds a frame and returns its bytes. `number` is the body's field number in Frame and `body` what its generated code encodes; 0 is a frame
   * without a body. 64-bit fields are {@link U64}. `data` is copied. Throws {@link FrameError} (1009), having added nothing, for a frame beyond
   * what the receiver accepts or `data` beyond DMA_BYTES_MAX.
   */
  add(id: number, kind: FrameKind, number: number, body: object, data?: Uint8Array): number {
    if (this.#frames >= this.#packetFramesMax) this.flush();
    const bytes = data === undefined ? this.#addSmall(id, kind, number, body) : this.#addData(id, kind, number, body, data);
    this.#frames++;
    if (this.#writer.pos >= PACKET_BYTES_ENOUGH || this.#writer.pos >= this.#packetBytesMax) this.flush();
    return bytes;
  }

  /** Hands on what has been gathered, if anything. */
  flush(): void {
    const writer = this.#writer;
    if (writer.pos === 0) return;
    this.#guessBytes = Math.min(Math.max(writer.pos + (writer.pos >>> 2), WRITER_BYTES_MIN), PACKET_BYTES_MAX);
    this.#writer = freshWriter(this.#guessBytes, this.#allocate);
    this.#frames = 0;
    this.#send(writer.finish(true));
  }

  /** The body is encoded where it will stay; the two lengths in front of it get one byte each and are widened when that is too little. */
  #addSmall(id: number, kind: FrameKind, number: number, body: object): number {
    const writer = this.#writer;
    const start = writer.pos;
    reserveEnvelope(writer);
    let at = putHead(writer.buf, start + 2, id, kind);
    if (number !== 0) {
      at = putVarint(writer.buf, at, (number << 3) | LENGTH_DELIMITED) + 1;
      writer.pos = at;
      encodeBody(number, body, writer, start);
      const bodyBytes = writer.pos - at;
      if (bodyBytes > 0x7f) widen(writer, at - 1, bodyBytes);
      else writer.buf[at - 1] = bodyBytes;
    } else {
      writer.pos = at;
    }
    writer.buf[start] = TAG.frame;
    const frameBytes = writer.pos - start - 2;
    if (frameBytes > 0x7f) widen(writer, start + 1, frameBytes);
    else writer.buf[start + 1] = frameBytes;
    const total = writer.pos - start;
    if (total > this.#frameBytesMax) {
      writer.pos = start;
      throw tooLarge('a frame', total, this.#frameBytesMax);
    }
    if (writer.pos > this.#packetBytesMax) this.#splitLast(start);
    return total;
  }

  /** The lengths are known before anything is written, so `data` is copied once and stays. */
  #addData(id: number, kind: FrameKind, number: number, body: object, data: Uint8Array): number {
    if (data.length > DMA_BYTES_MAX) throw tooLarge('data', data.length, DMA_BYTES_MAX);
    const bodyWriter = protobuf.Writer.create();
    encodeBody(number, body, bodyWriter, 0);
    const bodyBytes = bodyWriter.pos;
    const tag = (number << 3) | LENGTH_DELIMITED;
    const inner =
      (id === 0 ? 0 : 1 + varintBytes(id)) +
      2 +
      1 +
      varintBytes(data.length) +
      data.length +
      varintBytes(tag) +
      varintBytes(bodyBytes) +
      bodyBytes;
    const total = 1 + varintBytes(inner) + inner;
    if (total > this.#frameBytesMax) throw tooLarge('a frame', total, this.#frameBytesMax);
    if (this.#writer.pos + total > this.#packetBytesMax) this.flush();
    if (this.#writer.pos === 0 && this.#writer.buf.length < total) this.#writer = freshWriter(total, this.#allocate);
    const writer = this.#writer;
    reserveEnvelope(writer);
    const buf = writer.buf;
    buf[writer.pos] = TAG.frame;
    let at = putHead(buf, putVarint(buf, writer.pos + 1, inner), id, kind);
    buf[at++] = TAG.data;
    writer.pos = putVarint(buf, at, data.length);
    writer.raw(data).uint32(tag).uint32(bodyBytes).raw(bodyWriter.finish(true));
    return total;
  }

  /** The frame that begins at `start` made the packet too long: what is before it goes first, and it begins a packet of its own. */
  #splitLast(start: number): void {
    const writer = this.#writer;
    if (start === 0) return;
    const last = writer.buf.subarray(start, writer.pos);
    writer.pos = start;
    this.flush();
    this.#writer.raw(last);
  }
}

function encodeBody(number: number, body: object, writer: Writer, start: number): void {
  try {
    const codec = CODECS[number];
    if (codec === undefined) throw new RangeError(`body ${number} is not in the contract`);
    codec.encode(body, writer);
  } catch (error) {
    writer.pos = start;
    // It may have stopped inside nested messages.
    writer.states = null;
    throw error;
  }
}

/** After this the envelope can be written into `writer.buf` from `writer.pos`. */
function reserveEnvelope(writer: Writer): void {
  if (writer.buf.length - writer.pos >= ENVELOPE_BYTES_MAX) return;
  writer.raw(ROOM);
  writer.pos -= ENVELOPE_BYTES_MAX;
}

/** Makes room for a length that does not fit the one byte left for it at `at`, and writes it there. */
function widen(writer: Writer, at: number, bytes: number): void {
  const more = varintBytes(bytes) - 1;
  writer.raw(ROOM.subarray(0, more));
  writer.buf.copyWithin(at + 1 + more, at + 1, at + 1 + bytes);
  putVarint(writer.buf, at, bytes);
}

function putHead(buf: Uint8Array, start: number, id: number, kind: number): number {
  let at = start;
  if (id !== 0) {
    if (!(id > 0 && id <= ID_MAX)) throw new RangeError(`frame id ${id}`);
    buf[at] = TAG.id;
    at = putVarint(buf, at + 1, id);
  }
  buf[at] = TAG.kind;
  buf[at + 1] = kind;
  return at + 2;
}

function putVarint(buf: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest > 0x7f) {
    buf[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buf[at] = rest;
  return at + 1;
}

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
}

/** A writer whose first buffer is already large enough. In Node both are Buffers. */
function freshWriter(bytes: number, allocate: AllocatePacket | undefined): Writer {
  const writer = protobuf.Writer.create();
  if (bytes > writer.buf.length) {
    writer.buf = allocate === undefined ? (writer.constructor as typeof Writer).alloc(bytes) : allocate(bytes);
  }
  return writer;
}
