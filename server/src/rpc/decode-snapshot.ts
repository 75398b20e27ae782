/** The bytes of a file as a machine. */
import { crc32 } from 'node:zlib';
import protobuf from 'protobufjs/minimal.js';
import { ModelError, type Graph, type GraphBuffer, type GraphShape } from '../core/base/index.ts';
import type { MachineSnapshot } from '../core/machine/index.ts';
import { AT, BYTE_BUFFER, CHECKSUM_BYTES, FORMAT, GRAPH, MAGIC, RUN, SHAPE, SNAPSHOT } from './snapshot-format.ts';

/** The widest range of guest memory is the largest buffer. */
const BUFFER_BYTES_MAX = 2 ** 32;
/** What it takes to be worth no copy. */
const PIECE_BYTES = 1 << 20;
const CONTINUES = 0x80;

/** A machine of a file, and what it was called. */
interface SavedMachine extends MachineSnapshot {
  readonly name: string;
}

/** EINVAL says what is wrong with the file. What it says of the machine is not looked at. */
export function decodeSnapshot(file: Uint8Array, productVersion: string): SavedMachine {
  checkFile(file);
  const reader = protobuf.Reader.create(file.subarray(AT.end, file.length - CHECKSUM_BYTES));
  try {
    return readFields(reader, productVersion);
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw wrong(`its checksum is right and its content is not: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Whether it is one, of this format, whole, and as it was written; in this order, so that the first thing that is wrong is named. */
function checkFile(file: Uint8Array): void {
  const view = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const magic = view.subarray(AT.magic, AT.magic + MAGIC.length);
  if (view.length === 0 || view[0] !== SNAPSHOT.magic || !MAGIC.subarray(0, magic.length).every((byte, i) => byte === magic[i])) {
    throw wrong('it does not begin as one');
  }
  if (view.length < AT.end + CHECKSUM_BYTES) throw wrong(`it is cut off at byte ${view.length}, in its head`);
  const format = view.readUInt32LE(AT.format);
  if (view[AT.format - 1] !== SNAPSHOT.format || format !== FORMAT)
    throw wrong(`it has format version ${format}, where this reads ${FORMAT}`);
  const bytes = view.readBigUInt64LE(AT.fileBytes);
  if (view.length < bytes) throw wrong(`it is cut off at byte ${view.length} of ${bytes}`);
  if (view.length > bytes) throw wrong(`it goes on behind its end at byte ${bytes}, up to ${view.length}`);
  const end = view.length - CHECKSUM_BYTES;
  const sum = crc32(view.subarray(0, end));
  if (view[end] !== SNAPSHOT.checksum || sum !== view.readUInt32LE(end + 1)) {
    throw wrong(`it is damaged: its checksum is ${hex(view.readUInt32LE(end + 1))}, and that of its bytes ${hex(sum)}`);
  }
}

function readFields(reader: protobuf.Reader, productVersion: string): SavedMachine {
  let spec: Graph | undefined;
  let state: Graph | undefined;
  let version = '';
  let name = '';
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === SNAPSHOT.productVersion) {
      version = reader.string();
      if (version !== productVersion) throw wrong(`it was saved by iommud ${version}, and this is ${productVersion}`);
    } else if (tag === SNAPSHOT.name) {
      name = reader.string();
    } else if (tag === SNAPSHOT.spec) {
      spec = readGraph(inner(reader));
    } else if (tag === SNAPSHOT.state) {
      state = readGraph(inner(reader));
    } else {
      reader.skipType(tag & 7);
    }
  }
  if (version === '' || spec === undefined || state === undefined) throw wrong('it has no machine in it');
  return { name, spec, state };
}

/** Of the fields of a Graph. */
export function readGraph(reader: protobuf.Reader): Graph {
  const graph = {
    anchors: [] as string[],
    strings: [] as string[],
    numbers: [] as number[],
    bigints: [] as bigint[],
    shapes: [] as GraphShape[],
    words: [] as number[],
    buffers: [] as GraphBuffer[],
  };
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    switch (tag) {
      case GRAPH.anchors:
        graph.anchors.push(reader.string());
        break;
      case GRAPH.strings:
        graph.strings.push(reader.string());
        break;
      case GRAPH.numbers:
        for (const numbers = inner(reader); numbers.pos < numbers.len;) graph.numbers.push(numbers.double());
        break;
      case GRAPH.bigints:
        graph.bigints.push(BigInt(reader.string()));
        break;
      case GRAPH.shapes:
        graph.shapes.push(readShape(inner(reader)));
        break;
      case GRAPH.words:
        graph.words = readWords(reader.bytes());
        break;
      case GRAPH.buffers:
        graph.buffers.push(readBuffer(inner(reader)));
        break;
      default:
        reader.skipType(tag & 7);
    }
  }
  return graph;
}

function readShape(reader: protobuf.Reader): GraphShape {
  let kind = '';
  const keys: string[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === SHAPE.kind) kind = reader.string();
    else if (tag === SHAPE.keys) keys.push(reader.string());
    else reader.skipType(tag & 7);
  }
  return { kind, keys };
}

function readWords(bytes: Uint8Array): number[] {
  const words: number[] = [];
  let word = 0;
  let scale = 1;
  for (const byte of bytes) {
    word += (byte % CONTINUES) * scale;
    if (byte < CONTINUES) {
      words.push(word);
      word = 0;
      scale = 1;
    } else {
      scale *= CONTINUES;
    }
  }
  return words;
}

/** Its own; or a piece of the file, borrowed, where one of at least {@link PIECE_BYTES} is all of it: most often guest memory, which is copied to its place. */
function readBuffer(reader: protobuf.Reader): GraphBuffer {
  let lead = 0;
  let length = 0;
  let bytes: Uint8Array | undefined;
  let borrowed = false;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === BYTE_BUFFER.lead) {
      lead = reader.uint32() % 8;
    } else if (tag === BYTE_BUFFER.bytes) {
      length = numberOf(reader);
      if (length > BUFFER_BYTES_MAX) throw wrong(`it has a buffer of ${length} bytes, where one has at most ${BUFFER_BYTES_MAX}`);
    } else if (tag === BYTE_BUFFER.runs) {
      const { offset, data } = readRun(inner(reader));
      if (bytes === undefined && data.length === length && length >= PIECE_BYTES) {
        bytes = data;
        borrowed = true;
      } else {
        bytes ??= zeros(lead, length);
        bytes.set(data, offset);
      }
    } else {
      reader.skipType(tag & 7);
    }
  }
  return { lead, bytes: bytes ?? zeros(lead, length), borrowed };
}

function zeros(lead: number, length: number): Uint8Array {
  return new Uint8Array(lead + length).subarray(lead);
}

function readRun(reader: protobuf.Reader): { readonly offset: number; readonly data: Uint8Array } {
  let offset = 0;
  let data: Uint8Array = new Uint8Array(0);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === RUN.offset) offset = numberOf(reader);
    else if (tag === RUN.data) data = reader.bytes();
    else reader.skipType(tag & 7);
  }
  return { offset, data };
}

/** Of a message in another. */
function inner(reader: protobuf.Reader): protobuf.Reader {
  const bytes = reader.bytes();
  return protobuf.Reader.create(bytes);
}

/** Exact where it is no more than there can be. */
function numberOf(reader: protobuf.Reader): number {
  const { low, high } = reader.uint64();
  return (high >>> 0) * 2 ** 32 + (low >>> 0);
}

function hex(sum: number): string {
  return `0x${sum.toString(16).padStart(8, '0')}`;
}

function wrong(what: string): ModelError {
  return new ModelError('EINVAL', `not a snapshot that can be loaded: ${what}`, 'snapshot');
}
