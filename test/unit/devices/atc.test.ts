import { describe, expect, it } from 'vitest';
import { Atc } from '../../../server/src/core/devices/atc.ts';

const NONE = -1 as never;
const FIVE = 5 as never;
const SIX = 6 as never;
const READ = 1;
const WRITE = 2;

/** Low half of an entry for one page, as PCIe §10.2.3 has it: address, W, R. The pages here need no high half. */
function entry(page: number, access: number): number {
  return page * 0x1000 + access;
}
/** 2 MiB from 0x4000_0000 on: S, and bits 19:12 ones. */
const LARGE = 0x400f_f800;
const UNTRANSLATED_ONLY = 4;
const GLOBAL = 0x20;

function filled(): Atc {
  const atc = new Atc();
  atc.install(NONE, 0x10, [{ low: entry(0x100, READ | WRITE), high: 0 }]);
  atc.install(FIVE, 0x10, [{ low: entry(0x200, READ), high: 0 }]);
  atc.install(SIX, 0x999, [{ low: entry(0x300, READ), high: 0 }]);
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

  it('a large translation serves each of its pages, beside smaller ones', () => {
    const atc = new Atc();
    atc.install(NONE, 0x345, [{ low: LARGE | READ, high: 0 }]);
    expect([0x1ff, 0x200, 0x345, 0x3ff, 0x400].map((page) => atc.lookup(NONE, page, READ))).toEqual([-1, 0x4_0000, 0x4_0145, 0x4_01ff, -1]);
    atc.install(NONE, 0x345, [{ low: entry(0x999, READ | WRITE), high: 0 }]);
    expect([atc.lookup(NONE, 0x345, WRITE), atc.lookup(NONE, 0x346, READ), atc.entries]).toEqual([0x999, 0x4_0146, 2]);
  });

  it('an invalidation drops what overlaps: the large by one page of it, the small by the large range', () => {
    const atc = new Atc();
    atc.install(NONE, 0x345, [{ low: LARGE | READ, high: 0 }]);
    atc.install(NONE, 0x400, [{ low: entry(1, READ), high: 0 }]);
    expect(atc.invalidate(NONE, NONE, 0x3ff, 1)).toBe(1);
    expect([atc.lookup(NONE, 0x200, READ), atc.lookup(NONE, 0x400, READ)]).toEqual([-1, 1]);
    expect(atc.invalidate(NONE, NONE, 0x400, 512)).toBe(1);
    expect(atc.entries).toBe(0);
  });

  it('a Global translation serves every PASID, and none without; a request for any PASID drops it', () => {
    const atc = new Atc();
    atc.install(FIVE, 0x10, [{ low: entry(0x200, READ) | GLOBAL, high: 0 }]);
    atc.install(SIX, 0x10, [{ low: entry(0x300, READ | WRITE), high: 0 }]);
    expect([FIVE, SIX, NONE].map((id) => atc.lookup(id, 0x10, READ))).toEqual([0x200, 0x300, -1]);
    expect([atc.invalidate(SIX, NONE, 0x11, 1), atc.invalidate(SIX, NONE, 0x10, 1), atc.entries]).toEqual([0, 2, 0]);
    atc.install(FIVE, 0x10, [{ low: entry(0x200, READ) | GLOBAL, high: 0 }]);
    expect(atc.invalidate(NONE, NONE, 0x999, 1)).toBe(1);
    atc.install(FIVE, 0x10, [{ low: entry(0x200, READ) | GLOBAL, high: 0 }]);
    atc.clear();
    expect([atc.lookup(FIVE, 0x10, READ), atc.entries]).toEqual([-1, 0]);
  });

  it('keeps no address where only untranslated requests may go', () => {
    const atc = new Atc();
    atc.install(NONE, 0xfee00, [{ low: entry(0xfee00, WRITE) | UNTRANSLATED_ONLY, high: 0 }]);
    expect(atc.entries).toBe(0);
  });

  it('the oldest entry makes room', () => {
    const atc = new Atc();
    for (let page = 0; page <= 1024; page++) atc.install(NONE, page, [{ low: entry(page, READ), high: 0 }]);
    expect(atc.entries).toBe(1024);
    expect(atc.lookup(NONE, 0, READ)).toBe(-1);
    expect(atc.lookup(NONE, 1024, READ)).toBe(1024);
  });
});
