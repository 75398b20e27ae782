/** What a session did, as a recording has it, besides frames. */
import type protobuf from 'protobufjs/minimal.js';
import { inner, numberOf } from './reading.ts';
import type { RecordedFrame } from './record.ts';
import { ASKED, CLOSED, RECORD } from './recording-format.ts';

/** By whom a connection was ended: `rule`, the server for what came on it; `circumstance`, the server for what no recording has. */
export const CLOSED_BY = ['unspecified', 'peer', 'rule', 'circumstance'] as const;
export type ClosedBy = (typeof CLOSED_BY)[number];
export const KEEPALIVES = ['unspecified', 'ping-sent', 'pong-received', 'ping-received'] as const;
export type KeepaliveName = (typeof KEEPALIVES)[number];

export type SessionWhat =
  | { readonly kind: 'opened' | 'shut-down' }
  | { readonly kind: 'session-received' | 'session-sent'; readonly frame: RecordedFrame }
  | { readonly kind: 'closed'; readonly code: number; readonly reason: string; readonly by: ClosedBy }
  | { readonly kind: 'asked'; readonly token: number; readonly id: number }
  | { readonly kind: 'room'; readonly room: boolean }
  | { readonly kind: 'draining'; readonly deadlineMs: number }
  | { readonly kind: 'keepalive'; readonly keepalive: KeepaliveName };

/** Frames are written as those of the machine are. */
type Plain = Exclude<SessionWhat, { readonly frame: RecordedFrame }>;

export function writeSessionWhat(writer: protobuf.Writer, what: Plain): void {
  writer.uint32(RECORD[what.kind]);
  switch (what.kind) {
    case 'opened':
    case 'shut-down':
      writer.bool(true);
      break;
    case 'closed':
      writer.fork().uint32(CLOSED.code).uint32(what.code).uint32(CLOSED.reason).string(what.reason);
      writer.uint32(CLOSED.by).uint32(CLOSED_BY.indexOf(what.by)).ldelim();
      break;
    case 'asked':
      writer.fork().uint32(ASKED.token).uint64(what.token).uint32(ASKED.id).uint32(what.id).ldelim();
      break;
    case 'room':
      writer.bool(what.room);
      break;
    case 'draining':
      writer.uint64(what.deadlineMs);
      break;
    case 'keepalive':
      writer.uint32(KEEPALIVES.indexOf(what.keepalive));
      break;
  }
}

/** Undefined: it is of a later version. */
export function readSessionWhat(tag: number, reader: protobuf.Reader): SessionWhat | undefined {
  switch (tag) {
    case RECORD.opened:
      reader.bool();
      return { kind: 'opened' };
    case RECORD['shut-down']:
      reader.bool();
      return { kind: 'shut-down' };
    case RECORD.closed:
      return readClosed(inner(reader));
    case RECORD.asked:
      return readAsked(inner(reader));
    case RECORD.room:
      return { kind: 'room', room: reader.bool() };
    case RECORD.draining:
      return { kind: 'draining', deadlineMs: numberOf(reader) };
    case RECORD.keepalive:
      return { kind: 'keepalive', keepalive: KEEPALIVES[reader.uint32()] ?? 'unspecified' };
    default:
      reader.skipType(tag & 7);
      return undefined;
  }
}

function readClosed(reader: protobuf.Reader): SessionWhat {
  let code = 0;
  let reason = '';
  let by: ClosedBy = 'unspecified';
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === CLOSED.code) code = reader.uint32();
    else if (tag === CLOSED.reason) reason = reader.string();
    else if (tag === CLOSED.by) by = CLOSED_BY[reader.uint32()] ?? 'unspecified';
    else reader.skipType(tag & 7);
  }
  return { kind: 'closed', code, reason, by };
}

function readAsked(reader: protobuf.Reader): SessionWhat {
  let token = 0;
  let id = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === ASKED.token) token = numberOf(reader);
    else if (tag === ASKED.id) id = reader.uint32();
    else reader.skipType(tag & 7);
  }
  return { kind: 'asked', token, id };
}
