import { expect, it } from 'vitest';
import { bytesOf, valueReply } from '../../../../server/src/core/machine/bus/ram-value.ts';

it('is little-endian, and zero beyond what was read', () => {
  expect(valueReply(Uint8Array.of(0xff))).toEqual({ kind: 'region-read', valueLow: 0xff, valueHigh: 0 });
  expect(valueReply(Uint8Array.of(1, 2, 3, 0x84))).toEqual({ kind: 'region-read', valueLow: 0x8403_0201, valueHigh: 0 });
  expect(valueReply(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))).toEqual({ kind: 'region-read', valueLow: 0x0403_0201, valueHigh: 0x0807_0605 });
});

it('drops what is beyond the width of a write', () => {
  expect(bytesOf(2, 0x1234_5678, -1)).toEqual(Uint8Array.of(0x78, 0x56));
  expect(bytesOf(8, -1, 0x0102_0304)).toEqual(Uint8Array.of(255, 255, 255, 255, 4, 3, 2, 1));
});
