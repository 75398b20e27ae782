/** A record in words, for whoever is told of a difference. */
import { KIND } from '../../../../proto/index.ts';
import { bodyName } from '../body-names.ts';
import { decodeBody, type Record, type RecordedFrame } from './record.ts';
import type { SessionWhat } from './session-record.ts';

/** Bytes of data that are shown: a bulk transfer is told by its first. */
const SHOWN_BYTES_MAX = 32;
/** Characters of a body that are shown. */
const SHOWN_CHARS_MAX = 2000;

const KIND_NAMES = new Map<number, string>(Object.entries(KIND).map(([name, number]) => [number, name]));

/** One line: `to peer 1: reply 4 resetPrepareReply {…}`. */
export function shownRecord(record: Record): string {
  return `${shownWhat(record.what, whoOf(record))} at ${record.timeNs} ns`;
}

function whoOf({ peer, connection }: Record): string {
  if (peer !== undefined) return peer === 0 ? 'the service' : `peer ${peer}`;
  return connection === undefined ? 'everybody' : `connection ${connection}`;
}

function shownWhat(what: Record['what'], who: string): string {
  switch (what.kind) {
    case 'received':
    case 'session-received':
      return `from ${who}: ${shownFrame(what.frame)}`;
    case 'sent':
    case 'session-sent':
      return `to ${who}: ${shownFrame(what.frame)}`;
    case 'arrived': {
      const roles = Object.entries(what.arrived.roles).flatMap(([role, has]) => (has ? [role] : []));
      return `${who} arrives: ${what.arrived.client} as ${roles.join(', ')}`;
    }
    case 'gone':
      return `${who} is gone: ${what.reason}`;
    case 'silent':
      return `${who} owes an answer for too long`;
    case 'alarm':
      return 'an alarm';
    case 'command':
      return `from ${who}: ${what.token} ${clipped(what.json)}`;
    case 'reply':
      return `to ${who}: reply ${what.token} ${clipped(what.json)}`;
    default:
      return shownSession(what, who);
  }
}

function shownSession(what: Exclude<SessionWhat, { readonly frame: RecordedFrame }>, who: string): string {
  switch (what.kind) {
    case 'opened':
      return `${who} is opened`;
    case 'closed':
      return `${who} is closed ${CLOSED_BY_WORDS[what.by]}: ${what.code} ${what.reason}`;
    case 'asked':
      return `to ${who}: call ${what.token} goes out as ${what.id}`;
    case 'room':
      return `${who} ${what.room ? 'reads on' : 'does not read: events wait'}`;
    case 'draining':
      return `the service stops in ${what.deadlineMs} ms`;
    case 'shut-down':
      return 'the service answers what is left';
    case 'keepalive':
      return `${who}: ${what.keepalive}`;
  }
}

const CLOSED_BY_WORDS = {
  unspecified: 'by nobody',
  peer: 'by its other end',
  rule: 'by the server',
  circumstance: 'by the server',
} as const;

function shownFrame(frame: RecordedFrame): string {
  const { id, kind, number, data } = frame;
  const words = [KIND_NAMES.get(kind) ?? `kind ${kind}`];
  if (id !== 0) words.push(String(id));
  words.push(bodyName(number), clipped(JSON.stringify(bodyOf(frame), shortly)));
  if (data !== undefined) words.push(`with ${data.length} bytes ${hex(data)}`);
  return words.join(' ');
}

/** 64-bit values in hex, and nothing for what is not there. */
function shortly(_key: string, value: unknown): unknown {
  if (value === null) return undefined;
  if (value instanceof Uint8Array) return hex(value);
  if (typeof value === 'object' && 'low' in value && 'high' in value && Object.keys(value).length <= 3) {
    const { low, high } = value as { low: number; high: number };
    return `0x${((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)).toString(16)}`;
  }
  return value;
}

function clipped(text: string): string {
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text;
}

/** Where two records that differ and are of one kind do so first, with what each has there; undefined: they are of different kinds. */
export function firstField(recorded: Record, came: Record): string | undefined {
  const [a, b] = [contentOf(recorded), contentOf(came)];
  if (a === undefined || b === undefined || a.name !== b.name) return undefined;
  if (recorded.timeNs !== came.timeNs) return `time: ${recorded.timeNs} ns, and ${came.timeNs} ns came`;
  return firstIn(a.value, b.value, '');
}

function contentOf({ what }: Record): { readonly name: string; readonly value: unknown } | undefined {
  if (what.kind === 'reply') return { name: 'reply', value: jsonOf(what.json) };
  if (what.kind !== 'sent' && what.kind !== 'session-sent') return undefined;
  const { kind, number, data } = what.frame;
  // In the words of elsewhere: without what is not there, 64-bit values in hex.
  const body: unknown = JSON.parse(JSON.stringify(bodyOf(what.frame), shortly));
  return {
    name: `${kind} ${number}`,
    value: { ...(body as object), ...(data === undefined ? {} : { data: Buffer.from(data).toString('hex') }) },
  };
}

/** What is in a damaged file is shown as far as it goes. */
function bodyOf(frame: RecordedFrame): object {
  try {
    return decodeBody(frame) ?? {};
  } catch {
    return { undecodable: hex(frame.body) };
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function firstIn(a: unknown, b: unknown, path: string): string | undefined {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    if (a === b) return undefined;
    const [left, right] = [a, b].map((value) => (value === undefined ? 'nothing' : clipped(JSON.stringify(value))));
    return `${path}: ${left}, and ${right} came`;
  }
  const [left, right] = [a as Fields, b as Fields];
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const found = firstIn(left[key], right[key], Array.isArray(a) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

interface Fields {
  readonly [name: string]: unknown;
}

function hex(bytes: Uint8Array): string {
  const shown = Buffer.from(bytes.subarray(0, SHOWN_BYTES_MAX)).toString('hex');
  return bytes.length > SHOWN_BYTES_MAX ? `${shown}…` : shown;
}
