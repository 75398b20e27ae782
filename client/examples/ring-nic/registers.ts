/** The card's registers, interrupts, errors and descriptors: what its device, its driver and, by `node test/tidy/register-pages.mjs`, `docs/ring-nic.md` are made from. */

interface Register {
  readonly offset: number;
  /** All are accessed whole. */
  readonly bytes: 4;
  /** `rw1c`: a bit that is written as 1 becomes 0. */
  readonly access: 'ro' | 'rw' | 'rw1c';
  readonly reset: number;
  /** Of `rw` and `rw1c`: the bits that are. Absent: all. */
  readonly bits?: number;
  readonly means: string;
}
interface Part {
  readonly offset: number;
  readonly bytes: number;
  readonly means: string;
}

const register = (
  offset: number,
  access: Register['access'],
  means: string,
  more: { readonly reset?: number; readonly bits?: number } = {},
) => ({ offset, bytes: 4, access, reset: 0, means, ...more }) satisfies Register;

export const NIC_IDENTIFICATION = 0x5249_4e47;
export const CAUSES = 0xf;

export const NIC_REGISTERS = {
  identification: register(0x000, 'ro', 'the letters RING', { reset: NIC_IDENTIFICATION }),
  version: register(0x004, 'ro', 'major in bits 31:16, minor in 15:0', { reset: 0x1_0000 }),
  control: register(0x008, 'rw', 'bit 0: written 1 resets the card; reads 1 until what it had in flight has ended', { bits: 1 }),
  status: register(0x00c, 'ro', 'bit 0: the link is up; bits 1 and 2: the transmit and the receive ring are at work'),
  macLow: register(0x010, 'ro', "the first four bytes of the card's address, the first in bits 7:0; after a reset too"),
  macHigh: register(0x014, 'ro', 'its last two bytes'),
  cause: register(0x020, 'rw1c', 'what has happened: bit 0 packets were sent, 1 received, 2 the link came or went, 3 a ring has stopped', {
    bits: CAUSES,
  }),
  enable: register(0x024, 'rw', 'which causes interrupt', { bits: CAUSES }),
  autoClear: register(0x028, 'rw', 'which causes are cleared when their interrupt is sent', { bits: CAUSES }),
  moderation: register(0x02c, 'rw', 'microseconds, by the clock of the machine, for which a vector is silent after an interrupt', {
    bits: 0xffff,
  }),
  errorCode: register(0x030, 'ro', 'why a ring has stopped: the first time since bit 3 of `cause` was cleared'),
  errorRing: register(0x034, 'ro', 'which one: 0 transmit, 1 receive'),
  errorIndex: register(0x038, 'ro', 'at which descriptor'),
  errorLow: register(0x040, 'ro', 'the address that failed, bits 31:0'),
  errorHigh: register(0x044, 'ro', 'bits 63:32'),
  txPackets: register(0x200, 'ro', 'packets that went out'),
  txBytes: register(0x204, 'ro', 'their bytes, modulo 2^32'),
  rxPackets: register(0x208, 'ro', 'packets that are in memory'),
  rxBytes: register(0x20c, 'ro', 'their bytes, modulo 2^32'),
  rxDropped: register(0x210, 'ro', 'packets that came and found no descriptors, or the ring off'),
} as const satisfies Record<string, Register>;

/** Where a ring has its registers. */
export const RING_BLOCKS = { tx: 0x100, rx: 0x140 } as const;
export const RING_REGISTERS = {
  baseLow: register(0x00, 'rw', 'address of the ring, bits 31:4; not written while it is on', { bits: 0xffff_fff0 }),
  baseHigh: register(0x04, 'rw', 'bits 63:32; not written while it is on'),
  length: register(0x08, 'rw', 'descriptors, 2 to 4096; not written while it is on', { bits: 0xffff }),
  head: register(0x0c, 'ro', 'the first descriptor that is not finished'),
  tail: register(0x10, 'rw', 'the doorbell: the first descriptor that is not for the card; not written while the ring is off', {
    bits: 0xffff,
  }),
  control: register(0x14, 'rw', 'bit 0: on; head and tail are 0 then. Not written to 1 while the ring is at work', { bits: 1 }),
} as const satisfies Record<string, Register>;

export type RingName = keyof typeof RING_BLOCKS;
export type RegisterName = keyof typeof NIC_REGISTERS;
export type RingRegisterName = keyof typeof RING_REGISTERS;

export const RESET = 1;
export const RING_ON = 1;
export const RING_LENGTH = { least: 2, most: 4096 } as const;
export const STATUS = { link: 1, tx: 2, rx: 4 } as const;
export const CAUSE = { tx: 1, rx: 2, link: 4, error: 8 } as const;
/** MSI-X, each with its causes. */
export const VECTORS = [CAUSE.tx, CAUSE.rx, CAUSE.link | CAUSE.error] as const;

export const NIC_ERRORS = {
  fault: { value: 1, means: 'the IOMMU did not let the access through; its fault record says why' },
  memory: { value: 2, means: 'memory did not give or take the bytes, or not in time' },
  lost: { value: 3, means: 'the access was dropped: Bus Master Enable is clear, or a reset window was opened' },
  descriptor: {
    value: 4,
    means: 'a descriptor that cannot be: of no bytes, beyond the last address, or of a packet of too many bytes or descriptors',
  },
  ring: { value: 5, means: 'a length, a tail or an address of a ring that cannot be' },
} as const satisfies Record<string, { readonly value: number; readonly means: string }>;
export type NicError = keyof typeof NIC_ERRORS;

export const DESCRIPTOR_BYTES = 16;
export const DESCRIPTOR = {
  address: { offset: 0, bytes: 8, means: 'where the bytes are, or go to' },
  bytes: { offset: 8, bytes: 4, means: 'to send; of the receive ring how many fit, and when it is done how many came' },
  flags: {
    offset: 12,
    bytes: 1,
    means: 'of the transmit ring: bit 0, the packet ends here; bit 1, raise bit 0 of `cause` when this is done',
  },
  status: { offset: 13, bytes: 1, means: 'written by the card: bit 0, done; bit 1, the packet ends here' },
  tag: { offset: 14, bytes: 2, means: "the driver's own" },
} as const satisfies Record<string, Part>;
export const FLAG = { end: 1, interrupt: 2 } as const;
export const DONE = { done: 1, end: 2 } as const;

/** Descriptors of one packet, at most; and its bytes. */
export const PIECES_MAX = 32;
export const PACKET_BYTES_MAX = 16 * 1024;
