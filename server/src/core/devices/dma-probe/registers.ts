/**
 * The programming interface of `dma-probe`, layout version 2, as tables: BAR 0, the descriptors of its queues, and what they say when they have failed.
 * `docs/dma-probe.md` is made from them (`server/src/core/devices/dma-probe/register-page.mjs`).
 */
import type { BarRegisterTable } from '../register-map.ts';

export const PROBE_QUEUES = 4;
/** A ring is at most 16 KiB: 256 descriptors are what a doorbell may set going at once. */
export const RING_ENTRIES_MAX = 256;
/** One descriptor's bytes: all that a step of the machine does for a full ring in each queue is then 64 MiB. */
export const TRANSFER_BYTES_MAX = 1 << 16;
/** A scatter list fits into one page, whichever the alignment of its first entry to 64 bytes. */
export const SEGMENTS_MAX = 32;

export const PROBE_REGISTERS = {
  ident: { offset: 0x00, bytes: 4, access: 'ro', reset: 0x4252_5044, means: '"DPRB": this is a dma-probe' },
  version: { offset: 0x04, bytes: 4, access: 'ro', reset: 2, means: 'layout version of these registers' },
  scratch: { offset: 0x08, bytes: 4, access: 'rw', reset: 0, means: 'keeps what is written until a reset' },
  started: { offset: 0x0c, bytes: 4, access: 'ro', reset: 0, means: 'DMA operations started since the last reset, modulo 2^32' },
  ended: { offset: 0x10, bytes: 4, access: 'ro', reset: 0, means: 'DMA operations ended since the last reset, modulo 2^32' },
  queues: { offset: 0x14, bytes: 4, access: 'ro', reset: PROBE_QUEUES, means: 'queues that it has' },
  ringEntriesMax: { offset: 0x18, bytes: 4, access: 'ro', reset: RING_ENTRIES_MAX, means: 'descriptors of a ring, at most' },
  transferBytesMax: { offset: 0x1c, bytes: 4, access: 'ro', reset: TRANSFER_BYTES_MAX, means: 'bytes that one descriptor moves, at most' },
  segmentsMax: { offset: 0x20, bytes: 4, access: 'ro', reset: SEGMENTS_MAX, means: 'entries of a scatter list, at most' },
} as const satisfies BarRegisterTable;

/** Queue q has its registers at `first + q * each`. */
export const QUEUE_BLOCK = { first: 0x100, each: 0x40 } as const;

export const QUEUE_REGISTERS = {
  command: {
    offset: 0x00,
    bytes: 4,
    access: 'wo',
    reset: 0,
    means: '1 start; 2 stop when the descriptor under way is done; 3 abort it: what is on the bus goes on, and no status is written',
  },
  state: { offset: 0x04, bytes: 4, access: 'ro', reset: 0, means: '0 stopped, 1 idle, 2 busy, 3 stopping, 4 failed' },
  ringBase: {
    offset: 0x08,
    bytes: 8,
    access: 'rw',
    reset: 0,
    writable: 0xffff_ffc0,
    means: 'IOVA of descriptor 0, a multiple of 64; not written while the queue runs',
  },
  ringEntries: {
    offset: 0x10,
    bytes: 4,
    access: 'rw',
    reset: 0,
    means: 'descriptors of the ring, 2 to 256; not written while the queue runs',
  },
  tail: {
    offset: 0x14,
    bytes: 4,
    access: 'rw',
    reset: 0,
    means: "doorbell: the first descriptor that is not the probe's; at most one ring less one is",
  },
  head: { offset: 0x18, bytes: 4, access: 'ro', reset: 0, means: 'the descriptor that is done next; start sets it to 0, and the tail too' },
  pasid: {
    offset: 0x1c,
    bytes: 4,
    access: 'rw',
    reset: 0,
    writable: 0x800f_ffff,
    means: 'bit 31: ring, scatter lists and data have the PASID in bits 19:0',
  },
  vector: {
    offset: 0x20,
    bytes: 4,
    access: 'rw',
    reset: 0,
    writable: 0x8000_07ff,
    means: 'bit 31: a descriptor that asks for it raises the vector in bits 10:0, and so does a queue that fails',
  },
  completed: {
    offset: 0x24,
    bytes: 4,
    access: 'ro',
    reset: 0,
    means: 'descriptors done since the last start, modulo 2^32; those that failed too',
  },
  failed: { offset: 0x28, bytes: 4, access: 'ro', reset: 0, means: 'of these the ones that failed' },
  error: {
    offset: 0x2c,
    bytes: 4,
    access: 'ro',
    reset: 0,
    means: 'why the queue has failed, or refused a write: error in bits 7:0, outcome in 15:8',
  },
} as const satisfies BarRegisterTable;

export const QUEUE_COMMAND = { start: 1, stop: 2, abort: 3 } as const;
export const QUEUE_STATE = { stopped: 0, idle: 1, busy: 2, stopping: 3, failed: 4 } as const;
/** Of the PASID and vector registers, and of a status. */
export const VALID = 0x8000_0000;

/** Bytes 0 to 31 are the driver's, 32 to 63 the probe's. */
export const DESCRIPTOR_BYTES = 64;
export const STATUS_OFFSET = 0x20;

interface Part {
  readonly offset: number;
  readonly bytes: 4 | 8;
  readonly means: string;
}

export const DESCRIPTOR = {
  control: { offset: 0x00, bytes: 4, means: 'operation in bits 7:0, flags above' },
  pasid: { offset: 0x04, bytes: 4, means: "with flag pasid: of its data, in place of the queue's" },
  address: { offset: 0x08, bytes: 8, means: 'IOVA of the data, or with flag scatter of the list' },
  length: { offset: 0x10, bytes: 4, means: 'bytes of the data, or with flag scatter entries of the list' },
  pattern: { offset: 0x14, bytes: 4, means: 'of a write: what its bytes are' },
  seed: { offset: 0x18, bytes: 4, means: 'of the pattern' },
  reserved: { offset: 0x1c, bytes: 4, means: 'zero' },
  status: {
    offset: 0x20,
    bytes: 4,
    means: 'by the probe, in one write with what follows: bit 31 done; outcome in bits 15:8, error in 7:0',
  },
  bytesDone: { offset: 0x24, bytes: 4, means: 'bytes that were moved, from the first on' },
  checksum: { offset: 0x28, bytes: 4, means: 'CRC-32 (IEEE 802.3) of these bytes' },
  sequence: { offset: 0x2c, bytes: 4, means: "the queue's completed register with this one" },
  failedAddress: { offset: 0x30, bytes: 8, means: 'IOVA of the first byte that was not moved; 0 where all were' },
} as const satisfies Readonly<Record<string, Part>>;

export const SEGMENT_BYTES = 16;
export const SEGMENT = {
  address: { offset: 0x00, bytes: 8, means: 'IOVA' },
  length: { offset: 0x08, bytes: 4, means: 'bytes' },
  reserved: { offset: 0x0c, bytes: 4, means: 'zero' },
} as const satisfies Readonly<Record<string, Part>>;

export const PROBE_OPERATION = { write: 1, read: 2 } as const;

export const FLAG = {
  translated: { bit: 8, means: 'by way of the ATC: translation requests, then translated requests' },
  pageRequests: { bit: 9, means: 'with translated: page requests for what is not granted' },
  pasid: { bit: 10, means: 'the descriptor has a PASID of its own' },
  interrupt: { bit: 11, means: "raises the queue's vector when its status is written" },
  scatter: { bit: 12, means: 'the data is where a list says' },
} as const;

export const PATTERNS = {
  fill: { value: 0, means: 'the seed, in every 4 bytes' },
  increment: { value: 1, means: 'the seed in the first 4 bytes, and 1 more in each 4 after' },
  random: { value: 2, means: 'draws of xoshiro128**, whose state are 4 draws of splitmix32 from the seed' },
} as const;

/** Errors of a descriptor, and from `ring-unreadable` on of a queue. */
export const PROBE_ERRORS = {
  none: { value: 0, means: 'all was done' },
  'invalid-operation': { value: 1, means: 'neither write nor read' },
  'invalid-flags': { value: 2, means: 'a flag that is none, page requests without translated, or a reserved word that is not zero' },
  'invalid-length': { value: 3, means: 'no bytes, or more than one descriptor moves' },
  'invalid-list': { value: 4, means: 'no entries or more than a list has, one without bytes, or a reserved word that is not zero' },
  'invalid-pattern': { value: 5, means: 'no such pattern' },
  'invalid-pasid': { value: 6, means: 'more than 20 bits' },
  'address-wraps': { value: 7, means: 'the data, or the list, goes beyond 64 bits' },
  'list-unreadable': { value: 8, means: 'the read of the scatter list ended as the outcome says' },
  'transfer-failed': { value: 9, means: 'the DMA of the data ended as the outcome says' },
  'ring-unreadable': { value: 10, means: 'the read of a descriptor ended as the outcome says; the queue has failed' },
  'status-unwritable': { value: 11, means: 'the write of a status ended as the outcome says; the queue has failed' },
  'invalid-ring': { value: 12, means: 'started with a ring of fewer than 2 or more than 256 descriptors, or one that goes beyond 64 bits' },
  'invalid-tail': { value: 13, means: 'a doorbell beyond the ring, which was ignored' },
  'invalid-command': { value: 14, means: 'no such command, or start of a queue that runs; it was ignored' },
} as const;

export type ProbeError = keyof typeof PROBE_ERRORS;
