/** The blocks of a recording as its bytes come, each checked. */
import { crc32 } from 'node:zlib';
import protobuf from 'protobufjs/minimal.js';
import { ModelError } from '../../core/base/index.ts';
import { inner, numberOf } from './reading.ts';
import { AT, BLOCK, CHECKSUM_BYTES, END, FORMAT, FORMAT_OLDEST, MAGIC, RECORDING } from './recording-format.ts';

export interface RecordingEnd {
  readonly reason: string;
  readonly nowNs: number;
  readonly traceHash: string;
  readonly inputs: number;
  /** What the bug said on which the machine crashed at the last input; undefined: it did not. */
  readonly crash: string | undefined;
}

export interface Block {
  /** Encoded, as the records are. */
  readonly start: Uint8Array | undefined;
  readonly records: readonly Uint8Array[];
  readonly end: RecordingEnd | undefined;
}

/** Throws {@link ModelError} EINVAL that says what is wrong. */
export class BlockReader {
  /** What has come and is no whole block yet. */
  #bytes: Buffer = Buffer.alloc(0);
  /** What has come since, and how much it has to be with that before it is worth a look: the first block may have a whole machine in it. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #neededBytes = 0;
  /** Where in the file it begins. */
  #at = 0;
  #checksum = 0;
  #blocks = 0;
  #records = 0;
  #ended = false;

  /** The blocks that are whole now; their bytes are the chunk's. */
  push(chunk: Uint8Array): readonly Block[] {
    const more = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#waiting.push(more);
    this.#waitingBytes += more.length;
    if (this.#bytes.length + this.#waitingBytes < this.#neededBytes) return [];
    this.#join();
    if (this.#at === 0 && !this.#readHead()) return [];
    const blocks: Block[] = [];
    for (let block = this.#next(); block !== undefined; block = this.#next()) blocks.push(block);
    return blocks;
  }

  /** Nothing follows. `partial`: it need not have its end. */
  finish(partial: boolean): void {
    this.#join();
    const upTo = this.#at + this.#bytes.length;
    if (this.#at === 0) checkHead(this.#bytes, true);
    if (this.#ended || (partial && this.#blocks > 0)) return;
    if (this.#bytes.length > 0 || this.#blocks === 0) throw wrong(`it is cut off at byte ${upTo}, behind ${this.#records} records`);
    throw wrong(`it has no end: it is cut off at byte ${upTo}, behind ${this.#records} records`);
  }

  #readHead(): boolean {
    checkHead(this.#bytes, false);
    if (this.#bytes.length < AT.end) return false;
    this.#checksum = crc32(this.#bytes.subarray(0, AT.end));
    this.#take(AT.end);
    return true;
  }

  #next(): Block | undefined {
    const bytes = this.#bytes;
    if (bytes.length === 0) return undefined;
    if (this.#ended) throw wrong(`it goes on behind its end at byte ${this.#at}, up to ${this.#at + bytes.length}`);
    const found = firstBlock(bytes);
    this.#neededBytes = found?.end ?? 0;
    if (found === undefined || found.end > bytes.length) return undefined;
    const { contentAt, end } = found;
    const sumAt = end - CHECKSUM_BYTES;
    const sum = crc32(bytes.subarray(0, sumAt), this.#checksum);
    if (bytes[0] !== RECORDING.block || bytes[sumAt] !== BLOCK.checksum || sum !== bytes.readUInt32LE(sumAt + 1)) {
      const where = `between bytes ${this.#at} and ${this.#at + end}, behind ${this.#records} records`;
      throw wrong(`it is damaged ${where}: the checksum there is not that of its bytes`);
    }
    this.#checksum = crc32(bytes.subarray(sumAt, end), sum);
    const block = parsed(() => readBlock(bytes.subarray(contentAt, sumAt)));
    if (this.#blocks === 0 && block.start === undefined) throw wrong('it does not begin with a machine');
    this.#take(end);
    this.#blocks++;
    this.#records += block.records.length;
    this.#ended = block.end !== undefined;
    return block;
  }

  #join(): void {
    if (this.#waiting.length === 0) return;
    const [only] = this.#waiting;
    const alone = this.#bytes.length === 0 && this.#waiting.length === 1;
    this.#bytes = alone && only !== undefined ? only : Buffer.concat([this.#bytes, ...this.#waiting]);
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #take(bytes: number): void {
    this.#at += bytes;
    this.#bytes = this.#bytes.subarray(bytes);
    this.#neededBytes = 0;
  }
}

/** `whole`: no more of it will come. */
function checkHead(bytes: Buffer, whole: boolean): void {
  const magic = bytes.subarray(AT.magic, AT.magic + MAGIC.length);
  const begins =
    bytes.length === 0 ? !whole : bytes[0] === RECORDING.magic && MAGIC.subarray(0, magic.length).every((byte, i) => byte === magic[i]);
  if (!begins) throw wrong('it does not begin as one');
  if (bytes.length < AT.end) {
    if (whole) throw wrong(`it is cut off at byte ${bytes.length}, in its head`);
    return;
  }
  const format = bytes.readUInt32LE(AT.format);
  if (bytes[AT.format - 1] !== RECORDING.format || format < FORMAT_OLDEST || format > FORMAT) {
    throw wrong(`it has format version ${format}, where this reads ${FORMAT_OLDEST} to ${FORMAT}`);
  }
}

/** Where the first block's content begins and where it ends, which may be further than what there is; undefined where that is not known yet. */
function firstBlock(bytes: Buffer): { readonly contentAt: number; readonly end: number } | undefined {
  let length = 0;
  for (let next = 1, scale = 1; next < bytes.length && next < 7; next++, scale *= 0x80) {
    const byte = bytes[next] ?? 0;
    length += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      // One that is shorter than its checksum is looked at as if it had one: what stands there is none.
      return { contentAt: next + 1, end: next + 1 + Math.max(length, CHECKSUM_BYTES) };
    }
  }
  return undefined;
}

function readBlock(content: Uint8Array): Block {
  const reader = protobuf.Reader.create(content);
  const records: Uint8Array[] = [];
  let start: Uint8Array | undefined;
  let end: RecordingEnd | undefined;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === BLOCK.record) records.push(reader.bytes());
    else if (tag === BLOCK.start) start = reader.bytes();
    else if (tag === BLOCK.end) end = readEnd(inner(reader));
    else reader.skipType(tag & 7);
  }
  return { start, records, end };
}

function readEnd(reader: protobuf.Reader): RecordingEnd {
  const end = { reason: '', nowNs: 0, traceHash: '', inputs: 0, crash: undefined as string | undefined };
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === END.reason) end.reason = reader.string();
    else if (tag === END.nowNs) end.nowNs = numberOf(reader);
    else if (tag === END.traceHash) end.traceHash = reader.string();
    else if (tag === END.inputs) end.inputs = numberOf(reader);
    else if (tag === END.crash) end.crash = reader.string();
    else reader.skipType(tag & 7);
  }
  return end;
}

/** Whatever is wrong with what has a right checksum is wrong with the file, and no bug of ours. */
export function parsed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw wrong(`its checksum is right and its content is not: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function wrong(what: string): ModelError {
  return new ModelError('EINVAL', `not a recording that can be read: ${what}`, 'recording');
}
