/** A record in words, for whoever is told of a difference. */
import { BODY, KIND } from '../../../../proto/index.ts';
import { decodeBody, type Record, type RecordedFrame } from './record.ts';

/** Bytes of data that are shown: a bulk transfer is told by its first. */
const SHOWN_BYTES_MAX = 32;

const BODY_NAMES = new Map<number, string>(Object.entries(BODY).map(([name, number]) => [number, name]));
const KIND_NAMES = new Map<number, string>(Object.entries(KIND).map(([name, number]) => [number, name]));

/** The name of a body in the contract: `resetPrepare`. */
export function bodyName(number: number): string {
  return BODY_NAMES.get(number) ?? (number === 0 ? 'nothing' : `body ${number}`);
}

/** One line: `to peer 1: reply 4 resetPrepareReply {…}`. */
export function shownRecord({ peer, timeNs, what }: Record): string {
  return `${shownWhat(what, peer)} at ${timeNs} ns`;
}

function shownWhat(what: Record['what'], peer: number | undefined): string {
  const who = peer === undefined ? 'everybody' : peer === 0 ? 'the service' : `peer ${peer}`;
  switch (what.kind) {
    case 'received':
      return `from ${who}: ${shownFrame(what.frame)}`;
    case 'sent':
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
      return `from ${who}: ${what.token} ${what.json}`;
    case 'reply':
      return `to ${who}: reply ${what.token} ${what.json}`;
  }
}

function shownFrame(frame: RecordedFrame): string {
  const { id, kind, number, data } = frame;
  const words = [KIND_NAMES.get(kind) ?? `kind ${kind}`];
  if (id !== 0) words.push(String(id));
  words.push(bodyName(number), JSON.stringify(decodeBody(frame) ?? {}, shortly));
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

function hex(bytes: Uint8Array): string {
  const shown = Buffer.from(bytes.subarray(0, SHOWN_BYTES_MAX)).toString('hex');
  return bytes.length > SHOWN_BYTES_MAX ? `${shown}…` : shown;
}
