import type { Reader } from 'protobufjs';
import protobuf from 'protobufjs/minimal.js';
import { CLOSE } from './close.ts';
import { FrameError } from './frame-error.ts';
import { BODY_FIRST, LENGTH_DELIMITED, TAG, tooLarge, type FrameKind } from './frame.ts';
import { CODECS, KIND } from './gen/bodies.ts';
import { DMA_BYTES_MAX, FRAME_BYTES_MAX, PACKET_FRAMES_MAX } from './limits.ts';

/**
 * Reads one packet frame by frame: `while (reader.next()) use(reader.kind, reader.number, reader.body)`. The fields are those of the frame that
 * {@link next} has read; `body` is a new object each time.
 */
export class PacketReader {
  id = 0;
  kind: FrameKind = KIND.call;
  /** Field number of the body in Frame; 0 for none (cancel). */
  number = 0;
  /** Decoded by its generated code; undefined for none and for a number that this contract does not have. */
  body: object | undefined = undefined;
  /** A view of the packet: whoever keeps it past the packet copies it. Undefined when the frame has none. */
  data: Uint8Array | undefined = undefined;
  readonly #reader: Reader;
  readonly #bodyBytesMax: number;
  #frames = 0;
  #bodyAt = 0;
  #bodyBytes = 0;

  /** `bodyBytesMax` bounds each body. Throws {@link FrameError} (1009) when the packet itself is too long. */
  constructor(packet: Uint8Array, bodyBytesMax: number = FRAME_BYTES_MAX) {
    if (packet.length > FRAME_BYTES_MAX) throw tooLarge('a message', packet.length, FRAME_BYTES_MAX);
    this.#reader = protobuf.Reader.create(packet);
    this.#bodyBytesMax = bodyBytesMax;
  }

  /** The bytes that `body` was decoded from; a view of the packet. None when the frame has no body. */
  rawBody(): Uint8Array {
    const { buf } = this.#reader;
    return this.number === 0 ? buf.subarray(0, 0) : buf.subarray(this.#bodyAt, this.#bodyAt + this.#bodyBytes);
  }

  /** Reads the next frame; false at the end. Throws {@link FrameError} (1007, 1009) and nothing else. */
  next(): boolean {
    try {
      return this.#next();
    } catch (error) {
      if (error instanceof FrameError) throw error;
      throw new FrameError(CLOSE.undecodable, `not a packet: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #next(): boolean {
    const reader = this.#reader;
    const packetEnd = reader.len;
    while (reader.pos < packetEnd) {
      const tag = reader.tag();
      if (tag !== TAG.frame) {
        reader.skipType(tag & 7, 0, tag >>> 3);
        continue;
      }
      const end = reader.size() + reader.pos;
      if (end > packetEnd) throw undecodable('a frame goes beyond its packet');
      if (++this.#frames > PACKET_FRAMES_MAX) throw new FrameError(CLOSE.limits, `more than ${PACKET_FRAMES_MAX} frames in one packet`);
      reader.len = end;
      this.#readFrame(reader, end);
      reader.len = packetEnd;
      return true;
    }
    return false;
  }

  #readFrame(reader: Reader, end: number): void {
    this.id = 0;
    this.number = 0;
    this.body = undefined;
    this.data = undefined;
    let kind = 0;
    while (reader.pos < end) {
      const tag = reader.tag();
      if (tag === TAG.id) this.id = reader.uint32();
      else if (tag === TAG.kind) kind = reader.uint32();
      else if (tag === TAG.data) this.#readData(reader);
      else if (tag >>> 3 >= BODY_FIRST && (tag & 7) === LENGTH_DELIMITED) this.#readBody(reader, tag >>> 3);
      else reader.skipType(tag & 7, 0, tag >>> 3);
    }
    if (reader.pos !== end) throw undecodable('a field goes beyond its frame');
    if (kind < KIND.call || kind > KIND.cancel) throw undecodable(`frame kind ${kind}`);
    if (this.number === 0 && kind !== KIND.cancel) throw undecodable('a frame without a body');
    this.kind = kind as FrameKind;
  }

  #readData(reader: Reader): void {
    const bytes = reader.size();
    if (bytes > DMA_BYTES_MAX) throw tooLarge('data', bytes, DMA_BYTES_MAX);
    const end = reader.pos + bytes;
    if (end > reader.len) throw undecodable('data goes beyond its frame');
    // Not reader.raw: that is a Buffer in Node, whose slice is a view and not a copy.
    this.data = new Uint8Array(reader.buf.buffer, reader.buf.byteOffset + reader.pos, bytes);
    reader.pos = end;
  }

  #readBody(reader: Reader, number: number): void {
    if (this.number !== 0) throw undecodable('a frame with two bodies');
    const bytes = reader.size();
    if (bytes > this.#bodyBytesMax) throw tooLarge('a body', bytes, this.#bodyBytesMax);
    this.number = number;
    this.#bodyAt = reader.pos;
    this.#bodyBytes = bytes;
    const codec = number < CODECS.length ? CODECS[number] : undefined;
    if (codec === undefined) reader.skip(bytes);
    else this.body = codec.decode(reader, bytes);
  }
}

/** Calls `onFrame` for each frame of a packet, in order. As {@link PacketReader}. */
export function readPacket(packet: Uint8Array, onFrame: (frame: PacketReader) => void): void {
  const reader = new PacketReader(packet);
  while (reader.next()) onFrame(reader);
}

function undecodable(what: string): FrameError {
  return new FrameError(CLOSE.undecodable, what);
}
