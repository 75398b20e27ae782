/**
 * Accessed and dirty flags in page tables that peers own. Hardware sets them by one atomic operation, which fails where the entry is not any more what the
 * walk has read. An owner can be asked for no such operation: the entry is read once more and, where it is still the same, its low half is written; else the
 * walk goes on with what is there now. Updates of an entry follow one another, so that none takes a flag away which another has set. What its owner changes
 * between its answer to the read and the write is lost: it has to answer the write with an error then, which ends the request in an external abort.
 *
 * No write is sent after an invalidation, or for a request that was dropped; and whoever waits for an invalidation waits for a write that was sent before.
 */
import type { EntryWords } from '../../translation/index.ts';
import type { PeerAnswer } from '../outgoing.ts';
import type { Parts } from '../parts.ts';
import type { Peer } from '../peers.ts';
import type { FunctionState, Operation, Request } from '../state.ts';

/** Bytes of an entry, and of the half that has its flags, in every format. */
export const TABLE_ENTRY_BYTES = 8;
const HALF_BYTES = 4;

/** An entry that is given flags, for the first of the requests that need them. */
export interface TableUpdate {
  readonly key: number;
  readonly address: bigint;
  /** `AwaitedEntries.changes` when it began. */
  readonly changes: number;
  /** The low half with the flags. */
  readonly marked: number;
  readonly request: Request;
  /** Other requests that need flags in it: they read it again after this. */
  readonly waiting: Request[];
  /** Operations to wake when it is over. */
  readonly watchers: number[];
  /** The write has been sent; before, the read. */
  writes: boolean;
  over: boolean;
}

/** Asks for the entry once more; the peer has the credit for it. */
export function startUpdate(
  m: Parts,
  peer: Peer,
  request: Request,
  entry: Pick<TableUpdate, 'key' | 'address' | 'changes' | 'marked'>,
): void {
  const update: TableUpdate = { ...entry, request, waiting: [], watchers: [], writes: false, over: false };
  m.tableUpdates.set(entry.key, update);
  const call = { kind: 'memory-read', address: entry.address, bytes: TABLE_ENTRY_BYTES, epoch: request.epoch } as const;
  m.peers.call(peer, call, { kind: 'table-update', update });
}

/** The owner has answered, or will not (undefined): returns the functions whose requests walk again. */
export function updateAnswered(m: Parts, peer: Peer, update: TableUpdate, answer: PeerAnswer | undefined): ReadonlySet<FunctionState> {
  if (update.over) return new Set();
  const { request, key, changes } = update;
  const read = answer?.kind === 'data' ? wordsOf(answer.data) : undefined;
  const before = request.walk?.answers.get(key);
  const current = !request.dead && changes === m.translation.awaited.changes;
  if (read !== undefined && before !== undefined && current && read.low === before.low && read.high === before.high) {
    update.writes = true;
    peer.memoryOutstanding++;
    const call = { kind: 'memory-write', address: update.address, data: bytesOf(update.marked), epoch: request.epoch } as const;
    m.peers.call(peer, call, { kind: 'table-update', update });
    return new Set();
  }
  const written = answer?.kind === 'ok' && before !== undefined ? { low: update.marked, high: before.high } : undefined;
  return endUpdate(m, update, read ?? written);
}

/** `words`: what the entry is now; undefined: nobody says. */
function endUpdate(m: Parts, update: TableUpdate, words: EntryWords | undefined): ReadonlySet<FunctionState> {
  const { key, changes, request, waiting, watchers } = update;
  update.over = true;
  m.tableUpdates.delete(key);
  for (const id of watchers) m.operations.settle(id);
  const functions = new Set<FunctionState>();
  for (const other of [request, ...waiting]) {
    const { walk, fn } = other;
    if (walk === undefined) continue;
    walk.owner = 0;
    if (other !== request) walk.answers.delete(key);
    else if (walk.changes === changes) walk.answers.set(key, words);
    functions.add(fn);
  }
  return functions;
}

/** `operation` awaits what has been sent of this function's updates: nothing is written into the tables after it. */
export function awaitUpdates(m: Parts, fn: FunctionState, operation: Operation): void {
  for (const { request, writes, watchers } of m.tableUpdates.values()) {
    if (!writes || request.fn !== fn) continue;
    watchers.push(operation.id);
    operation.pending++;
  }
}

/** An entry as its owner gave it. */
export function wordsOf(data: Uint8Array): EntryWords {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return { low: view.getInt32(0, true), high: view.getInt32(4, true) };
}

function bytesOf(low: number): Uint8Array {
  const bytes = new Uint8Array(HALF_BYTES);
  new DataView(bytes.buffer).setInt32(0, low, true);
  return bytes;
}
