/** A function whose link goes down for good: what it had on the way is lost, and from here on it answers nothing. */
import { STATUS } from '../../translation/index.ts';
import { forgetGathered } from '../ats/gathered.ts';
import { forgetPageRequests } from '../ats/page-requester.ts';
import { abortLedger } from '../dma/dma-drain.ts';
import { end } from '../dma/dma-ledger.ts';
import { intxArrived } from '../interrupts/intx-lines.ts';
import { resetInterrupts } from '../interrupts/intx.ts';
import type { Parts } from '../parts.ts';
import { endAsNobodyAnswers } from '../remote/accesses.ts';
import { unclaim } from '../remote/own-config.ts';
import { resetModel } from '../reset/model-life.ts';
import type { FunctionState } from '../state.ts';

/**
 * Requests that a memory owner has stay known until it answers. Invalidations of it: in `strict` they come back as unsupported at once, since the port
 * reports that its link is down; Linux waits for each until its time is up.
 * Returns how many requests were lost.
 */
export function cutOff(m: Parts, fn: FunctionState): number {
  fn.linkDown++;
  unclaim(m, fn);
  m.trace.emit('link', fn.bdf, 0);
  const { aborted, indeterminate } = abortLedger(m, fn);
  resetInterrupts(m, fn);
  dropMessages(m, fn);
  // The port above takes its INTx back, whatever came of the function's own messages (PCIe Base r6.0 §2.2.8.1).
  intxArrived(m, fn, false);
  forgetGathered(m, fn);
  fn.model.atc?.clear();
  resetModel(m, fn);
  forgetPageRequests(m, fn);
  answerAccesses(m, fn);
  if (m.strict) dropInvalidations(m, fn);
  return aborted + indeterminate.length;
}

/** Messages that stand behind its writes never come. */
function dropMessages(m: Parts, fn: FunctionState): void {
  fn.entries = fn.entries.filter((request) => {
    if (request.kind !== 'invalidation-completion' && request.kind !== 'page-request' && request.kind !== 'intx') return true;
    request.dead = true;
    m.pageRequests.inLedger.delete(request.id);
    end(m, request, STATUS.aborted);
    return false;
  });
  m.pageRequests.arrived.splice(0, Infinity, ...m.pageRequests.arrived.filter(({ bdf }) => bdf !== fn.bdf));
}

/** Register accesses that its peer has not answered end as accesses do where nothing is. */
function answerAccesses(m: Parts, fn: FunctionState): void {
  for (const task of m.operations.values()) {
    if (task.kind !== 'peer-access' || task.index !== fn.index) continue;
    endAsNobodyAnswers(m, task);
  }
}

/** What was sent to it settles, also what a host holds on its way. */
export function dropInvalidations(m: Parts, fn: FunctionState): void {
  for (const [id, { invalidation }] of m.stoppedCalls) if (invalidation?.bdf === fn.bdf) m.stoppedCalls.delete(id);
  m.invalidations.functionGone(fn.bdf);
}
