import { expect, it } from 'vitest';
import { bytesOf, descriptorsIn, joined, runsOf } from '../../../../../client/examples/ring-nic/descriptors.ts';

it('a descriptor is sixteen bytes, little-endian', () => {
  const one = { address: 0x0123_4567_89ab_cdefn, bytes: 0x0102_0304, flags: 3, status: 2, tag: 0xbeef };
  const data = bytesOf([one, { ...one, address: 0n }]);
  expect(Buffer.from(data.subarray(0, 16)).toString('hex')).toBe('efcdab896745230104030201' + '0302' + 'efbe');
  expect(descriptorsIn(data)).toEqual([one, { ...one, address: 0n }]);
  // A part of something larger is read where it is.
  expect(descriptorsIn(data.subarray(16))).toEqual([{ ...one, address: 0n }]);
});

it('places of a ring are one run, or two where it wraps', () => {
  expect(runsOf(8, 2, 3)).toEqual([{ from: 2, count: 3 }]);
  expect(runsOf(8, 6, 4)).toEqual([
    { from: 6, count: 2 },
    { from: 0, count: 2 },
  ]);
  expect([runsOf(8, 4, 4), runsOf(8, 3, 0)]).toEqual([[{ from: 4, count: 4 }], []]);
});

it('pieces make a packet, and what is not there is nothing', () => {
  expect(joined([Uint8Array.of(1, 2), undefined, Uint8Array.of(3)])).toEqual(Uint8Array.of(1, 2, 3));
});
