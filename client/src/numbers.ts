/**
 * The way of numbers into the contract and back. Addresses and counts may be given as a bigint or as a number that is a safe integer; any
 * other is `EINVAL` naming the argument, because a rounded address is a wrong address.
 */
import { u64ToBigint, u64ToNumber, type U64 } from '../../proto/index.ts';
import { invalid } from './errors.ts';

const WORD = 0x1_0000_0000;
const NS_OF_MS = 1_000_000;

/** 64 bits unsigned. */
export function u64(value: bigint | number, about: string): U64 {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw invalid(about, `${value} is not a safe integer; pass a bigint`);
    if (value < 0) throw invalid(about, `${value} is negative`);
    return { low: value | 0, high: (value / WORD) | 0 };
  }
  if (typeof value !== 'bigint') throw invalid(about, `${String(value)} is neither a bigint nor a number`);
  if (value < 0n || value >> 64n !== 0n) throw invalid(about, `${value} does not fit 64 bits`);
  return { low: Number(BigInt.asIntN(32, value)), high: Number(BigInt.asIntN(32, value >> 32n)) };
}

/** 32 bits unsigned. */
export function u32(value: number, about: string): number {
  if (typeof value !== 'number' || value >>> 0 !== value) throw invalid(about, `${String(value)} is not an unsigned 32-bit integer`);
  return value;
}

/** Milliseconds, fractions allowed, as whole nanoseconds. */
export function nsOfMs(ms: number, about: string): U64 {
  const ns = Math.round(ms * NS_OF_MS);
  if (!Number.isSafeInteger(ns) || ns < 0)
    throw invalid(about, `${ms} ms is not from 0 to ${Math.floor(Number.MAX_SAFE_INTEGER / NS_OF_MS)}`);
  return u64(ns, about);
}

export function msOfNs(ns: number): number {
  return ns / NS_OF_MS;
}

export function bigintOf(value: U64): bigint {
  return u64ToBigint(value);
}

/** For values that the contract keeps below 2^53: times, counts. One that is not is shown as infinite rather than rounded. */
export function numberOf(value: U64): number {
  return u64ToNumber(value) ?? Infinity;
}

/** The low 32 bits unsigned: a register of 1, 2 or 4 bytes. */
export function registerOf(value: U64): number {
  return value.low >>> 0;
}

/** `0x1f000`. */
export function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}
