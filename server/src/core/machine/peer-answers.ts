/** What peers send back, and what their coming and going does. */
import type { Bdf } from '../base/index.ts';
import { STATUS } from '../translation/index.ts';
import { deliver, forwardedAnswered } from './ats/invalidation.ts';
import { releaseHoldsOf } from './calls/call-holds.ts';
import { noteOwnersWrite } from './dirty-log-commands.ts';
import { fenceAnswered, forget, giveUpFence, lateWriteAnswered } from './dma/dma-drain.ts';
import { advance, end, performed } from './dma/dma-ledger.ts';
import { noteAbsentOwner, noteFailure } from './dma/dma-task.ts';
import { lookupAnswered } from './domains/table-lookups.ts';
import { entryAnswered } from './domains/table-reads.ts';
import { updateAnswered } from './domains/table-updates.ts';
import { noteFailedRequest } from './errors/error-queue.ts';
import { functionNumbered } from './function-state.ts';
import type { PeerAnswer } from './outgoing.ts';
import type { Parts } from './parts.ts';
import type { Owed, Peer } from './peers.ts';
import { functionVanished } from './remote/absence.ts';
import { memoryVanished } from './remote/absent-memory.ts';
import { accessAnswered, accessUnanswered } from './remote/accesses.ts';
import { functionMayBeReady } from './reset/hardware-reset.ts';
import type { FunctionState, Request } from './state.ts';

export function settleOwed(m: Parts, peer: Peer, owed: Owed, answer: PeerAnswer): void {
  noteOwnersWrite(m, owed);
  switch (owed.kind) {
    case 'request':
      peer.memoryOutstanding--;
      requestAnswered(m, peer, owed.request, answer);
      giveCredit(m, peer);
      break;
    case 'table-read':
      peer.memoryOutstanding--;
      walkOn(m, entryAnswered(m, owed.read, answer));
      giveCredit(m, peer);
      break;
    case 'table-update':
      peer.memoryOutstanding--;
      walkOn(m, updateAnswered(m, peer, owed.update, answer));
      giveCredit(m, peer);
      break;
    case 'fence':
      fenceAnswered(m, peer, owed.requests);
      break;
    case 'device-alarm':
      break;
    case 'lookup':
      lookupAnswered(m, m.operations.get(owed.operation), owed.key, answer);
      break;
    case 'access':
      accessAnswered(m, owed, answer);
      break;
    case 'invalidation': {
      const fn = functionNumbered(m, owed.index);
      if (fn !== undefined && fn.claimedBy === peer.id) forwardedAnswered(m, fn, owed.itag, owed.life, answer);
      break;
    }
    case 'device-reset': {
      const fn = functionNumbered(m, owed.index);
      if (fn === undefined) break;
      if (fn.peerResets > 0) fn.peerResets--;
      functionMayBeReady(m, fn);
      break;
    }
  }
}

/** An answer to a request that was dropped is late: its epoch has passed, and it changes nothing. */
function requestAnswered(m: Parts, peer: Peer, request: Request, answer: PeerAnswer): void {
  const { fn, task } = request;
  if (request.dead || task === undefined) {
    m.trace.emit('late-answer', fn.bdf, request.id, request.epoch, fn.epoch);
    if (request.point === 'indeterminate') lateWriteAnswered(m, peer, request);
    return;
  }
  if (answer.kind === 'data') task.data.set(answer.data, request.dataOffset);
  if (answer.kind === 'error') {
    noteFailure(task, request.dataOffset, STATUS['completer-abort']);
    noteFailedRequest(m, request, STATUS['completer-abort']);
  }
  performed(m, request);
  advance(m, fn);
}

/** Requests of these that waited for an entry of page tables walk again. */
function walkOn(m: Parts, functions: ReadonlySet<FunctionState>): void {
  for (const fn of functions) advance(m, fn);
}

/** The owner takes another access: requests that waited for it go on, function by function. */
function giveCredit(m: Parts, peer: Peer): void {
  if (peer.waitingForCredit.size === 0) return;
  const waiting = [...peer.waitingForCredit];
  peer.waitingForCredit.clear();
  for (const bdf of waiting) {
    const fn = m.functions.get(bdf);
    if (fn !== undefined) advance(m, fn);
  }
}

/**
 * The peer no longer holds the clock; fences it has not answered are given up, and their ranges stay in the ledger; walks and lookups that wait for its page
 * tables end.
 */
export function peerSilent(m: Parts, peer: Peer): void {
  peer.silent = true;
  for (const owed of peer.owed.values()) {
    if (owed.kind === 'fence') giveUpFence(m, owed.requests);
    else if (owed.kind === 'request' && owed.request.point === 'indeterminate') giveUpFence(m, [owed.request]);
    else if (owed.kind === 'access') accessUnanswered(m, m.operations.get(owed.operation));
    else if (owed.kind === 'table-read') walkOn(m, entryAnswered(m, owed.read, undefined));
    else if (owed.kind === 'lookup') lookupAnswered(m, m.operations.get(owed.operation), owed.key, undefined);
    else if (owed.kind === 'table-update') walkOn(m, updateAnswered(m, peer, owed.update, undefined));
  }
  // Walks that wait for its credit end too.
  giveCredit(m, peer);
}

/** Its memory and its functions are absent, and nobody waits for its answers. Windows that it opened stay open. */
export function peerGone(m: Parts, peer: Peer): void {
  m.peers.detach(peer.id);
  const touched = new Set<Bdf>(peer.waitingForCredit);
  for (const owed of peer.owed.values()) {
    noteOwnersWrite(m, owed);
    if (owed.kind === 'request') {
      loseRequest(m, owed.request);
      touched.add(owed.request.fn.bdf);
    } else if (owed.kind === 'access') {
      if (owed.late === undefined) accessAnswered(m, owed, GONE);
    } else if (owed.kind === 'fence') {
      const [first] = owed.requests;
      // A fence is of one function.
      if (first !== undefined) forget(m, first.fn, owed.requests);
    } else {
      settleOwed(m, peer, owed, GONE);
    }
  }
  peer.owed.clear();
  for (const invalidation of releaseHoldsOf(m, peer.id)) deliver(m, invalidation);
  memoryVanished(m, peer.id);
  for (const fn of m.functionList) if (fn.claimedBy === peer.id) functionVanished(m, fn, peer.id);
  for (const bdf of touched) {
    const fn = m.functions.get(bdf);
    if (fn !== undefined) advance(m, fn);
  }
}

const GONE: PeerAnswer = { kind: 'error', code: 'EIO', message: 'the peer is gone; the outcome is unknown' };

/** A read errs as a completer abort; whether a write landed nobody will know. */
function loseRequest(m: Parts, request: Request): void {
  if (request.dead) {
    if (request.point === 'indeterminate') forget(m, request.fn, [request]);
    return;
  }
  request.dead = true;
  request.fn.entries = request.fn.entries.filter((entry) => entry !== request);
  end(m, request, request.posted ? STATUS.indeterminate : STATUS['completer-abort']);
  noteAbsentOwner(request, request.owner);
}
