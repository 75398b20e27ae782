/**
 * A 64-bit value of the wire as two int32 halves: what the generated code reads and writes, so no value is ever rounded.
 * A bigint must not reach the generated code (it becomes 0 there without a word); these functions are the way across.
 */
export interface U64 {
  readonly low: number;
  readonly high: number;
}

const WORD = 0x1_0000_0000;

/** From a whole number from 0 to 2^53 - 1; throws RangeError for another. */
export function u64FromNumber(value: number): U64 {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not a safe unsigned integer`);
  return { low: value | 0, high: (value / WORD) | 0 };
}

/** From a whole number from -(2^53 - 1) to 2^53 - 1, as two's complement; throws RangeError for another. */
export function s64FromNumber(value: number): U64 {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not a safe integer`);
  return { low: value | 0, high: Math.floor(value / WORD) | 0 };
}

/** From 0n to 2^64 - 1n; throws RangeError for another. */
export function u64FromBigint(value: bigint): U64 {
  if (value < 0n || value >> 64n !== 0n) throw new RangeError(`${value} does not fit 64 bits`);
  return { low: Number(BigInt.asIntN(32, value)), high: Number(BigInt.asIntN(32, value >> 32n)) };
}

/** The exact number, or undefined when it is above 2^53 - 1. */
export function u64ToNumber(value: U64): number | undefined {
  const high = value.high >>> 0;
  return high > 0x1f_ffff ? undefined : high * WORD + (value.low >>> 0);
}

/** Of a two's-complement value: the exact number, or undefined when it is outside ±(2^53 - 1). */
export function s64ToNumber(value: U64): number | undefined {
  const exact = value.high * WORD + (value.low >>> 0);
  return Number.isSafeInteger(exact) ? exact : undefined;
}

export function u64ToBigint(value: U64): bigint {
  return (BigInt(value.high >>> 0) << 32n) | BigInt(value.low >>> 0);
}
