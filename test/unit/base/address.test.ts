import { describe, expect, it } from 'vitest';
import {
  bdf,
  bdfFromNumber,
  formatBdf,
  high32,
  join64,
  low32,
  pageHigh,
  pageLow,
  pageNumber,
  parseBdf,
  pasid,
  physicalAddress,
} from '../../../server/src/core/base/address.ts';

describe('places', () => {
  it.each([
    ['00:02.0', 0x0000_0010],
    ['03:00.0', 0x0000_0300],
    ['7f:1f.7', 0x0000_7fff],
    ['ffff:ff:1f.7', 0xffff_ffff],
  ])('%s is %i and back', (text, packed) => {
    expect(parseBdf(text)).toBe(packed);
    expect(formatBdf(bdfFromNumber(packed))).toBe(text);
  });

  it.each(['', '2', '00:20.0', '00:02.8', '0:02.0', '00:02.0 ', '10000:00:02.0', 'xx:02.0'])('"%s" is none', (text) => {
    expect(parseBdf(text)).toBeUndefined();
  });

  it('a part out of range is EINVAL naming it', () => {
    expect(() => bdf(0, 256, 0, 0)).toThrow(/bus 256/);
    expect(() => bdf(0, 0, 32, 0)).toThrow(/device 32/);
  });
});

describe('64-bit values are exact', () => {
  it.each([0n, 1n, 0xfff_ffff_ffffn, 0x8000_0000_0000_0000n, 0xffff_ffff_ffff_ffffn, 0x0020_0000_0000_0001n])('%x', (value) => {
    const [low, high] = [low32(value), high32(value)];
    expect(join64(low, high)).toBe(value);
    expect(BigInt(pageNumber(pageLow(low, high), pageHigh(high)))).toBe(value >> 12n);
  });

  it('a number that is no safe integer, a negative one, and one too wide are EINVAL', () => {
    expect(() => physicalAddress(2 ** 53)).toThrow(/not a safe integer/);
    expect(() => physicalAddress(-1)).toThrow(/does not fit 64 bits/);
    expect(() => physicalAddress(1n << 56n)).toThrow(/wider than 56 bits/);
    expect(physicalAddress((1n << 56n) - 1n)).toBe((1n << 56n) - 1n);
    expect(() => pasid(1 << 20)).toThrow(/20-bit/);
    expect(pasid((1 << 20) - 1)).toBe((1 << 20) - 1);
  });
});
