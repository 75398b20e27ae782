/** One input of a machine or one of its outputs, as a recording has it. */
import protobuf from 'protobufjs/minimal.js';
import { CODECS, type FrameKind } from '../../../../proto/index.ts';
import type { PeerRoles } from '../../core/machine/index.ts';
import { ROLES, type RoleName } from '../enums.ts';
import { CALL, FRAME, OWN, PEER, RECORD } from './recording-format.ts';

/** A frame whose body is still, or again, bytes. */
export interface RecordedFrame {
  readonly id: number;
  readonly kind: FrameKind;
  /** Field number of the body in Frame; 0 for none. */
  readonly number: number;
  readonly body: Uint8Array;
  readonly data: Uint8Array | undefined;
}

/** A call without an answer: the caller's id of it, and the field number of its request. */
export interface RecordedCall {
  readonly id: number;
  readonly body: number;
}

export interface RecordedPeer {
  readonly id: number;
  readonly roles: PeerRoles;
  readonly client: string;
  readonly calls: readonly RecordedCall[];
  readonly asked: readonly RecordedCall[];
}

export type What =
  | { readonly kind: 'received' | 'sent'; readonly frame: RecordedFrame }
  | { readonly kind: 'arrived'; readonly arrived: RecordedPeer }
  | { readonly kind: 'gone'; readonly reason: string }
  | { readonly kind: 'silent' | 'alarm' }
  | { readonly kind: 'command' | 'reply'; readonly token: number; readonly json: string };

export interface RecordHead {
  readonly timeNs: number;
  /** Of an input, from 1; undefined of an output. */
  readonly input: number | undefined;
  /** Undefined: everybody. */
  readonly peer: number | undefined;
  readonly realNs: number | undefined;
}

export interface Record extends RecordHead {
  readonly what: What;
}

/** The bytes of one record by itself. */
export function encodeRecord(record: Record): Uint8Array {
  return writeRecord(protobuf.Writer.create(), record).finish();
}

export function writeRecord(writer: protobuf.Writer, { timeNs, input, peer, realNs, what }: Record): protobuf.Writer {
  writer.uint32(RECORD.timeNs).uint64(timeNs);
  if (input !== undefined) writer.uint32(RECORD.input).uint64(input);
  if (peer !== undefined) writer.uint32(RECORD.peer).uint32(peer);
  if (realNs !== undefined) writer.uint32(RECORD.realNs).uint64(realNs);
  switch (what.kind) {
    case 'received':
    case 'sent':
      writeFrame(writer.uint32(RECORD[what.kind]).fork(), what.frame).ldelim();
      break;
    case 'arrived':
      writePeer(writer.uint32(RECORD.arrived).fork(), what.arrived).ldelim();
      break;
    case 'gone':
      writer.uint32(RECORD.gone).string(what.reason);
      break;
    case 'silent':
    case 'alarm':
      writer.uint32(RECORD[what.kind]).bool(true);
      break;
    case 'command':
    case 'reply':
      writer.uint32(RECORD[what.kind]).fork().uint32(OWN.token).uint64(what.token).uint32(OWN.json).string(what.json).ldelim();
      break;
  }
  return writer;
}

function writeFrame(writer: protobuf.Writer, { id, kind, number, body, data }: RecordedFrame): protobuf.Writer {
  if (id !== 0) writer.uint32(FRAME.id).uint64(id);
  writer.uint32(FRAME.kind).uint32(kind);
  if (data !== undefined) writer.uint32(FRAME.data).bytes(data);
  if (number !== 0) writer.uint32((number << 3) | 2).bytes(body);
  return writer;
}

export function writePeer(writer: protobuf.Writer, { id, roles, client, calls, asked }: RecordedPeer): protobuf.Writer {
  writer.uint32(PEER.id).uint32(id).uint32(PEER.roles).fork();
  for (const role of Object.keys(roles) as RoleName[]) if (roles[role]) writer.uint32(ROLES.number[role]);
  writer.ldelim().uint32(PEER.client).string(client);
  for (const [tag, list] of [[PEER.calls, calls] as const, [PEER.asked, asked] as const]) {
    for (const call of list) writer.uint32(tag).fork().uint32(CALL.id).uint64(call.id).uint32(CALL.body).uint32(call.body).ldelim();
  }
  return writer;
}

/** Throws whatever a reader throws for bytes that are none. */
export function readRecord(bytes: Uint8Array): Record {
  const reader = protobuf.Reader.create(bytes);
  let timeNs = 0;
  let input: number | undefined;
  let peer: number | undefined;
  let realNs: number | undefined;
  let what: What | undefined;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === RECORD.timeNs) timeNs = numberOf(reader);
    else if (tag === RECORD.input) input = numberOf(reader);
    else if (tag === RECORD.peer) peer = reader.uint32();
    else if (tag === RECORD.realNs) realNs = numberOf(reader);
    else what = readWhat(tag, reader) ?? what;
  }
  if (what === undefined) throw new RangeError('a record says nothing');
  return { timeNs, input, peer, realNs, what };
}

function readWhat(tag: number, reader: protobuf.Reader): What | undefined {
  switch (tag) {
    case RECORD.received:
      return { kind: 'received', frame: readFrame(inner(reader)) };
    case RECORD.sent:
      return { kind: 'sent', frame: readFrame(inner(reader)) };
    case RECORD.arrived:
      return { kind: 'arrived', arrived: readPeer(inner(reader)) };
    case RECORD.gone:
      return { kind: 'gone', reason: reader.string() };
    case RECORD.silent:
      reader.bool();
      return { kind: 'silent' };
    case RECORD.alarm:
      reader.bool();
      return { kind: 'alarm' };
    case RECORD.command:
      return { kind: 'command', ...readOwn(inner(reader)) };
    case RECORD.reply:
      return { kind: 'reply', ...readOwn(inner(reader)) };
    default:
      reader.skipType(tag & 7);
      return undefined;
  }
}

function readFrame(reader: protobuf.Reader): RecordedFrame {
  let id = 0;
  let kind = 0;
  let number = 0;
  let body: Uint8Array = NONE;
  let data: Uint8Array | undefined;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === FRAME.id) id = numberOf(reader);
    else if (tag === FRAME.kind) kind = reader.uint32();
    else if (tag === FRAME.data) data = view(reader.bytes());
    else if ((tag & 7) === 2) {
      number = tag >>> 3;
      body = view(reader.bytes());
    } else reader.skipType(tag & 7);
  }
  return { id, kind: kind as FrameKind, number, body, data };
}

export function readPeer(reader: protobuf.Reader): RecordedPeer {
  let id = 0;
  const roles = { host: false, device: false, memory: false, observer: false };
  let client = '';
  const calls: RecordedCall[] = [];
  const asked: RecordedCall[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === PEER.id) id = reader.uint32();
    else if (tag === PEER.roles) {
      for (const packed = inner(reader); packed.pos < packed.len;) {
        const role = ROLES.word[packed.uint32()];
        if (role !== undefined) roles[role] = true;
      }
    } else if (tag === PEER.client) client = reader.string();
    else if (tag === PEER.calls) calls.push(readCall(inner(reader)));
    else if (tag === PEER.asked) asked.push(readCall(inner(reader)));
    else reader.skipType(tag & 7);
  }
  return { id, roles, client, calls, asked };
}

function readCall(reader: protobuf.Reader): RecordedCall {
  let id = 0;
  let body = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === CALL.id) id = numberOf(reader);
    else if (tag === CALL.body) body = reader.uint32();
    else reader.skipType(tag & 7);
  }
  return { id, body };
}

function readOwn(reader: protobuf.Reader): { readonly token: number; readonly json: string } {
  let token = 0;
  let json = '';
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === OWN.token) token = numberOf(reader);
    else if (tag === OWN.json) json = reader.string();
    else reader.skipType(tag & 7);
  }
  return { token, json };
}

const NONE = new Uint8Array(0);

/** Not a Buffer: what a machine is given must not depend on where it came from. */
function view(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function inner(reader: protobuf.Reader): protobuf.Reader {
  return protobuf.Reader.create(reader.bytes());
}

/** Exact where it is no more than there can be. */
export function numberOf(reader: protobuf.Reader): number {
  const { low, high } = reader.uint64();
  return (high >>> 0) * 2 ** 32 + (low >>> 0);
}

/** The bytes of a body. */
export function encodeBody(number: number, body: object): Uint8Array {
  const codec = CODECS[number];
  if (codec === undefined) throw new RangeError(`body ${number} is not in the contract`);
  return codec.encode(body, protobuf.Writer.create()).finish();
}

/** The body again; undefined for a number that this contract does not have. */
export function decodeBody({ number, body }: Pick<RecordedFrame, 'number' | 'body'>): object | undefined {
  return CODECS[number]?.decode(protobuf.Reader.create(body), body.length);
}
