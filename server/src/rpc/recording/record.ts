/** One input of a machine or one of its outputs, as a recording has it. */
import protobuf from 'protobufjs/minimal.js';
import { CODECS, type FrameKind } from '../../../../proto/index.ts';
import type { PeerRoles } from '../../core/machine/index.ts';
import { ROLES, type RoleName } from '../enums.ts';
import { inner, numberOf } from './reading.ts';
import { CALL, FRAME, OWN, PEER, RECORD } from './recording-format.ts';
import { readSessionWhat, writeSessionWhat, type SessionWhat } from './session-record.ts';

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
  | { readonly kind: 'command' | 'reply'; readonly token: number; readonly json: string }
  | SessionWhat;

export interface RecordHead {
  readonly timeNs: number;
  /** Of an input, from 1; undefined of an output. */
  readonly input: number | undefined;
  /** Undefined: everybody. */
  readonly peer: number | undefined;
  readonly realNs: number | undefined;
  /** Of an input, milliseconds since 1970, where it is not that of the one before. */
  readonly wallMs?: number;
  /** Of what a session did; from 1. */
  readonly connection?: number;
  /** Of a reply to a call of the server. */
  readonly wireId?: number;
  /** Of a Hello: what its credentials allow; undefined: nothing. */
  readonly allowed?: readonly RoleName[];
}

export interface Record extends RecordHead {
  readonly what: What;
}

/** The bytes of one record by itself. */
export function encodeRecord(record: Record): Uint8Array {
  return writeRecord(protobuf.Writer.create(), record).finish();
}

export function writeRecord(writer: protobuf.Writer, record: Record): protobuf.Writer {
  const { timeNs, input, peer, realNs, wallMs, connection, wireId, allowed, what } = record;
  writer.uint32(RECORD.timeNs).uint64(timeNs);
  if (input !== undefined) writer.uint32(RECORD.input).uint64(input);
  if (peer !== undefined) writer.uint32(RECORD.peer).uint32(peer);
  if (realNs !== undefined) writer.uint32(RECORD.realNs).uint64(realNs);
  if (wallMs !== undefined) writer.uint32(RECORD.wallMs).uint64(wallMs);
  if (connection !== undefined) writer.uint32(RECORD.connection).uint32(connection);
  if (wireId !== undefined) writer.uint32(RECORD.wireId).uint32(wireId);
  if (allowed !== undefined) writeRoles(writer.uint32(RECORD.allowed).fork(), allowed).ldelim();
  switch (what.kind) {
    case 'received':
    case 'sent':
    case 'session-received':
    case 'session-sent':
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
    default:
      writeSessionWhat(writer, what);
  }
  return writer;
}

function writeRoles(writer: protobuf.Writer, roles: readonly RoleName[]): protobuf.Writer {
  for (const role of roles) writer.uint32(ROLES.number[role]);
  return writer;
}

export function writeFrame(writer: protobuf.Writer, { id, kind, number, body, data }: RecordedFrame): protobuf.Writer {
  if (id !== 0) writer.uint32(FRAME.id).uint64(id);
  writer.uint32(FRAME.kind).uint32(kind);
  if (data !== undefined) writer.uint32(FRAME.data).bytes(data);
  if (number !== 0) writer.uint32((number << 3) | 2).bytes(body);
  return writer;
}

export function writePeer(writer: protobuf.Writer, { id, roles, client, calls, asked }: RecordedPeer): protobuf.Writer {
  const has = (Object.keys(roles) as RoleName[]).filter((role) => roles[role]);
  writeRoles(writer.uint32(PEER.id).uint32(id).uint32(PEER.roles).fork(), has).ldelim().uint32(PEER.client).string(client);
  for (const [tag, list] of [[PEER.calls, calls] as const, [PEER.asked, asked] as const]) {
    for (const call of list) writer.uint32(tag).fork().uint32(CALL.id).uint64(call.id).uint32(CALL.body).uint32(call.body).ldelim();
  }
  return writer;
}

/** Throws whatever a reader throws for bytes that are none. */
export function readRecord(bytes: Uint8Array): Record {
  const reader = protobuf.Reader.create(bytes);
  const head: Writable<RecordHead> = { timeNs: 0, input: undefined, peer: undefined, realNs: undefined };
  let what: What | undefined;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === RECORD.timeNs) head.timeNs = numberOf(reader);
    else if (tag === RECORD.input) head.input = numberOf(reader);
    else if (tag === RECORD.peer) head.peer = reader.uint32();
    else if (tag === RECORD.realNs) head.realNs = numberOf(reader);
    else if (tag === RECORD.wallMs) head.wallMs = numberOf(reader);
    else if (tag === RECORD.connection) head.connection = reader.uint32();
    else if (tag === RECORD.wireId) head.wireId = reader.uint32();
    else if (tag === RECORD.allowed) head.allowed = readRoles(inner(reader));
    else what = readWhat(tag, reader) ?? what;
  }
  if (what === undefined) throw new RangeError('a record says nothing');
  return { ...head, what };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function readRoles(packed: protobuf.Reader): RoleName[] {
  const roles: RoleName[] = [];
  while (packed.pos < packed.len) {
    const role = ROLES.word[packed.uint32()];
    if (role !== undefined) roles.push(role);
  }
  return roles;
}

function readWhat(tag: number, reader: protobuf.Reader): What | undefined {
  switch (tag) {
    case RECORD.received:
      return { kind: 'received', frame: readFrame(inner(reader)) };
    case RECORD.sent:
      return { kind: 'sent', frame: readFrame(inner(reader)) };
    case RECORD['session-received']:
      return { kind: 'session-received', frame: readFrame(inner(reader)) };
    case RECORD['session-sent']:
      return { kind: 'session-sent', frame: readFrame(inner(reader)) };
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
      return readSessionWhat(tag, reader);
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
      for (const role of readRoles(inner(reader))) roles[role] = true;
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
