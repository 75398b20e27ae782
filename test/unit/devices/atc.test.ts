import { describe, expect, it } from 'vitest';
import { Atc } from '../../../server/src/core/devices/atc.ts';

const NONE = -1 as never;
const FIVE = 5 as never;
const SIX = 6 as never;
const READ = 1;
const WRITE = 2;

function filled(): Atc {
  const atc = new Atc();
  atc.install(NONE, 0x10, 0x100, READ | WRITE);
  atc.install(FIVE, 0x10, 0x200, READ);
  atc.install(SIX, 0x999, 0x300, READ);
  return atc;
}

describe('ATC', () => {
  it('is keyed by PASID and page, and gives no right that was not granted', () => {
    const atc = filled();
    expect(atc.lookup(NONE, 0x10, WRITE)).toBe(0x100);
    expect(atc.lookup(FIVE, 0x10, READ)).toBe(0x200);
    expect(atc.lookup(FIVE, 0x10, WRITE)).toBe(-1);
    expect(atc.lookup(SIX, 0x10, READ)).toBe(-1);
  });

  it('an invalidation with a PASID touches only that one', () => {
    const atc = filled();
    expect(atc.invalidate(FIVE, NONE, 0x10, 1)).toBe(1);
    expect([atc.lookup(NONE, 0x10, READ), atc.lookup(FIVE, 0x10, READ)]).toEqual([0x100, -1]);
  });

  it('one without a PASID drops its range, and everything that was made with any PASID', () => {
    const atc = filled();
    expect(atc.invalidate(NONE, NONE, 0x50, 1)).toBe(2);
    expect(atc.lookup(NONE, 0x10, READ)).toBe(0x100);
    expect(atc.lookup(SIX, 0x999, READ)).toBe(-1);
    expect(atc.invalidate(NONE, NONE, 0, Infinity)).toBe(1);
    expect(atc.entries).toBe(0);
  });

  it('the oldest entry makes room', () => {
    const atc = new Atc();
    for (let page = 0; page <= 1024; page++) atc.install(NONE, page, page, READ);
    expect(atc.entries).toBe(1024);
    expect(atc.lookup(NONE, 0, READ)).toBe(-1);
    expect(atc.lookup(NONE, 1024, READ)).toBe(1024);
  });
});
