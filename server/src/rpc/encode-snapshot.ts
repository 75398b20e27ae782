/** A machine as the bytes of a file. */
import { crc32 } from 'node:zlib';
import protobuf from 'protobufjs/minimal.js';
import { SNAPSHOT_BYTES_MAX } from '../../../proto/limits.ts';
import { ModelError, type Graph, type GraphBuffer, type GraphShape } from '../core/base/index.ts';
import type { Machine } from '../core/machine/index.ts';
import { AT, BYTE_BUFFER, CHECKSUM_BYTES, FORMAT, GRAPH, MAGIC, RUN, SHAPE, SNAPSHOT } from './snapshot-format.ts';

/** What is all zero of this size is not in the file. */
const PAGE_BYTES = 4096;
/** Bytes of a varint that is exact in a double. */
const VARINT_BYTES = 8;
const FRACTION = 0x80;

/** Pieces that follow each other, and how many bytes they have together. */
export class Pieces {
  readonly all: Uint8Array[] = [];
  bytes = 0;

  add(piece: Uint8Array): void {
    this.all.push(piece);
    this.bytes += piece.length;
  }

  addAll({ all }: Pieces): void {
    for (const piece of all) this.add(piece);
  }
}

/** EMSGSIZE where it is more than {@link SNAPSHOT_BYTES_MAX}; EOPNOTSUPP, which names what, where the machine has something that cannot be saved. */
export function encodeSnapshot(machine: Machine, productVersion: string): Uint8Array {
  const { spec, state } = machine.save();
  const { name, behaviour, clock, seed } = machine.spec;
  const body = new Pieces();
  body.add(
    protobuf.Writer.create()
      .uint32(SNAPSHOT.productVersion)
      .string(productVersion)
      .uint32(SNAPSHOT.name)
      .string(name)
      .uint32(SNAPSHOT.behaviour)
      .string(behaviour)
      .uint32(SNAPSHOT.clock)
      .string(clock)
      .uint32(SNAPSHOT.seed)
      .uint32(seed)
      .uint32(SNAPSHOT.nowNs)
      .uint64(machine.nowNs)
      .uint32(SNAPSHOT.functions)
      .uint32(machine.inspect().functions.length)
      .uint32(SNAPSHOT.traceHash)
      .string(machine.traceHash)
      .finish(),
  );
  for (const [tag, graph] of [[SNAPSHOT.spec, spec] as const, [SNAPSHOT.state, state] as const]) {
    const pieces = graphPieces(graph);
    body.add(lengthOf(tag, pieces.bytes));
    body.addAll(pieces);
  }
  return fileOf(body);
}

/** The one copy of what may be large. */
function fileOf(body: Pieces): Uint8Array {
  const bytes = AT.end + body.bytes + CHECKSUM_BYTES;
  if (bytes > SNAPSHOT_BYTES_MAX) {
    throw new ModelError('EMSGSIZE', `the snapshot has ${bytes} bytes; one has at most ${SNAPSHOT_BYTES_MAX}`, 'machine');
  }
  const file = Buffer.allocUnsafe(bytes);
  file[0] = SNAPSHOT.magic;
  file.set(MAGIC, AT.magic);
  file[AT.format - 1] = SNAPSHOT.format;
  file.writeUInt32LE(FORMAT, AT.format);
  file[AT.fileBytes - 1] = SNAPSHOT.fileBytes;
  file.writeBigUInt64LE(BigInt(bytes), AT.fileBytes);
  let at: number = AT.end;
  for (const piece of body.all) {
    file.set(piece, at);
    at += piece.length;
  }
  file[at] = SNAPSHOT.checksum;
  file.writeUInt32LE(crc32(file.subarray(0, at)), at + 1);
  return file;
}

/** The fields of a Graph. */
export function graphPieces({ anchors, strings, numbers, bigints, shapes, words, buffers }: Graph): Pieces {
  const pieces = new Pieces();
  const writer = protobuf.Writer.create();
  for (const anchor of anchors) writer.uint32(GRAPH.anchors).string(anchor);
  for (const text of strings) writer.uint32(GRAPH.strings).string(text);
  writer.uint32(GRAPH.numbers).uint32(numbers.length * 8);
  for (const number of numbers) writer.double(number);
  for (const bigint of bigints) writer.uint32(GRAPH.bigints).string(String(bigint));
  for (const shape of shapes) writeShape(writer, shape);
  pieces.add(writer.finish());
  const packed = varints(words);
  pieces.add(lengthOf(GRAPH.words, packed.length));
  pieces.add(packed);
  for (const buffer of buffers) {
    const inside = bufferPieces(buffer);
    pieces.add(lengthOf(GRAPH.buffers, inside.bytes));
    pieces.addAll(inside);
  }
  return pieces;
}

function writeShape(writer: protobuf.Writer, { kind, keys }: GraphShape): void {
  writer.uint32(GRAPH.shapes).fork().uint32(SHAPE.kind).string(kind);
  for (const key of keys) writer.uint32(SHAPE.keys).string(key);
  writer.ldelim();
}

function bufferPieces({ lead, bytes }: GraphBuffer): Pieces {
  const pieces = new Pieces();
  pieces.add(protobuf.Writer.create().uint32(BYTE_BUFFER.lead).uint32(lead).uint32(BYTE_BUFFER.bytes).uint64(bytes.length).finish());
  for (const { offset, data } of runsOf(bytes)) {
    const head = protobuf.Writer.create().uint32(RUN.offset).uint64(offset).uint32(RUN.data).uint32(data.length).finish();
    pieces.add(lengthOf(BYTE_BUFFER.runs, head.length + data.length));
    pieces.add(head);
    pieces.add(data);
  }
  return pieces;
}

/** What is not zero, by pages. */
function* runsOf(bytes: Uint8Array): Generator<{ readonly offset: number; readonly data: Uint8Array }> {
  let start = -1;
  for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
    const zero = isZero(bytes, at, Math.min(at + PAGE_BYTES, bytes.length));
    if (!zero && start < 0) start = at;
    if (zero && start >= 0) {
      yield { offset: start, data: bytes.subarray(start, at) };
      start = -1;
    }
  }
  if (start >= 0) yield { offset: start, data: bytes.subarray(start) };
}

const ZEROS = Buffer.alloc(PAGE_BYTES);

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  // Most pages that are not zero show it early; memcmp() is for the others.
  return bytes[from] === 0 && ZEROS.compare(bytes, from, to, 0, to - from) === 0;
}

/** The tag of a field of so many bytes, and its length. */
export function lengthOf(tag: number, bytes: number): Uint8Array {
  return protobuf.Writer.create().uint32(tag).uint32(bytes).finish();
}

function varints(words: readonly number[]): Uint8Array {
  const packed = Buffer.allocUnsafe(words.length * VARINT_BYTES);
  let at = 0;
  for (const word of words) {
    let rest = word;
    for (; rest >= FRACTION; rest = Math.floor(rest / FRACTION)) packed[at++] = (rest % FRACTION) | FRACTION;
    packed[at++] = rest;
  }
  return packed.subarray(0, at);
}
