/** What docs/dma-probe.md says of dma-probe, layout version 2: registers, descriptors, errors and outcomes. */
import type { Outcome } from 'iommud';
import type { RegisterTable } from './register-file.ts';

export const QUEUES = 4;
export const RING_ENTRIES_MAX = 256;
export const TRANSFER_BYTES_MAX = 1 << 16;
export const SEGMENTS_MAX = 32;

export const REGISTERS = {
  ident: { offset: 0x00, bytes: 4, access: 'ro', reset: 0x4252_5044n },
  version: { offset: 0x04, bytes: 4, access: 'ro', reset: 2n },
  scratch: { offset: 0x08, bytes: 4, access: 'rw' },
  started: { offset: 0x0c, bytes: 4, access: 'ro' },
  ended: { offset: 0x10, bytes: 4, access: 'ro' },
  queues: { offset: 0x14, bytes: 4, access: 'ro', reset: BigInt(QUEUES) },
  ringEntriesMax: { offset: 0x18, bytes: 4, access: 'ro', reset: BigInt(RING_ENTRIES_MAX) },
  transferBytesMax: { offset: 0x1c, bytes: 4, access: 'ro', reset: BigInt(TRANSFER_BYTES_MAX) },
  segmentsMax: { offset: 0x20, bytes: 4, access: 'ro', reset: BigInt(SEGMENTS_MAX) },
} as const satisfies RegisterTable;

/** Queue q has its registers at `first + q * each`. */
export const QUEUE_BLOCK = { first: 0x100, each: 0x40 } as const;

export const QUEUE_REGISTERS = {
  command: { offset: 0x00, bytes: 4, access: 'wo' },
  state: { offset: 0x04, bytes: 4, access: 'ro' },
  ringBase: { offset: 0x08, bytes: 8, access: 'rw', writable: 0xffff_ffff_ffff_ffc0n },
  ringEntries: { offset: 0x10, bytes: 4, access: 'rw' },
  tail: { offset: 0x14, bytes: 4, access: 'rw' },
  head: { offset: 0x18, bytes: 4, access: 'ro' },
  pasid: { offset: 0x1c, bytes: 4, access: 'rw', writable: 0x800f_ffffn },
  vector: { offset: 0x20, bytes: 4, access: 'rw', writable: 0x8000_07ffn },
  completed: { offset: 0x24, bytes: 4, access: 'ro' },
  failed: { offset: 0x28, bytes: 4, access: 'ro' },
  error: { offset: 0x2c, bytes: 4, access: 'ro' },
} as const satisfies RegisterTable;

export const COMMAND = { start: 1, stop: 2, abort: 3 } as const;
export const STATE = { stopped: 0, idle: 1, busy: 2, stopping: 3, failed: 4 } as const;
/** Of the PASID and vector registers, and of a status. */
export const VALID = 0x8000_0000;

/** Bytes 0 to 31 are the driver's, 32 to 63 the probe's. */
export const DESCRIPTOR_BYTES = 64;
export const STATUS_OFFSET = 0x20;
export const DESCRIPTOR = {
  control: 0x00,
  pasid: 0x04,
  address: 0x08,
  length: 0x10,
  pattern: 0x14,
  seed: 0x18,
  reserved: 0x1c,
  status: 0x20,
  bytesDone: 0x24,
  checksum: 0x28,
  sequence: 0x2c,
  failedAddress: 0x30,
} as const;

export const SEGMENT_BYTES = 16;
export const SEGMENT = { address: 0x00, length: 0x08, reserved: 0x0c } as const;

export const OPERATION = { write: 1, read: 2 } as const;
/** By bit of the control word. */
export const FLAG = { translated: 8, pageRequests: 9, pasid: 10, interrupt: 11, scatter: 12 } as const;
export const PATTERN = { fill: 0, increment: 1, random: 2 } as const;

/** By number. */
export const ERRORS = [
  'none',
  'invalid-operation',
  'invalid-flags',
  'invalid-length',
  'invalid-list',
  'invalid-pattern',
  'invalid-pasid',
  'address-wraps',
  'list-unreadable',
  'transfer-failed',
  'ring-unreadable',
  'status-unwritable',
  'invalid-ring',
  'invalid-tail',
  'invalid-command',
] as const;
export type ProbeError = (typeof ERRORS)[number];

/** By number. */
export const OUTCOMES: readonly Outcome[] = [
  'performed',
  'not-present',
  'not-permitted',
  'not-canonical',
  'too-wide',
  'reserved-bits',
  'external-abort',
  'blocked-domain',
  'ats-forbidden',
  'stale-atc',
  'gate-closed',
  'unsupported-request',
  'completer-abort',
  'aborted',
  'indeterminate',
  'no-access',
  'access-flag',
  'address-size',
  'poisoned',
  'completion-timeout',
  'interrupt-reserved',
  'interrupt-index',
  'interrupt-absent',
  'interrupt-compatibility',
  'interrupt-source',
];

/** As a queue's error register and a status have it. */
export function errorWord(error: ProbeError, outcome: Outcome = 'performed'): number {
  return (OUTCOMES.indexOf(outcome) << 8) | ERRORS.indexOf(error);
}
