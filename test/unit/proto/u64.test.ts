import { describe, expect, it } from 'vitest';
import { s64FromNumber, s64ToNumber, u64FromBigint, u64FromNumber, u64ToBigint, u64ToNumber } from '../../../proto/u64.ts';

const SAFE = 2 ** 53 - 1;

describe('64-bit values', () => {
  it.each([
    [0, 0, 0],
    [1, 1, 0],
    [0xffff_ffff, -1, 0],
    [0x1_0000_0000, 0, 1],
    [SAFE, -1, 0x1f_ffff],
  ])('%d is the halves %d and %d', (value, low, high) => {
    expect(u64FromNumber(value)).toEqual({ low, high });
    expect(u64ToNumber({ low, high })).toBe(value);
    expect(u64FromBigint(BigInt(value))).toEqual({ low, high });
    expect(u64ToBigint({ low, high })).toBe(BigInt(value));
    expect(s64FromNumber(value)).toEqual({ low, high });
    expect(s64ToNumber({ low, high })).toBe(value);
  });

  it.each([
    [-1, -1, -1],
    [-0x1_0000_0000, 0, -1],
    [-SAFE, 1, -0x20_0000],
  ])('%d is two halves of two’s complement', (value, low, high) => {
    expect(s64FromNumber(value)).toEqual({ low, high });
    expect(s64ToNumber({ low, high })).toBe(value);
  });

  it('keeps all 64 bits of a bigint', () => {
    for (const value of [0xffff_8000_0000_1000n, 2n ** 64n - 1n, 2n ** 53n + 1n]) expect(u64ToBigint(u64FromBigint(value))).toBe(value);
  });

  it('never rounds: a number beyond 2^53 is no number', () => {
    expect(u64ToNumber({ low: 0, high: 0x20_0000 })).toBeUndefined();
    expect(s64ToNumber({ low: 0, high: -0x20_0001 })).toBeUndefined();
    expect(() => u64FromNumber(2 ** 53)).toThrow(RangeError);
    expect(() => u64FromNumber(-1)).toThrow(RangeError);
    expect(() => u64FromNumber(0.5)).toThrow(RangeError);
    expect(() => s64FromNumber(0.5)).toThrow(RangeError);
    expect(() => u64FromBigint(2n ** 64n)).toThrow(RangeError);
    expect(() => u64FromBigint(-1n)).toThrow(RangeError);
  });
});
