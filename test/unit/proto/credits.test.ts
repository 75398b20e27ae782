import { describe, expect, it } from 'vitest';
import { CreditPool, creditClass, replyBytes } from '../../../proto/credits.ts';
import { BODY } from '../../../proto/gen/bodies.ts';

const CONTROL = 1;
const ACCESS = 2;
const DMA = 3;
const MEMORY = 4;
const MIB = 1 << 20;

function takeAll(pool: CreditPool, at: number, bytes = 0): number {
  let count = 0;
  while (count < 10_000 && pool.take(at, bytes)) count++;
  return count;
}

describe('credits', () => {
  it('are by class: access, dma, memory, and control for everything else', () => {
    expect([BODY.regionRead, BODY.regionWrite, BODY.busRead, BODY.busWrite].map(creditClass)).toEqual([ACCESS, ACCESS, ACCESS, ACCESS]);
    expect([BODY.dmaRead, BODY.dmaWrite, BODY.dmaAtomic, BODY.modelDma].map(creditClass)).toEqual([DMA, DMA, DMA, DMA]);
    expect([BODY.memoryRead, BODY.memoryWrite, BODY.memoryFence].map(creditClass)).toEqual([MEMORY, MEMORY, MEMORY]);
    expect([BODY.hello, BODY.resetPrepare, BODY.dmaMap, BODY.memoryClaim, 4000].map(creditClass)).toEqual([1, 1, 1, 1, 1]);
  });

  it('have the defaults of the limits page when nothing was granted', () => {
    expect(takeAll(new CreditPool(), CONTROL)).toBe(64);
    expect(takeAll(new CreditPool(), ACCESS)).toBe(1024);
    expect(takeAll(new CreditPool(), DMA)).toBe(256);
    expect(takeAll(new CreditPool(), DMA, MIB)).toBe(8);
    expect(takeAll(new CreditPool(), MEMORY)).toBe(256);
    expect(takeAll(new CreditPool(), MEMORY, MIB)).toBe(8);
  });

  it('are what Hello grants, class by class; unknown classes are ignored', () => {
    const pool = new CreditPool([
      { class: MEMORY, calls: 2, replyBytes: 100 },
      { class: 99 as number, calls: 5 },
    ]);
    expect(takeAll(pool, MEMORY)).toBe(2);
    expect(takeAll(pool, ACCESS)).toBe(1024);
  });

  it('come back one call at a time', () => {
    const pool = new CreditPool([{ class: DMA, calls: 2, replyBytes: 100 }]);
    expect(pool.take(DMA, 60)).toBe(true);
    expect(pool.take(DMA, 60)).toBe(false);
    expect(pool.take(DMA, 40)).toBe(true);
    expect(pool.take(DMA, 0)).toBe(false);
    pool.give(DMA, 60);
    expect(pool.take(DMA, 60)).toBe(true);
  });

  it('let a call alone ask for more bytes than were granted, or it could never be made', () => {
    const pool = new CreditPool([{ class: DMA, calls: 2, replyBytes: 100 }]);
    expect(pool.take(DMA, 4096)).toBe(true);
    expect(pool.take(DMA, 1)).toBe(false);
    pool.give(DMA, 4096);
    expect(pool.take(DMA, 1)).toBe(true);
    expect(pool.take(DMA, 4096)).toBe(false);
  });

  it('count the bytes that a reply will carry, not those that a call does', () => {
    expect(replyBytes(BODY.dmaRead, { bytes: 4096 })).toBe(4096);
    expect(replyBytes(BODY.memoryRead, { bytes: 1 })).toBe(1);
    expect(replyBytes(BODY.modelDma, { bytes: 64 })).toBe(64);
    expect(replyBytes(BODY.memoryRead, {})).toBe(0);
    const u64 = (low: number, high = 0): object => ({ low, high });
    expect(replyBytes(BODY.dirtyRead, { bytes: u64(9 * 4096), pageBytes: u64(4096) })).toBe(2);
    expect(replyBytes(BODY.dirtyLogRead, { bytes: u64(9 * 4096), pageBytes: u64(4096) })).toBe(2);
    expect(replyBytes(BODY.dirtyRead, { bytes: u64(0, -1), pageBytes: u64(4096) })).toBe(1 << 20);
    expect(replyBytes(BODY.dirtyRead, { bytes: u64(4096), pageBytes: u64(0) })).toBe(0);
    expect(replyBytes(BODY.dirtyRead, { bytes: null })).toBe(0);
    expect(replyBytes(BODY.regionRead, { bytes: 4 })).toBe(0);
  });
});
