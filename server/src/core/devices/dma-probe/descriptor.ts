/** A descriptor of a dma-probe's ring, read and checked; and the status that is written back into it. */
import { high32, join64, low32 } from '../../base/index.ts';
import { isPattern } from './patterns.ts';
import {
  DESCRIPTOR,
  FLAG,
  PROBE_ERRORS,
  PROBE_OPERATION,
  SEGMENT,
  SEGMENTS_MAX,
  SEGMENT_BYTES,
  STATUS_OFFSET,
  DESCRIPTOR_BYTES,
  TRANSFER_BYTES_MAX,
  VALID,
  type ProbeError,
} from './registers.ts';

/** A run of bytes, by int32 halves of its first. */
export interface Segment {
  readonly low: number;
  readonly high: number;
  readonly bytes: number;
}

export interface Descriptor {
  readonly writes: boolean;
  readonly translated: boolean;
  readonly pageRequests: boolean;
  readonly interrupt: boolean;
  readonly scatter: boolean;
  /** Undefined: the queue's. */
  readonly pasid: number | undefined;
  /** The data, or the list. */
  readonly place: Segment;
  readonly pattern: number;
  readonly seed: number;
}

/** Every bit of the control word that means something. */
const KNOWN_BITS = Object.values(FLAG).reduce((bits, { bit }) => bits | (1 << bit), 0xff);
const PASID_MAX = 0xf_ffff;

/** Whether bit `interrupt` is set, of a descriptor that may be wrong otherwise. */
export function asksForInterrupt(bytes: Uint8Array): boolean {
  return has(u32(bytes, DESCRIPTOR.control.offset), 'interrupt');
}

/** The name of what is wrong with it, where something is. */
export function readDescriptor(bytes: Uint8Array): Descriptor | ProbeError {
  const control = u32(bytes, DESCRIPTOR.control.offset);
  const operation = control & 0xff;
  const scatter = has(control, 'scatter');
  const length = u32(bytes, DESCRIPTOR.length.offset);
  const pattern = u32(bytes, DESCRIPTOR.pattern.offset);
  const pasid = has(control, 'pasid') ? u32(bytes, DESCRIPTOR.pasid.offset) : undefined;
  const writes = operation === PROBE_OPERATION.write;
  if (!writes && operation !== PROBE_OPERATION.read) return 'invalid-operation';
  const reserved = u32(bytes, DESCRIPTOR.reserved.offset) !== 0 || (control & ~KNOWN_BITS) !== 0;
  if (reserved || (has(control, 'pageRequests') && !has(control, 'translated'))) return 'invalid-flags';
  if (scatter ? length < 1 || length > SEGMENTS_MAX : length < 1 || length > TRANSFER_BYTES_MAX) {
    return scatter ? 'invalid-list' : 'invalid-length';
  }
  if (writes && !isPattern(pattern)) return 'invalid-pattern';
  if (pasid !== undefined && pasid > PASID_MAX) return 'invalid-pasid';
  const place = segmentAt(bytes, DESCRIPTOR.address.offset, scatter ? length * SEGMENT_BYTES : length);
  if (wraps(place)) return 'address-wraps';
  return {
    writes,
    translated: has(control, 'translated'),
    pageRequests: has(control, 'pageRequests'),
    interrupt: has(control, 'interrupt'),
    scatter,
    pasid,
    place,
    pattern,
    seed: u32(bytes, DESCRIPTOR.seed.offset),
  };
}

/** The entries of a scatter list. */
export function readSegments(list: Uint8Array): readonly Segment[] | ProbeError {
  const segments: Segment[] = [];
  let total = 0;
  for (let at = 0; at < list.byteLength; at += SEGMENT_BYTES) {
    const bytes = u32(list, at + SEGMENT.length.offset);
    if (bytes === 0 || u32(list, at + SEGMENT.reserved.offset) !== 0) return 'invalid-list';
    const segment = segmentAt(list, at + SEGMENT.address.offset, bytes);
    total += bytes;
    if (total > TRANSFER_BYTES_MAX) return 'invalid-length';
    if (wraps(segment)) return 'address-wraps';
    segments.push(segment);
  }
  return segments;
}

/** How a descriptor ended. */
export interface Completion {
  readonly error: ProbeError;
  /** Index of the outcome of its DMA that failed; 0 where none did. */
  readonly outcome: number;
  readonly bytesDone: number;
  readonly checksum: number;
  readonly sequence: number;
  /** Begins with the first byte that was not moved; undefined where all were. */
  readonly notMoved: Segment | undefined;
}

/** The probe's half of a descriptor. */
export function statusBytes(end: Completion): Uint8Array {
  const bytes = new Uint8Array(DESCRIPTOR_BYTES - STATUS_OFFSET);
  const view = new DataView(bytes.buffer);
  view.setUint32(DESCRIPTOR.status.offset - STATUS_OFFSET, (VALID | errorWord(end.error, end.outcome)) >>> 0, true);
  view.setUint32(DESCRIPTOR.bytesDone.offset - STATUS_OFFSET, end.bytesDone, true);
  view.setUint32(DESCRIPTOR.checksum.offset - STATUS_OFFSET, end.checksum, true);
  view.setUint32(DESCRIPTOR.sequence.offset - STATUS_OFFSET, end.sequence, true);
  view.setInt32(DESCRIPTOR.failedAddress.offset - STATUS_OFFSET, end.notMoved?.low ?? 0, true);
  view.setInt32(DESCRIPTOR.failedAddress.offset - STATUS_OFFSET + 4, end.notMoved?.high ?? 0, true);
  return bytes;
}

/** As the queue's error register and a status have it. */
export function errorWord(error: ProbeError, outcome: number): number {
  return (outcome << 8) | PROBE_ERRORS[error].value;
}

/** The place that is `bytes` further on. */
export function advanced({ low, high, bytes }: Segment, by: number): Segment {
  const address = join64(low, high) + BigInt(by);
  return { low: low32(address), high: high32(address), bytes: bytes - by };
}

/** Only from the last 4 GiB of 64 bits can it go beyond them. */
export function wraps({ low, high, bytes }: Segment): boolean {
  return high === -1 && (low >>> 0) + bytes > 2 ** 32;
}

function segmentAt(bytes: Uint8Array, offset: number, length: number): Segment {
  return { low: u32(bytes, offset) | 0, high: u32(bytes, offset + 4) | 0, bytes: length };
}

function has(control: number, flag: keyof typeof FLAG): boolean {
  return ((control >>> FLAG[flag].bit) & 1) === 1;
}

function u32(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(offset, true);
}
