/** The log of pages that were written. */
import { describe, expect, it } from 'vitest';
import { mark, readLog, setBits } from '../../../server/src/core/memory/dirty-log.ts';
import { GuestMemory } from '../../../server/src/core/memory/guest-memory.ts';
import type { Range } from '../../../server/src/core/memory/memory-range.ts';

const RAM = { address: 0x10_0000n, bytes: 0x10_0000n };
const FIRST = 0x100;

function range(pages: number): Range {
  return { first: FIRST, end: FIRST + pages, owner: 3, bytes: undefined, written: new Uint8Array(0), dirty: new Uint8Array(0) };
}

function read(of: Range, from: number, end: number, clear = true): number[][] {
  const found: number[][] = [];
  readLog(of, from, end, clear, (first, last) => found.push([first, last]));
  return found;
}

function readMemory(memory: GuestMemory, clear = true): number[] {
  const found: number[] = [];
  memory.readLog(0, 2 ** 40, clear, (from, end) => {
    for (let page = from; page < end && found.length < 100; page++) found.push(page);
  });
  return found;
}

describe('the log of a range', () => {
  it('has what was written in it, until it is read and cleared', () => {
    const one = range(20);
    mark(one, FIRST + 3, FIRST + 4);
    mark(one, FIRST + 17, FIRST + 40);
    mark(one, 0, FIRST + 1);
    const all = [0, 3, 17, 18, 19].map((page) => [FIRST + page, FIRST + page + 1]);
    expect(read(one, 0, 2 ** 40, false)).toEqual(all);
    expect(read(one, FIRST + 3, FIRST + 18)).toEqual(all.slice(1, 3));
    expect(read(one, 0, 2 ** 40)).toEqual([all[0], all[3], all[4]]);
    expect(read(one, 0, 2 ** 40)).toEqual([]);
  });

  it('of 4 GiB has a bit for each page, of more one for several, and at the end for fewer', () => {
    const four = range(2 ** 20);
    mark(four, FIRST + 1, FIRST + 2);
    expect([read(four, FIRST, FIRST + 8), four.dirty.length]).toEqual([[[FIRST + 1, FIRST + 2]], 2 ** 17]);
    const more = range(2 ** 20 + 1);
    mark(more, FIRST + 1, FIRST + 2);
    mark(more, FIRST + 2 ** 20, FIRST + 2 ** 20 + 1);
    expect(read(more, FIRST, FIRST + 2 ** 21)).toEqual([
      [FIRST, FIRST + 2],
      [FIRST + 2 ** 20, FIRST + 2 ** 20 + 1],
    ]);
    const widest = range(2 ** 44);
    mark(widest, FIRST, FIRST + 2 ** 44);
    expect(widest.dirty.length).toBe(2 ** 17);
    expect(read(widest, FIRST + 2 ** 43, FIRST + 2 ** 43 + 1)).toEqual([[FIRST + 2 ** 43, FIRST + 2 ** 43 + 2 ** 24]]);
  });
});

describe('bits', () => {
  it.each([
    [0, 0, [0x01, 0, 0, 0]],
    [7, 8, [0x80, 0x01, 0, 0]],
    [3, 5, [0x38, 0, 0, 0]],
    [4, 27, [0xf0, 0xff, 0xff, 0x0f]],
    [8, 31, [0, 0xff, 0xff, 0xff]],
  ])('from %i to %i', (first, last, bytes) => {
    const bitmap = new Uint8Array(4);
    setBits(bitmap, first, last);
    expect([...bitmap]).toEqual(bytes);
  });
});

describe('memory', () => {
  it('notes nothing while no log is kept, and forgets when it is switched', () => {
    const memory = new GuestMemory([RAM]);
    memory.writeBytes(RAM.address, Uint8Array.of(1));
    memory.noteWritten(RAM.address, 1n);
    expect([memory.logging, readMemory(memory)]).toEqual([false, []]);
    memory.setLogging(true);
    expect([memory.logging, readMemory(memory)]).toEqual([true, []]);
    memory.writeBytes(RAM.address, Uint8Array.of(1));
    memory.setLogging(true);
    expect(readMemory(memory)).toEqual([]);
  });

  it('notes writes across pages, and those of owners across ranges', () => {
    const memory = new GuestMemory([RAM]);
    memory.claim(3, 0x20_0000n, 0x4000n);
    memory.setLogging(true);
    memory.write(0x102, 4095, Uint8Array.of(1), 0, 1);
    memory.writeBytes(RAM.address + 0x4fffn, new Uint8Array(4098));
    memory.noteWritten(0x1f_ffffn, 0x1002n);
    expect(readMemory(memory)).toEqual([0x102, 0x104, 0x105, 0x106, 0x1ff, 0x200, 0x201]);
  });

  it('that comes or gets another owner is written as a whole, and what goes is forgotten', () => {
    const memory = new GuestMemory([RAM]);
    memory.claim(3, 0x20_0000n, 0x2000n);
    memory.setLogging(true);
    memory.claim(4, 0x30_0000n, 0x1000n);
    expect(readMemory(memory)).toEqual([0x300]);
    memory.hand(3, 0x20_0000n, 5);
    expect(readMemory(memory, false)).toEqual([0x200, 0x201]);
    memory.release(5, 0x20_0000n);
    expect(readMemory(memory)).toEqual([]);
  });
});
