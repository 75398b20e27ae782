/** What a reset does with the ledger: wait for it, answer it, drop it; and the fence that a memory owner answers for dropped writes. */
import { addressOfPage, pageHigh, pageLow, pageNumber, type ResetMethod } from '../../base/index.ts';
import { STATUS } from '../../translation/index.ts';
import type { Parts } from '../parts.ts';
import type { Peer } from '../peers.ts';
import type { IndeterminateRange } from '../reply.ts';
import type { FunctionState, Operation, Request } from '../state.ts';
import { advance, end } from './dma-ledger.ts';
import { rangeOf } from './dma-range.ts';
import { NOBODY, wake, withWatcher } from './watchers.ts';

/** Answers pending translation requests with success and R=W=0, as a translation agent does that has nothing to grant. */
export function answerTranslationRequests(m: Parts, fn: FunctionState): number {
  const { entries } = fn;
  let kept = 0;
  for (const request of entries) {
    if (request.kind === 'translation') end(m, request, STATUS['no-access']);
    else entries[kept++] = request;
  }
  const answered = entries.length - kept;
  entries.length = kept;
  return answered;
}

/**
 * The operation with this number is told of the end of every request that is in the ledger now; returns how many these are, which it then awaits. Not among
 * them: Invalidate Completions, which the fence awaits by their requests, and writes whose owner is silent and owes a fence, for whose fate nobody waits any
 * more.
 */
export function awaitLedger(m: Parts, fn: FunctionState, operation: number): number {
  let awaited = 0;
  for (const request of fn.entries) {
    if (request.kind === 'invalidation-completion') continue;
    if (request.point === 'indeterminate' && m.peers.get(request.owner)?.silent === true) continue;
    request.onEnded = withWatcher(request.onEnded, operation);
    awaited++;
  }
  return awaited;
}

/**
 * `operation` goes on when in-flight requests that were translated in this space and range have been performed. A translation completion on
 * its way is not awaited: the ATC invalidation overtakes it.
 */
export function awaitTranslated(fn: FunctionState, spaceId: number, firstPage: number, pages: number, operation: Operation): void {
  for (const request of fn.entries) {
    if (request.spaceId !== spaceId || request.kind === 'translation') continue;
    if (request.point === 'performed' || request.point === 'issued') continue;
    // A prepare has awaited the fences of indeterminate writes already, or given them up.
    if (request.point === 'indeterminate' && operation.kind === 'prepare') continue;
    const page = pageNumber(pageLow(request.iovaLow, request.iovaHigh), pageHigh(request.iovaHigh));
    if (page < firstPage || page >= firstPage + pages) continue;
    request.onPerformed = withWatcher(request.onPerformed, operation.id);
    operation.pending++;
  }
}

/** `operation` goes on when the translated requests that the translation agent has let pass have been performed, whatever they reach. */
export function awaitPassed(fn: FunctionState, operation: Operation): void {
  for (const request of fn.entries) {
    if (!request.translated || (request.point !== 'translated' && request.point !== 'sent')) continue;
    request.onPerformed = withWatcher(request.onPerformed, operation.id);
    operation.pending++;
  }
}

/** Not memory requests: nothing closes their way, and nobody drops them. */
function isMessage({ kind }: Request): boolean {
  return kind === 'invalidation-completion' || kind === 'page-request' || kind === 'intx';
}

export interface AbortReport {
  readonly aborted: number;
  /** Of them, those whose end only the operation with the given number awaited: it is not woken by each. */
  readonly ended: number;
  readonly indeterminate: readonly IndeterminateRange[];
}

/**
 * Drops what is in flight. A request that was not sent is dropped; a read that was sent is forgotten; a write that was sent cannot be
 * recalled: it is indeterminate, and stays in the ledger until its owner has answered it and a fence, or is gone.
 */
export function abortLedger(m: Parts, fn: FunctionState, awaiting = NOBODY): AbortReport {
  const indeterminate: Request[] = [];
  let aborted = 0;
  let ended = 0;
  const entries = fn.entries;
  fn.entries = [];
  fn.epoch++;
  for (const request of entries) {
    if (isMessage(request) || request.point === 'indeterminate') {
      fn.entries.push(request);
    } else if (request.point === 'performed') {
      end(m, request, STATUS.performed);
    } else if (request.point === 'sent' && request.posted) {
      m.trace.emit('dma-aborted', fn.bdf, request.id, 0, 1);
      makeIndeterminate(m, request);
      fn.entries.push(request);
      indeterminate.push(request);
    } else {
      m.trace.emit('dma-aborted', fn.bdf, request.id, 0, 0);
      request.dead = true;
      aborted++;
      if (awaiting !== NOBODY && request.onEnded === awaiting) {
        request.onEnded = NOBODY;
        ended++;
      }
      end(m, request, STATUS.aborted);
    }
  }
  askForFences(m, fn, indeterminate);
  advance(m, fn);
  return { aborted, ended, indeterminate: indeterminate.map(rangeOf) };
}

/** Its task learns that nobody knows; the entry itself stays. Whoever awaits its end or its performance goes on waiting. */
function makeIndeterminate(m: Parts, request: Request): void {
  const { onPerformed, onEnded } = request;
  request.onPerformed = NOBODY;
  request.onEnded = NOBODY;
  request.dead = true;
  end(m, request, STATUS.indeterminate);
  request.point = 'indeterminate';
  request.onPerformed = onPerformed;
  request.onEnded = onEnded;
}

function askForFences(m: Parts, fn: FunctionState, requests: readonly Request[]): void {
  for (const owner of new Set(requests.map((request) => request.owner))) {
    const sent = requests.filter((request) => request.owner === owner);
    const peer = m.peers.get(owner);
    if (peer === undefined) {
      forget(m, fn, sent);
      continue;
    }
    const first = Math.min(...sent.map((request) => request.page));
    const last = Math.max(...sent.map((request) => request.page));
    const call = { kind: 'memory-fence', address: addressOfPage(first), bytes: addressOfPage(last - first + 1), epoch: fn.epoch } as const;
    m.peers.call(peer, call, { kind: 'fence', requests: sent });
    if (peer.silent) giveUpFence(m, sent);
  }
}

/** The owner is silent past the watchdog: nobody waits for its fence, and the ranges stay in the ledger until it answers or is gone. */
export function giveUpFence(m: Parts, requests: readonly Request[]): void {
  for (const request of requests) {
    wake(m.operations, request.onEnded);
    request.onEnded = NOBODY;
  }
}

/**
 * The owner has answered the fence. A write that it has not answered by then is awaited on: one that answers its fence too early, and applies what it had
 * afterwards, does not get by.
 */
export function fenceAnswered(m: Parts, peer: Peer, requests: readonly Request[]): void {
  const [first] = requests;
  if (first === undefined) return;
  const owing = owedRequests(peer);
  const settled = requests.filter((request) => !owing.has(request));
  const unanswered = requests.length - settled.length;
  if (unanswered > 0) {
    const text = `peer ${peer.id} has answered a fence before ${unanswered} of the writes that were sent before it: they are awaited`;
    m.outbox.log('warn', first.fn.bdf, text);
  }
  forget(m, first.fn, settled);
}

/** The owner has answered a write that was dropped: where it has answered the fence for it too, nobody waits for it any more. */
export function lateWriteAnswered(m: Parts, peer: Peer, request: Request): void {
  for (const owed of peer.owed.values()) if (owed.kind === 'fence' && owed.requests.includes(request)) return;
  forget(m, request.fn, [request]);
}

function owedRequests(peer: Peer): ReadonlySet<Request> {
  const requests = new Set<Request>();
  for (const owed of peer.owed.values()) if (owed.kind === 'request') requests.add(owed.request);
  return requests;
}

/** The owner has answered for them, or is gone: these writes have landed or never will. */
export function forget(m: Parts, fn: FunctionState, requests: readonly Request[]): void {
  const gone = new Set(requests);
  fn.entries = fn.entries.filter((request) => !gone.has(request));
  for (const request of requests) {
    wake(m.operations, request.onPerformed);
    wake(m.operations, request.onEnded);
    request.onPerformed = NOBODY;
    request.onEnded = NOBODY;
  }
  advance(m, fn);
}

/**
 * The function itself was reset (design §7, trigger): posted writes that it issued land; its reads and translations finish at the
 * completer, and their completions are discarded.
 */
export function discardCompletions(m: Parts, fn: FunctionState, method: ResetMethod): void {
  fn.entries = fn.entries.filter((request) => {
    if (request.posted || request.kind === 'invalidation-completion') return true;
    m.trace.emit('dma-aborted', fn.bdf, request.id, 0, 0);
    request.dead = true;
    end(m, request, STATUS.aborted);
    return false;
  });
  m.trace.emit('function-reset', fn.bdf, METHOD_INDEX[method]);
  advance(m, fn);
}

const METHOD_INDEX = { device_specific: 0, acpi: 1, flr: 2, af_flr: 3, pm: 4, bus: 5, cxl_bus: 6 } as const satisfies Record<
  ResetMethod,
  number
>;
