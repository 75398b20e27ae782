/**
 * Walks of page tables in memory that peers own. A request whose walk lacks an entry waits in its function's ledger, not translated, while the owner is asked;
 * with the answer it walks again from the root. An owner that errs, is gone, or is silent past the watchdog gives none: an external abort.
 *
 * What is read before an invalidation, or before a context changes, is not used after it.
 */
import { PAGE_BYTES, assert } from '../../base/index.ts';
import { entryKey } from '../../translation/index.ts';
import type { PeerAnswer, PeerId } from '../outgoing.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState, Request, TableWalk } from '../state.ts';
import { TABLE_ENTRY_BYTES, startUpdate, wordsOf } from './table-updates.ts';

/** An entry that an owner has been asked for, by the first of the requests that wait for it. */
export interface TableRead {
  readonly key: number;
  /** `AwaitedEntries.changes` when it was asked. */
  readonly changes: number;
  readonly requests: Request[];
}

/** The next walk is of this request: it has what owners have answered it, unless that is too old. */
export function useAnswers(m: Parts, { walk }: Request): void {
  const { awaited } = m.translation;
  if (walk === undefined) {
    awaited.forget();
    return;
  }
  if (walk.changes !== awaited.changes) {
    walk.answers.clear();
    walk.changes = awaited.changes;
  }
  awaited.answers = walk.answers;
}

/**
 * The walk of this request has ended in WAITING. True: it waits for an owner, or for its credit. False: nobody will give or write the entry, and a
 * walk says so.
 */
export function waitsForEntry(m: Parts, request: Request): boolean {
  const { page, offset, changes, marked } = m.translation.awaited;
  const walk: TableWalk = (request.walk ??= { answers: new Map(), changes, owner: 0 });
  const owner = m.memory.ownerOf(page);
  const peer = m.peers.get(owner);
  const key = entryKey(page, offset);
  if (peer === undefined || peer.silent) {
    walk.answers.set(key, undefined);
    return false;
  }
  const asked = m.tableReads.get(key);
  const update = m.tableUpdates.get(key);
  const address = addressOfEntry(page, offset);
  if (marked !== undefined && update !== undefined) {
    update.waiting.push(request);
  } else if (marked === undefined && asked?.changes === changes) {
    asked.requests.push(request);
  } else if (peer.memoryOutstanding >= peer.memoryDepth) {
    peer.waitingForCredit.add(request.fn.bdf);
    return true;
  } else if (marked !== undefined) {
    peer.memoryOutstanding++;
    startUpdate(m, peer, request, { key, address, changes, marked });
  } else {
    const read: TableRead = { key, changes, requests: [request] };
    m.tableReads.set(key, read);
    peer.memoryOutstanding++;
    const call = { kind: 'memory-read', address, bytes: TABLE_ENTRY_BYTES, epoch: request.epoch } as const;
    m.peers.call(peer, call, { kind: 'table-read', read });
  }
  walk.owner = owner;
  return true;
}

/** The owner has answered, or will not: returns the functions whose requests walk again. Late, there are none. */
export function entryAnswered(m: Parts, read: TableRead, answer: PeerAnswer | undefined): ReadonlySet<FunctionState> {
  const { key, changes, requests } = read;
  if (m.tableReads.get(key) === read) m.tableReads.delete(key);
  const words = answer?.kind === 'data' ? wordsOf(answer.data) : undefined;
  const functions = new Set<FunctionState>();
  for (const request of requests.splice(0)) {
    const { walk, fn } = request;
    assert(walk !== undefined, `request ${request.id} waits for an entry, and walks no tables`);
    walk.owner = NOBODY;
    if (walk.changes === changes) walk.answers.set(key, words);
    functions.add(fn);
  }
  return functions;
}

const NOBODY: PeerId = 0;

function addressOfEntry(page: number, offset: number): bigint {
  return BigInt(page) * BigInt(PAGE_BYTES) + BigInt(offset);
}
