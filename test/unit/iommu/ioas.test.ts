import { describe, expect, it } from 'vitest';
import { AREAS_MAX, Ioas, type Constraints } from '../../../server/src/core/iommu/ioas.ts';

const OK = 0;
const [ENOENT, EBUSY, EEXIST, EINVAL, EOVERFLOW, EADDRINUSE] = [-2, -16, -17, -22, -75, -98];
const LAST = 2n ** 64n - 1n;
const PAGE = 0x1000n;
const FREE: Constraints = { reserved: [], alignment: 1n };

function area(first: bigint, bytes: bigint, address = first) {
  return { first, last: first + bytes - 1n, address, access: 3, writable: true, leaving: false };
}
function filled(...areas: readonly (readonly [bigint, bigint])[]): Ioas {
  const ioas = new Ioas(1);
  for (const [first, bytes] of areas) ioas.insert(area(first, bytes));
  return ioas;
}

describe('an area at an address', () => {
  it.each([
    ['beside another', 0x3000n, PAGE, FREE, OK],
    ['over another', 0x1000n, 0x2000n, FREE, EEXIST],
    ['in another', 0x2800n, 1n, FREE, EEXIST],
    ['at the last byte', LAST, 1n, FREE, OK],
    ['beyond 64 bits', LAST, 2n, FREE, EOVERFLOW],
    ['misaligned', 0x3001n, PAGE, { reserved: [], alignment: PAGE }, EINVAL],
    ['of no whole pages', 0x3000n, 0x800n, { reserved: [], alignment: PAGE }, EINVAL],
    ['that meets what is reserved', 0x3000n, 0x2000n, { reserved: [{ first: 0x4fffn, last: 0x5000n }], alignment: 1n }, EINVAL],
    ['up to what is reserved', 0x3000n, 0x2000n, { reserved: [{ first: 0x5000n, last: 0x5000n }], alignment: 1n }, OK],
  ])('%s', (_what, iova, bytes, constraints, answer) => {
    expect(filled([0x2000n, PAGE]).check(iova, bytes, constraints)).toBe(answer);
  });
});

describe('an address that is chosen', () => {
  it('is the lowest with room, and not page 0', () => {
    expect(new Ioas(1).place(PAGE, 0n, FREE)).toBe(PAGE);
    expect(filled([PAGE, PAGE]).place(PAGE, 0n, FREE)).toBe(0x2000n);
    expect(filled([0x2000n, PAGE]).place(0x2000n, 0n, FREE)).toBe(0x4000n);
  });

  it('is aligned as the memory is, up to the size', () => {
    const ioas = new Ioas(1);
    expect(ioas.place(0x20_0000n, 1n << 30n, FREE)).toBe(0x20_0000n);
    expect(ioas.place(0x20_0000n, 0x4000n, FREE)).toBe(0x4000n);
    expect(ioas.place(0x3000n, 1n << 30n, FREE)).toBe(0x4000n);
    expect(ioas.place(16n, 0x1_2340n, FREE)).toBe(0x1340n);
    expect(ioas.place(PAGE, 0x1000n, { reserved: [], alignment: 0x1_0000n })).toBe(0x1_0000n);
  });

  it('is where it is allowed, and not where it is reserved', () => {
    const ioas = filled([0x1_0000n, PAGE]);
    const constraints = { reserved: [{ first: 0x1_1000n, last: 0x1_1fffn }], alignment: PAGE };
    expect(ioas.allow([{ first: 0x1_0000n, last: 0x1_3fffn }], { ...constraints, reserved: [] })).toBe(OK);
    expect(ioas.place(PAGE, 0n, constraints)).toBe(0x1_2000n);
    expect(ioas.place(0x4000n, 0n, constraints)).toBeUndefined();
    expect(ioas.allow([], constraints)).toBe(OK);
    expect(ioas.place(0x4000n, 0n, constraints)).toBe(0x4000n);
  });

  it('is none where there is no room', () => {
    const everything = { reserved: [{ first: 0x2000n, last: LAST }], alignment: 1n };
    expect(new Ioas(1).place(PAGE, 0n, everything)).toBe(PAGE);
    expect(new Ioas(1).place(PAGE + 1n, 0n, everything)).toBeUndefined();
  });
});

describe('allowed ranges', () => {
  const range = (first: bigint, last: bigint) => ({ first, last });

  it.each([
    ['without length', [range(5n, 5n)], EINVAL],
    ['the wrong way round', [range(6n, 5n)], EINVAL],
    ['that overlap', [range(0n, 5n), range(5n, 9n)], EINVAL],
    ['that touch', [range(5n, 9n), range(0n, 4n)], OK],
    ['that meet what is reserved', [range(0n, 100n)], EADDRINUSE],
  ])('%s', (_what, ranges, answer) => {
    expect(new Ioas(1).allow(ranges, { reserved: [range(100n, 200n)], alignment: 1n })).toBe(answer);
  });

  it('that are refused leave those before', () => {
    const ioas = new Ioas(1);
    ioas.allow([range(0n, 50n)], FREE);
    ioas.allow([range(7n, 7n)], FREE);
    expect(ioas.allowed).toEqual([range(0n, 50n)]);
  });

  it('and areas keep a range from becoming reserved', () => {
    const ioas = filled([0x2000n, PAGE]);
    ioas.allow([range(0x8000n, 0x8fffn)], FREE);
    expect(ioas.mayReserve([range(0x3000n, 0x7fffn)])).toBe(OK);
    expect(ioas.mayReserve([range(0x9000n, 0x9fffn), range(0x2fffn, 0x2fffn)])).toBe(EADDRINUSE);
    expect(ioas.mayReserve([range(0x8fffn, 0x8fffn)])).toBe(EADDRINUSE);
  });
});

describe('unmap', () => {
  const within = (ioas: Ioas, first: bigint, last: bigint) => {
    const { areas, error } = ioas.within({ first, last });
    return [areas.map((one) => one.first), error];
  };

  it('takes whole areas, up to one that is not wholly in the range', () => {
    const ioas = filled([0x2000n, PAGE], [0x3000n, 0x2000n], [0x6000n, PAGE]);
    expect(within(ioas, 0n, LAST)).toEqual([[0x2000n, 0x3000n, 0x6000n], OK]);
    expect(within(ioas, 0x2000n, 0x4fffn)).toEqual([[0x2000n, 0x3000n], OK]);
    expect(within(ioas, 0x2000n, 0x4ffen)).toEqual([[0x2000n], ENOENT]);
    expect(within(ioas, 0x2001n, 0x6fffn)).toEqual([[], ENOENT]);
    expect(within(ioas, 0x5000n, 0x5fffn)).toEqual([[], ENOENT]);
  });

  it('stops at one that is on its way out', () => {
    const ioas = filled([0x2000n, PAGE], [0x3000n, PAGE]);
    ioas.areas[1]!.leaving = true;
    expect(within(ioas, 0x2000n, 0x3fffn)).toEqual([[0x2000n], EBUSY]);
    expect(ioas.check(0x3000n, 1n, FREE)).toBe(EEXIST);
    ioas.remove(new Set([ioas.areas[1]!]));
    expect(ioas.check(0x3000n, 1n, FREE)).toBe(OK);
  });
});

describe('what is copied', () => {
  it('is in pieces, one for each area, at the memory that they have', () => {
    const ioas = new Ioas(1);
    ioas.insert(area(0x2000n, 0x2000n, 0x10_0000n));
    ioas.insert(area(0x4000n, PAGE, 0x90_0000n));
    expect(ioas.covering({ first: 0x3000n, last: 0x43ffn })).toMatchObject([
      { first: 0x3000n, last: 0x3fffn, address: 0x10_1000n },
      { first: 0x4000n, last: 0x43ffn, address: 0x90_0000n },
    ]);
  });

  it('is nothing where there is a hole, before, between or behind', () => {
    const ioas = filled([0x2000n, PAGE], [0x4000n, PAGE]);
    for (const [first, last] of [
      [0x1000n, 0x2fffn],
      [0x2000n, 0x4fffn],
      [0x4000n, 0x5000n],
    ] as const) {
      expect(ioas.covering({ first, last })).toBeUndefined();
    }
    ioas.areas[0]!.leaving = true;
    expect(ioas.covering({ first: 0x2000n, last: 0x2fffn })).toBeUndefined();
  });
});

it('the most areas are more than a machine needs and fewer than it could not bear', () => {
  expect(AREAS_MAX).toBe(65_536);
});
