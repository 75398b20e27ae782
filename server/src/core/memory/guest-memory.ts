/**
 * The machine's physical address space: RAM that the server holds, and ranges that peers own.
 *
 * RAM is one zero-filled ArrayBuffer for each range, made at first touch; the operating system keeps it sparse. Bytes of
 * a peer's range are never here: the machine asks the peer.
 */
import { ModelError, OK, PAGE_BYTES, PAGE_LG2, PHYSICAL_BITS, addressOfPage, errno, hex, pageOf } from '../base/index.ts';
import type { Errno, PhysicalAddress, StateFields } from '../base/index.ts';
import { forgetLog, mark, readLog, type OnDirtyPages } from './dirty-log.ts';
import {
  NOTHING,
  NOWHERE,
  PART_BYTES,
  PART_PAGES_LG2,
  SERVER,
  ownedRange,
  rangeState,
  touch,
  type OwnedRange,
  type Range,
} from './memory-range.ts';
import { PageAllocator } from './page-allocator.ts';

/** The widest RAM range: what one typed array can view on Node 20. A machine with more describes several ranges. */
const RAM_RANGE_BYTES_MAX = 1n << 32n;

/** A copy shorter than this is cheaper byte by byte than through a view made for it. */
const VIEW_BYTES_MIN = 32;

export class GuestMemory {
  /** Sorted by page; they do not overlap. */
  readonly #ranges: Range[] = [];
  readonly #allocator: PageAllocator;
  #last = NOWHERE;
  #logging = false;

  /** Throws `EINVAL` for a range that is empty, misaligned, too wide, or overlaps another; the message names both. */
  constructor(ram: readonly { readonly address: bigint; readonly bytes: bigint }[]) {
    for (const { address, bytes } of ram) {
      const problem =
        malformed(address, bytes) ?? (bytes > RAM_RANGE_BYTES_MAX ? 'is wider than 4 GiB; describe it as several' : undefined);
      if (problem !== undefined) throw new ModelError('EINVAL', `memory range ${rangeText(address, bytes)} ${problem}`, 'memory');
      const other = this.#insert(SERVER, address, bytes);
      if (other !== undefined) {
        const text = rangeText(addressOfPage(other.first), addressOfPage(other.end - other.first));
        throw new ModelError('EINVAL', `memory range ${rangeText(address, bytes)} overlaps ${text}`, 'memory');
      }
    }
    this.#allocator = new PageAllocator(this.#ranges.map(({ first, end }) => ({ first, pages: end - first })));
  }

  /** Who owns a physical page: -1 nothing there, 0 the server's RAM, otherwise the peer. */
  ownerOf(page: number): number {
    return this.#rangeOf(page).owner;
  }

  /** Copies from one page of server RAM: `offset + bytes` is at most a page, and the caller knows that the page is RAM. */
  read(page: number, offset: number, into: Uint8Array, at: number, bytes: number): void {
    const range = this.#rangeOf(page);
    copy(range.bytes ?? touch(range), (page - range.first) * PAGE_BYTES + offset, into, at, bytes);
  }

  /** The other way of {@link read}. */
  write(page: number, offset: number, from: Uint8Array, at: number, bytes: number): void {
    const range = this.#rangeOf(page);
    copy(from, at, range.bytes ?? touch(range), (page - range.first) * PAGE_BYTES + offset, bytes);
    range.written[(page - range.first) >>> PART_PAGES_LG2] = 1;
    if (this.#logging) mark(range, page, page + 1);
  }

  /** True when every byte of the range is server RAM; an empty range is not. */
  holds(address: bigint, bytes: bigint): boolean {
    if (bytes <= 0n || address < 0n) return false;
    const end = address + bytes;
    let at = address;
    while (at < end) {
      const range = this.#rangeOf(pageOf(at));
      if (range.owner !== SERVER) return false;
      at = addressOfPage(range.end);
    }
    return true;
  }

  /** A copy of bytes that {@link holds} accepts; otherwise throws `EFAULT`. */
  readBytes(address: bigint, bytes: number): Uint8Array {
    this.#mustHold(address, bytes);
    const data = new Uint8Array(bytes);
    this.#eachPiece(address, bytes, (ram, offset, at, count) => data.set(ram.subarray(offset, offset + count), at));
    return data;
  }

  /** Writes bytes to a range that {@link holds} accepts; otherwise throws `EFAULT` and nothing is written. */
  writeBytes(address: bigint, data: Uint8Array): void {
    this.#mustHold(address, data.length);
    this.#eachPiece(address, data.length, (ram, offset, at, count, written) => {
      ram.set(data.subarray(at, at + count), offset);
      written.fill(1, Math.floor(offset / PART_BYTES), Math.ceil((offset + count) / PART_BYTES));
    });
    if (this.#logging) this.noteWritten(address, BigInt(data.length));
  }

  /**
   * A peer (a number above 0) takes a page-aligned range. `EINVAL` if it is misaligned, empty or wider than physical addresses;
   * `EADDRINUSE` if it overlaps RAM or a range of any peer.
   */
  claim(owner: number, address: bigint, bytes: bigint): Errno {
    if (malformed(address, bytes) !== undefined) return errno('EINVAL');
    if (this.#insert(owner, address, bytes) !== undefined) return errno('EADDRINUSE');
    this.noteWritten(address, bytes);
    return OK;
  }

  /** Gives back the range that `owner` claimed at this address; `ENOENT` if there is none. */
  release(owner: number, address: bigint): Errno {
    const range = this.#rangeOf(pageOf(address));
    if (range.owner !== owner || addressOfPage(range.first) !== address) return errno('ENOENT');
    this.#remove(range);
    return OK;
  }

  /** Every range that a peer owns, by address. */
  owned(): readonly OwnedRange[] {
    return this.#ranges.filter(({ owner }) => owner > SERVER).map(ownedRange);
  }

  /** The first range of a peer that has one of these bytes, which are 1 or more. */
  ownedWithin(address: bigint, bytes: bigint): OwnedRange | undefined {
    const [first, last] = [pageOf(address), pageOf(address + bytes - 1n)];
    const range = this.#ranges.find((one) => one.owner > SERVER && one.end > first && one.first <= last);
    return range === undefined ? undefined : ownedRange(range);
  }

  /** The range of `from` that begins at this address is another peer's now; false: there is none. */
  hand(from: number, address: bigint, to: number): boolean {
    const range = this.#rangeOf(pageOf(address));
    if (range.owner !== from || addressOfPage(range.first) !== address) return false;
    range.owner = to;
    if (this.#logging) mark(range, range.first, range.end);
    return true;
  }

  /** Whether pages that are written are noted. */
  get logging(): boolean {
    return this.#logging;
  }

  /** From now on, all clean at first, also where it was on before; or no more. */
  setLogging(on: boolean): void {
    this.#logging = on;
    for (const range of this.#ranges) forgetLog(range);
  }

  /** Where it is on: these bytes were written, by whoever has them. Memory that comes, or gets another owner, is written as a whole. */
  noteWritten(address: bigint, bytes: bigint): void {
    if (!this.#logging || bytes <= 0n) return;
    const [from, end] = [pageOf(address), pageOf(address + bytes - 1n) + 1];
    for (const range of this.#ranges) if (range.end > from && range.first < end) mark(range, from, end);
  }

  /** Tells of pages that were written among these, rising; with `clear` they are clean then. Those of a wide range are told, and cleared, several together. */
  readLog(from: number, end: number, clear: boolean, onDirty: OnDirtyPages): void {
    for (const range of this.#ranges) if (range.end > from && range.first < end) readLog(range, from, end, clear, onDirty);
  }

  /** The lowest hole of server RAM that takes `bytes`, in whole pages, never page 0; undefined when none does. `EINVAL` for none. */
  alloc(bytes: bigint): PhysicalAddress | undefined {
    if (bytes <= 0n) throw new ModelError('EINVAL', `bytes ${bytes}: allocate at least one`, 'bytes');
    const page = this.#allocator.alloc(pageOf(bytes + BigInt(PAGE_BYTES - 1)));
    return page === undefined ? undefined : (addressOfPage(page) as PhysicalAddress);
  }

  /** The size of the allocation that starts at this address, a multiple of the page; undefined when none does. */
  allocatedBytes(address: bigint): bigint | undefined {
    const pages = isPageAligned(address) ? this.#allocator.pagesAt(pageOf(address)) : undefined;
    return pages === undefined ? undefined : addressOfPage(pages);
  }

  /** False when no allocation starts at this address. The bytes stay as they are. */
  free(address: bigint): boolean {
    return isPageAligned(address) && this.#allocator.free(pageOf(address));
  }

  /** What has been written is in it as it is, not as a copy. */
  state(fields: StateFields): void {
    const count = fields.field('count', this.#ranges.length);
    const saved = fields.loading ? this.#ranges.splice(0, Infinity) : this.#ranges;
    for (let i = 0; i < count; i++) {
      const range = rangeState(fields, i, saved[i] ?? NOWHERE);
      if (fields.loading) this.#ranges.push(range);
    }
    fields.keep('allocator', this.#allocator);
    this.#logging = fields.field('logging', this.#logging);
    this.#last = NOWHERE;
  }

  #rangeOf(page: number): Range {
    const last = this.#last;
    if (page >= last.first && page < last.end) return last;
    return this.#search(page);
  }

  #search(page: number): Range {
    const range = this.#ranges[this.#indexAfter(page) - 1];
    if (range === undefined || page >= range.end) return NOWHERE;
    this.#last = range;
    return range;
  }

  /** Index of the first range that starts after `page`. */
  #indexAfter(page: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ranges[middle]!.first <= page) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Adds a range that is well formed, or returns the one that it overlaps. */
  #insert(owner: number, address: bigint, bytes: bigint): Range | undefined {
    const first = pageOf(address);
    const end = first + pageOf(bytes);
    const index = this.#indexAfter(first);
    const before = this.#ranges[index - 1];
    if (before !== undefined && before.end > first) return before;
    const after = this.#ranges[index];
    if (after !== undefined && after.first < end) return after;
    this.#ranges.splice(index, 0, { first, end, owner, bytes: undefined, written: NOTHING, dirty: NOTHING });
    return undefined;
  }

  #remove(range: Range): void {
    this.#ranges.splice(this.#ranges.indexOf(range), 1);
    this.#last = NOWHERE;
  }

  #mustHold(address: bigint, bytes: number): void {
    if (bytes > 0 && !this.holds(address, BigInt(bytes))) {
      throw new ModelError('EFAULT', `${rangeText(address, BigInt(bytes))} is not all the server's RAM`, 'address');
    }
  }

  #eachPiece(
    address: bigint,
    bytes: number,
    take: (ram: Uint8Array, offset: number, at: number, count: number, written: Uint8Array) => void,
  ): void {
    let at = 0;
    while (at < bytes) {
      const from = address + BigInt(at);
      const range = this.#rangeOf(pageOf(from));
      const ram = range.bytes ?? touch(range);
      const offset = Number(from - addressOfPage(range.first));
      const count = Math.min(bytes - at, ram.length - offset);
      take(ram, offset, at, count, range.written);
      at += count;
    }
  }
}

/** What is wrong with a range, as the end of a sentence. */
function malformed(address: bigint, bytes: bigint): string | undefined {
  if (bytes <= 0n) return 'is empty';
  if (!isPageAligned(address) || !isPageAligned(bytes)) return `is not a multiple of ${PAGE_BYTES} bytes`;
  if (address < 0n || (address + bytes - 1n) >> BigInt(PHYSICAL_BITS) !== 0n) return `is wider than ${PHYSICAL_BITS} address bits`;
  return undefined;
}

function isPageAligned(value: bigint): boolean {
  return BigInt.asUintN(PAGE_LG2, value) === 0n;
}

function rangeText(address: bigint, bytes: bigint): string {
  return `${hex(address)}+${hex(bytes)}`;
}

function copy(from: Uint8Array, fromAt: number, to: Uint8Array, toAt: number, bytes: number): void {
  if (bytes >= VIEW_BYTES_MIN) {
    to.set(from.subarray(fromAt, fromAt + bytes), toAt);
    return;
  }
  for (let i = 0; i < bytes; i++) to[toAt + i] = from[fromAt + i]!;
}
