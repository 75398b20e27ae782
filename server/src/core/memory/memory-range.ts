/** A range of the physical address space, and whose it is. */
import { ModelError, PAGE_BYTES, addressOfPage, assert, type StateFields } from '../base/index.ts';

/** {@link GuestMemory.ownerOf}: nothing there. */
export const NOBODY = -1;
/** {@link GuestMemory.ownerOf}: the server's RAM. */
export const SERVER = 0;
export interface Range {
  /** Physical page numbers, `end` exclusive. */
  readonly first: number;
  readonly end: number;
  owner: number;
  /** Of RAM that has been touched. */
  bytes: Uint8Array | undefined;
  /** 1 for each part of it that has been written. */
  written: Uint8Array;
  /** The log of `dirty-log.ts`; empty: nothing was written since it began. */
  dirty: Uint8Array;
}

/** log2 of the pages of a part: 1 MiB. A snapshot looks at those that were written, and the others stay unknown to the operating system. */
export const PART_PAGES_LG2 = 8;
export const PART_BYTES = PAGE_BYTES << PART_PAGES_LG2;
export const NOTHING = new Uint8Array(0);
export const NOWHERE: Range = { first: -1, end: -1, owner: NOBODY, bytes: undefined, written: NOTHING, dirty: NOTHING };

/** A range that a peer owns. */
export interface OwnedRange {
  readonly owner: number;
  readonly address: bigint;
  readonly bytes: bigint;
}

export function touch(range: Range): Uint8Array {
  assert(range.owner === SERVER, `a page of owner ${range.owner} was accessed as the server's RAM`);
  const bytes = (range.end - range.first) * PAGE_BYTES;
  try {
    range.bytes = new Uint8Array(bytes);
    range.written = new Uint8Array(Math.ceil(bytes / PART_BYTES));
  } catch {
    throw new ModelError('ENOMEM', `no room for a memory range of ${bytes} bytes on this host`, 'memory');
  }
  return range.bytes;
}

/** Of the range of this number. */
export function rangeState(fields: StateFields, i: number, range: Range): Range {
  const first = fields.field(`${i}.first`, range.first);
  const end = fields.field(`${i}.end`, range.end);
  const owner = fields.field(`${i}.owner`, range.owner);
  const written = fields.field(`${i}.written`, range.written);
  const log = fields.field(`${i}.dirty`, range.dirty.length === 0 ? undefined : range.dirty);
  const dirty = log === undefined ? NOTHING : new Uint8Array(log);
  const state = { first, end, owner, bytes: range.bytes, written, dirty };
  if (fields.loading) {
    state.bytes = undefined;
    if (written.length > 0) touch(state);
    assert(written.length === state.written.length, `range ${i} of memory has not what was written of it`);
  }
  for (const [part, isWritten] of written.entries()) {
    if (isWritten === 0) continue;
    const at = part * PART_BYTES;
    const bytes = fields.lend(`${i}.${part}`, state.bytes!.subarray(at, Math.min(at + PART_BYTES, state.bytes!.length)));
    if (!fields.loading) continue;
    state.bytes!.set(bytes, at);
    state.written[part] = 1;
  }
  return state;
}

export function ownedRange({ owner, first, end }: Range): OwnedRange {
  return { owner, address: addressOfPage(first), bytes: addressOfPage(end - first) };
}
