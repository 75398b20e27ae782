/** A descriptor of a ring, read and checked; and the status that is written back into it. */
import type { Outcome } from 'iommud';
import { isPattern } from './pattern.ts';
import {
  DESCRIPTOR,
  DESCRIPTOR_BYTES,
  FLAG,
  OPERATION,
  SEGMENT,
  SEGMENTS_MAX,
  SEGMENT_BYTES,
  STATUS_OFFSET,
  TRANSFER_BYTES_MAX,
  VALID,
  errorWord,
  type ProbeError,
} from './registers.ts';

const PASID_MAX = 0xf_ffff;
const KNOWN_BITS = Object.values(FLAG).reduce((bits, bit) => bits | (1 << bit), 0xff);
const END_OF_ADDRESSES = 1n << 64n;

export interface Segment {
  readonly iova: bigint;
  readonly bytes: number;
}

export interface Descriptor {
  readonly writes: boolean;
  readonly translated: boolean;
  readonly pageRequests: boolean;
  readonly scatter: boolean;
  /** Undefined: the queue's. */
  readonly pasid: number | undefined;
  /** The data, or the list. */
  readonly place: Segment;
  readonly pattern: number;
  readonly seed: number;
}

/** Of a descriptor that may be wrong otherwise. */
export function asksForInterrupt(bytes: Uint8Array): boolean {
  return has(viewOf(bytes).getUint32(DESCRIPTOR.control, true), 'interrupt');
}

/** The name of what is wrong with it, where something is. */
export function readDescriptor(bytes: Uint8Array): Descriptor | ProbeError {
  const view = viewOf(bytes);
  const word = (at: number): number => view.getUint32(at, true);
  const control = word(DESCRIPTOR.control);
  const operation = control & 0xff;
  const scatter = has(control, 'scatter');
  const length = word(DESCRIPTOR.length);
  const pattern = word(DESCRIPTOR.pattern);
  const pasid = has(control, 'pasid') ? word(DESCRIPTOR.pasid) : undefined;
  const writes = operation === OPERATION.write;
  const [translated, pageRequests] = [has(control, 'translated'), has(control, 'pageRequests')];
  if (!writes && operation !== OPERATION.read) return 'invalid-operation';
  if (word(DESCRIPTOR.reserved) !== 0 || (control & ~KNOWN_BITS) !== 0 || (pageRequests && !translated)) return 'invalid-flags';
  if (length < 1 || length > (scatter ? SEGMENTS_MAX : TRANSFER_BYTES_MAX)) return scatter ? 'invalid-list' : 'invalid-length';
  if (writes && !isPattern(pattern)) return 'invalid-pattern';
  if (pasid !== undefined && pasid > PASID_MAX) return 'invalid-pasid';
  const place = { iova: view.getBigUint64(DESCRIPTOR.address, true), bytes: scatter ? length * SEGMENT_BYTES : length };
  if (wraps(place)) return 'address-wraps';
  return { writes, translated, pageRequests, scatter, pasid, place, pattern, seed: word(DESCRIPTOR.seed) };
}

/** The entries of a scatter list. */
export function readSegments(list: Uint8Array): readonly Segment[] | ProbeError {
  const view = viewOf(list);
  const segments: Segment[] = [];
  let total = 0;
  for (let at = 0; at < list.length; at += SEGMENT_BYTES) {
    const segment = { iova: view.getBigUint64(at + SEGMENT.address, true), bytes: view.getUint32(at + SEGMENT.length, true) };
    if (segment.bytes === 0 || view.getUint32(at + SEGMENT.reserved, true) !== 0) return 'invalid-list';
    total += segment.bytes;
    if (total > TRANSFER_BYTES_MAX) return 'invalid-length';
    if (wraps(segment)) return 'address-wraps';
    segments.push(segment);
  }
  return segments;
}

/** How a descriptor ended. */
export interface Ended {
  readonly error: ProbeError;
  readonly outcome: Outcome;
  readonly bytesDone: number;
  readonly checksum: number;
  /** The first byte that was not moved; undefined where all were. */
  readonly failedAddress: bigint | undefined;
}

/** The probe's half of a descriptor. */
export function statusBytes({ error, outcome, bytesDone, checksum, failedAddress }: Ended, sequence: number): Uint8Array {
  const bytes = new Uint8Array(DESCRIPTOR_BYTES - STATUS_OFFSET);
  const view = viewOf(bytes);
  view.setUint32(DESCRIPTOR.status - STATUS_OFFSET, (VALID | errorWord(error, outcome)) >>> 0, true);
  view.setUint32(DESCRIPTOR.bytesDone - STATUS_OFFSET, bytesDone, true);
  view.setUint32(DESCRIPTOR.checksum - STATUS_OFFSET, checksum, true);
  view.setUint32(DESCRIPTOR.sequence - STATUS_OFFSET, sequence, true);
  view.setBigUint64(DESCRIPTOR.failedAddress - STATUS_OFFSET, failedAddress ?? 0n, true);
  return bytes;
}

export function wraps({ iova, bytes }: Segment): boolean {
  return iova + BigInt(bytes) > END_OF_ADDRESSES;
}

function has(control: number, flag: keyof typeof FLAG): boolean {
  return ((control >>> FLAG[flag]) & 1) === 1;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
