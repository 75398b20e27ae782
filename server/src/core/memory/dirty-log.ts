/**
 * Which pages of a range of memory were written: a bit for each, or of a wide range for several, which are then dirty together. What a range's log has is
 * bounded however wide it is, and however often it is written.
 */
import { NOTHING, type Range } from './memory-range.ts';

/** Bits of the log of one range: pages of 4 KiB up to 4 GiB, larger ones beyond. With so many ranges as peers may own, 32 MiB. */
const LOG_BITS_MAX = 1 << 20;

/** Pages `from` to `end`, exclusive. */
export type OnDirtyPages = (from: number, end: number) => void;

/** log2 of the pages that a bit stands for. */
function unitLg2({ first, end }: Range): number {
  let lg2 = 0;
  while ((end - first) / 2 ** lg2 > LOG_BITS_MAX) lg2++;
  return lg2;
}

/** These pages, of which some are the range's, were written. */
export function mark(range: Range, from: number, end: number): void {
  const lg2 = unitLg2(range);
  const units = Math.ceil((range.end - range.first) / 2 ** lg2);
  if (range.dirty.length === 0) range.dirty = new Uint8Array(Math.ceil(units / 8));
  const first = unitOf(range, Math.max(from, range.first), lg2);
  const last = unitOf(range, Math.min(end, range.end) - 1, lg2);
  setBits(range.dirty, first, last);
}

/** Tells of those that were written among these pages, rising, each unit as a whole; with `clear` they are clean then. */
export function readLog(range: Range, from: number, end: number, clear: boolean, onDirty: OnDirtyPages): void {
  const { dirty } = range;
  if (dirty.length === 0) return;
  const lg2 = unitLg2(range);
  const last = unitOf(range, Math.min(end, range.end) - 1, lg2);
  for (let unit = unitOf(range, Math.max(from, range.first), lg2); unit <= last; unit++) {
    const byte = dirty[unit >> 3]!;
    if (byte === 0) {
      unit |= 7;
      continue;
    }
    if ((byte & (1 << (unit & 7))) === 0) continue;
    if (clear) dirty[unit >> 3] = byte & ~(1 << (unit & 7));
    const at = range.first + unit * 2 ** lg2;
    onDirty(at, Math.min(at + 2 ** lg2, range.end));
  }
}

/** Every page of it is clean. */
export function forgetLog(range: Range): void {
  range.dirty = NOTHING;
}

function unitOf({ first }: Range, page: number, lg2: number): number {
  return Math.floor((page - first) / 2 ** lg2);
}

/** From the first bit to the last, both included; the first is the lowest of the first byte. */
export function setBits(bitmap: Uint8Array, first: number, last: number): void {
  const [from, to] = [first >> 3, last >> 3];
  const low = 0xff & (0xff << (first & 7));
  const high = 0xff >> (7 - (last & 7));
  if (from === to) {
    bitmap[from] = bitmap[from]! | (low & high);
    return;
  }
  bitmap[from] = bitmap[from]! | low;
  bitmap.fill(0xff, from + 1, to);
  bitmap[to] = bitmap[to]! | high;
}
