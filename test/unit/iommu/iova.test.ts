import { describe, expect, it } from 'vitest';
import { IovaSpace } from '../../../server/src/core/iommu/iova.ts';

const END = 2 ** 35;

describe('I/O virtual addresses', () => {
  it('go from the top down, each aligned to its size', () => {
    const space = new IovaSpace(END);
    expect(space.alloc(1, 0x10_0000)).toBe(0xf_ffff);
    expect(space.alloc(64, 0x10_0000)).toBe(0xf_ff80);
    expect(space.alloc(1, 0x10_0000)).toBe(0xf_fffe);
    expect(space.alloc(33, 0x10_0000)).toBe(0xf_ffc0);
    expect(space.alloc(33, 0x10_0000)).toBe(0xf_ff40);
    expect(space.alloc(1, Infinity)).toBe(END - 1);
  });

  it('of less than 32 pages take a power of two, of more what they are', () => {
    const space = new IovaSpace(0x100);
    expect([space.alloc(3, 0x100), space.alloc(1, 0x100)]).toEqual([0xfc, 0xfb]);
    const large = new IovaSpace(0x100);
    expect([large.alloc(33, 0x100), large.alloc(1, 0x100), large.alloc(30, 0xe1)]).toEqual([0xc0, 0xff, 0xa0]);
    // Behind the 33 pages at 0xc0 there is room from 0xe1 on.
    expect(large.alloc(8, 0xf0)).toBe(0xe8);
  });

  it('never have page 0, nor what is reserved, nor what is beyond the end', () => {
    const space = new IovaSpace(8);
    space.reserve(3, 5);
    space.reserve(7, 100);
    space.reserve(0, 0);
    expect([1, 2, 3, 4].map(() => space.alloc(1, Infinity))).toEqual([6, 5, 2, 1]);
    expect(space.alloc(1, Infinity)).toBeUndefined();
  });

  it('reserved twice, or over what is taken, are out once', () => {
    const space = new IovaSpace(8);
    expect(space.alloc(1, Infinity)).toBe(7);
    space.reserve(6, 8);
    space.reserve(5, 7);
    space.release(7);
    expect([1, 2].map(() => space.alloc(1, Infinity))).toEqual([7, 4]);
  });

  it('that are given back join what is free round them', () => {
    const space = new IovaSpace(9);
    const pages = [1, 2, 3, 4, 5, 6, 7, 8].map(() => space.alloc(1, Infinity)!);
    for (const page of [4, 6, 5, 7]) space.release(page);
    expect(space.alloc(4, Infinity)).toBe(4);
    expect(space.areas).toBe(5);
    for (const page of pages) space.release(page);
    expect(space.alloc(8, Infinity)).toBeUndefined();
    space.release(4);
    expect(space.areas).toBe(0);
    expect([space.alloc(1, 8), space.alloc(4, 8)]).toEqual([7, undefined]);
  });

  it('leave only as a whole, and once', () => {
    const space = new IovaSpace(64);
    const page = space.alloc(2, Infinity)!;
    expect([space.leave(page, 1), space.leave(page + 1, 1), space.leave(page, 2), space.leave(page, 2)]).toEqual([
      false,
      false,
      true,
      false,
    ]);
    space.stay(page);
    expect(space.leave(page, 2)).toBe(true);
    expect(space.areas).toBe(1);
  });
});
