import { expect, it } from 'vitest';
import { atomicFields } from '../../../../client/src/atomic.ts';

it('operands are little-endian, of eight bytes where none are said, and negative ones their complement of two', () => {
  expect(atomicFields({ fetchAdd: -2 })).toEqual({
    operation: 'fetch-add',
    bytes: 8,
    data: Uint8Array.of(0xfe, 255, 255, 255, 255, 255, 255, 255),
  });
  expect(atomicFields({ bytes: 4, swap: 0x1_0203_0405n })).toEqual({ operation: 'swap', bytes: 4, data: Uint8Array.of(5, 4, 3, 2) });
});

it('a compare-and-swap has what it compares, and then what it writes', () => {
  expect(atomicFields({ bytes: 4, swap: 2, compare: 1 })).toEqual({
    operation: 'compare-and-swap',
    bytes: 4,
    data: Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0),
  });
  expect(atomicFields({ bytes: 16, swap: 0, compare: 1n << 127n }).data).toHaveLength(32);
});

it('a number that lost digits is refused', () => {
  expect(() => atomicFields({ swap: 2 ** 60 })).toThrow(expect.objectContaining({ code: 'EINVAL' }));
});
