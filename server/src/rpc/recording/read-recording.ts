/** The bytes of a recording, checked, as records. */
import { crc32 } from 'node:zlib';
import protobuf from 'protobufjs/minimal.js';
import { ModelError } from '../../core/base/index.ts';
import { inner, numberOf, readRecord, type Record } from './record.ts';
import { AT, BLOCK, CHECKSUM_BYTES, END, FORMAT, MAGIC, RECORDING } from './recording-format.ts';
import { readStart, type RecordingStart } from './recording-start.ts';

export interface RecordingEnd {
  readonly reason: string;
  readonly nowNs: number;
  readonly traceHash: string;
  readonly inputs: number;
  /** What the bug said on which the machine crashed at the last input; undefined: it did not. */
  readonly crash: string | undefined;
}

export interface Recording {
  readonly start: RecordingStart;
  /** In order; read as they are asked for. Throws {@link ModelError} EINVAL for one that is none. */
  records(): Iterable<Record>;
  /** Undefined only where a partial one was allowed: its end was never written. */
  readonly end: RecordingEnd | undefined;
}

export interface ReadOptions {
  /** Takes a file without its end for what is whole of it. */
  readonly partial?: boolean;
}

/** EINVAL says what is wrong with the file. */
export function readRecording(file: Uint8Array, { partial = false }: ReadOptions = {}): Recording {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  checkHead(bytes);
  return parsed(() => {
    const blocks = readBlocks(bytes, partial);
    const [first] = blocks;
    if (first?.start === undefined)
      throw wrong(first === undefined ? 'it is cut off before its first block ends' : 'it does not begin with a machine');
    return { start: readStart(first.start), end: blocks.at(-1)?.end, records: () => recordsOf(blocks) };
  });
}

function checkHead(bytes: Buffer): void {
  const magic = bytes.subarray(AT.magic, AT.magic + MAGIC.length);
  if (bytes.length === 0 || bytes[0] !== RECORDING.magic || !MAGIC.subarray(0, magic.length).every((byte, i) => byte === magic[i])) {
    throw wrong('it does not begin as one');
  }
  if (bytes.length < AT.end) throw wrong(`it is cut off at byte ${bytes.length}, in its head`);
  const format = bytes.readUInt32LE(AT.format);
  if (bytes[AT.format - 1] !== RECORDING.format || format !== FORMAT) {
    throw wrong(`it has format version ${format}, where this reads ${FORMAT}`);
  }
}

interface Block {
  readonly start: Uint8Array | undefined;
  readonly records: readonly Uint8Array[];
  readonly end: RecordingEnd | undefined;
}

function readBlocks(bytes: Buffer, partial: boolean): readonly Block[] {
  const blocks: Block[] = [];
  let checksum = crc32(bytes.subarray(0, AT.end));
  let records = 0;
  for (let at: number = AT.end; at < bytes.length;) {
    const ended = blocks.at(-1)?.end !== undefined;
    if (ended) throw wrong(`it goes on behind its end at byte ${at}, up to ${bytes.length}`);
    const found = blockAt(bytes, at);
    if (found === undefined) {
      if (partial && blocks.length > 0) return blocks;
      throw wrong(`it is cut off at byte ${bytes.length}, behind ${records} records`);
    }
    const { contentAt, end } = found;
    const sumAt = end - CHECKSUM_BYTES;
    const sum = crc32(bytes.subarray(at, sumAt), checksum);
    if (bytes[at] !== RECORDING.block || bytes[sumAt] !== BLOCK.checksum || sum !== bytes.readUInt32LE(sumAt + 1)) {
      throw wrong(`it is damaged between bytes ${at} and ${end}, behind ${records} records: the checksum there is not that of its bytes`);
    }
    checksum = crc32(bytes.subarray(sumAt, end), sum);
    const block = readBlock(bytes.subarray(contentAt, sumAt));
    records += block.records.length;
    blocks.push(block);
    at = end;
  }
  if (blocks.at(-1)?.end === undefined && !partial)
    throw wrong(`it has no end: it is cut off at byte ${bytes.length}, behind ${records} records`);
  return blocks;
}

/** Where its content begins and where it ends; undefined where the file ends before. */
function blockAt(bytes: Buffer, at: number): { readonly contentAt: number; readonly end: number } | undefined {
  let length = 0;
  for (let next = at + 1, scale = 1; next < bytes.length && next < at + 7; next++, scale *= 0x80) {
    const byte = bytes[next] ?? 0;
    length += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      const end = next + 1 + length;
      // One that is shorter than its checksum is looked at as if it had one: what stands there is none.
      return end > bytes.length ? undefined : { contentAt: next + 1, end: Math.max(end, next + 1 + CHECKSUM_BYTES) };
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

function* recordsOf(blocks: readonly Block[]): Generator<Record> {
  for (const { records } of blocks) {
    for (const bytes of records) yield parsed(() => readRecord(bytes));
  }
}

function parsed<T>(read: () => T): T {
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
