/**
 * Brands for numbers that must not meet, and the only place that converts between them.
 *
 * On the hot path an address is its page number as two int32 halves (`pageLow`, `pageHigh`) and an offset in the page;
 * it is never a bigint and never a rounded double. A physical page number (at most 44 bits) and a virtual one (at most
 * 52 bits) fit a double exactly, so tables keyed by page use a number.
 */
import { ModelError } from './model-error.ts';

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Physical address in the machine's memory map. At most 56 bits. */
export type PhysicalAddress = Brand<bigint, 'PhysicalAddress'>;
/** A function's place, packed: segment in bits 31:16, bus 15:8, device 7:3, function 2:0. Unsigned. */
export type Bdf = Brand<number, 'Bdf'>;
/** 20-bit process address space ID; {@link NO_PASID} for a request without one. */
export type Pasid = Brand<number, 'Pasid'>;

export const PAGE_LG2 = 12;
export const PAGE_BYTES = 4096;
/** Physical addresses are below this: the widest that a format here can name. */
export const PHYSICAL_BITS = 56;
export const PASID_MAX = (1 << 20) - 1;
export const NO_PASID = -1 as Pasid;

const WORD = 1n << 32n;
const U64 = 1n << 64n;

/** A physical address below 2^56. A number must be a safe integer; out of range is `EINVAL`. */
export function physicalAddress(value: bigint | number, field = 'address'): PhysicalAddress {
  const v = unsigned64(value, field);
  if (v >> BigInt(PHYSICAL_BITS) !== 0n) {
    throw new ModelError('EINVAL', `${field} ${hex(v)} is wider than ${PHYSICAL_BITS} bits`, field);
  }
  return v as PhysicalAddress;
}

/** A count of bytes or an address that must fit 64 bits unsigned; anything else is `EINVAL` naming `field`. */
function unsigned64(value: bigint | number, field: string): bigint {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new ModelError('EINVAL', `${field} ${value} is not a safe integer; pass a bigint`, field);
  }
  const v = BigInt(value);
  if (v < 0n || v >= U64) throw new ModelError('EINVAL', `${field} ${v} does not fit 64 bits`, field);
  return v;
}

export function pasid(value: number, field = 'pasid'): Pasid {
  if (!Number.isInteger(value) || value < 0 || value > PASID_MAX) {
    throw new ModelError('EINVAL', `${field} ${value} is not a 20-bit PASID`, field);
  }
  return value as Pasid;
}

/** Packs a place. Each part out of range is `EINVAL`. */
export function bdf(segment: number, bus: number, device: number, fn: number): Bdf {
  if (!inRange(segment, 0xffff) || !inRange(bus, 0xff) || !inRange(device, 0x1f) || !inRange(fn, 7)) {
    throw new ModelError('EINVAL', `no such place: segment ${segment} bus ${bus} device ${device} function ${fn}`, 'function');
  }
  return (((segment << 16) | (bus << 8) | (device << 3) | fn) >>> 0) as Bdf;
}

/** The place that an unsigned 32-bit number packs; every such number is a place. */
export function bdfFromNumber(packed: number): Bdf {
  return (packed >>> 0) as Bdf;
}

const BDF_TEXT = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/i;

/** Reads `00:02.0` or `0000:00:02.0`; returns undefined for anything else. */
export function parseBdf(text: string): Bdf | undefined {
  const m = BDF_TEXT.exec(text);
  if (m === null) return undefined;
  const segment = Number.parseInt(m[1] ?? '0', 16);
  if (segment > 0xffff) return undefined;
  return bdf(segment, hexPart(m[2]), hexPart(m[3]), hexPart(m[4]));
}

/** `00:02.0`, or with the segment in front when it is not zero. */
export function formatBdf(at: Bdf): string {
  const short = `${hexDigits(busOf(at), 2)}:${hexDigits(deviceOf(at), 2)}.${functionOf(at)}`;
  const segment = segmentOf(at);
  return segment === 0 ? short : `${hexDigits(segment, 4)}:${short}`;
}

export function segmentOf(at: Bdf): number {
  return at >>> 16;
}
export function busOf(at: Bdf): number {
  return (at >>> 8) & 0xff;
}
export function deviceOf(at: Bdf): number {
  return (at >>> 3) & 0x1f;
}
export function functionOf(at: Bdf): number {
  return at & 7;
}

/** Low int32 half of a 64-bit value. */
export function low32(value: bigint): number {
  return Number(BigInt.asIntN(32, value));
}
/** High int32 half of a 64-bit value. */
export function high32(value: bigint): number {
  return Number(BigInt.asIntN(32, value >> 32n));
}
/** High halves of numbers that a double has exactly. */
const SAFE_HIGH_END = 1 << 21;
/** The unsigned 64-bit value of two int32 halves. */
export function join64(low: number, high: number): bigint {
  // Below 2^53 one conversion does.
  if (high >>> 0 < SAFE_HIGH_END) return BigInt((high >>> 0) * 0x1_0000_0000 + (low >>> 0));
  return BigInt(high >>> 0) * WORD + BigInt(low >>> 0);
}

/** Low int32 half of the page number of the address with these halves. */
export function pageLow(low: number, high: number): number {
  return (low >>> PAGE_LG2) | (high << (32 - PAGE_LG2));
}
/** High half (20 bits) of the page number of the address with this high half. */
export function pageHigh(high: number): number {
  return high >>> PAGE_LG2;
}
/** Page number (at most 52 bits) as an exact double. */
export function pageNumber(low: number, high: number): number {
  return (high >>> 0) * 0x1_0000_0000 + (low >>> 0);
}
/** Page number of a physical address or an IOVA, as an exact double. */
export function pageOf(address: bigint): number {
  return Number(address >> BigInt(PAGE_LG2));
}
/** The address at which a page starts. */
export function addressOfPage(page: number): bigint {
  return BigInt(page) << BigInt(PAGE_LG2);
}

/** A page number with its lowest bits cleared. */
export function alignedDown(page: number, bits: number): number {
  return Math.floor(page / 2 ** bits) * 2 ** bits;
}

/** `0x1f000`, the way this project prints addresses. */
export function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}
export function hexDigits(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

function inRange(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}
function hexPart(text: string | undefined): number {
  return Number.parseInt(text ?? '', 16);
}
