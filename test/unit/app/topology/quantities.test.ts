import { describe, expect, it } from 'vitest';
import { formatDurationNs, formatSize, readAddress, readDurationNs, readSize } from '../../../../server/src/app/topology/quantities.ts';

describe('readAddress', () => {
  it.each([
    ['0x0', 0n],
    ['4096', 4096n],
    ['0xFFFFFFFFFFFFFFFF', 0xffff_ffff_ffff_ffffn],
    ['18446744073709551615', 0xffff_ffff_ffff_ffffn],
  ])('reads %s', (text, value) => expect(readAddress(text)).toBe(value));

  it.each(['', '0x', '-1', '1.5', '0x1ffffffffffffffff', '18446744073709551616', 'abc', ' 1', '1e3'])('does not read "%s"', (text) => {
    expect(readAddress(text)).toBeUndefined();
  });
});

describe('readSize', () => {
  it.each([
    ['1GiB', 1n << 30n],
    ['64 KiB', 65536n],
    ['3TiB', 3n << 40n],
    ['512B', 512n],
    ['0x1000', 4096n],
    ['4096', 4096n],
  ])('reads %s', (text, value) => expect(readSize(text)).toBe(value));

  it.each(['1GB', '1G', 'GiB', '1.5GiB', '-1GiB', '99999999999999TiB', '1gib'])('does not read "%s"', (text) => {
    expect(readSize(text)).toBeUndefined();
  });

  it('is what formatSize prints', () => {
    for (const bytes of [1n << 12n, 3n << 20n, 1n << 30n, 5n << 40n]) expect(readSize(formatSize(bytes))).toBe(bytes);
    expect(formatSize(0x1001n)).toBe('0x1001 bytes');
  });
});

describe('readDurationNs', () => {
  it.each([
    ['60s', 60_000_000_000],
    ['1.5ms', 1_500_000],
    ['250ns', 250],
    ['2 us', 2000],
    ['1min', 60_000_000_000],
    ['0s', 0],
    ['0.000000001s', 1],
    ['100.000000003s', 100_000_000_003],
  ])('reads %s', (text, value) => expect(readDurationNs(text)).toBe(value));

  it.each(['', '60', 's', '1.5ns', '-1s', '1h', '9007199254741s', '1e3s', '1.s'])('does not read "%s"', (text) => {
    expect(readDurationNs(text)).toBeUndefined();
  });

  it('is what formatDurationNs prints', () => {
    for (const ns of [0, 1, 999, 2000, 1_500_000, 60_000_000_000]) expect(readDurationNs(formatDurationNs(ns))).toBe(ns);
  });
});
