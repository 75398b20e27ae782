/**
 * A function's side of page requests (PCIe §10.4): sending them in order, what a PRG Response does, and its registers. What its requests were for is
 * an operation that awaits the answer.
 */
import { PAGE_ANSWERS, formatBdf, type PageAnswer, type PageResponseCode, type Pasid } from '../../base/index.ts';
import type { PageRequest } from '../../translation/index.ts';
import { holdsBackLater } from '../dma/gate.ts';
import { enterMessage } from '../dma/ledger-message.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState } from '../state.ts';

/** Whether the function may send page requests now. Bus Master Enable does not gate messages. One that another program plays has no ATC, and needs no ATS. */
export function maySendPageRequests(fn: FunctionState): boolean {
  const { config, spec } = fn;
  if (fn.resetting || fn.linkDown !== 0 || config.powerState !== 0 || (spec.model === 'remote' && fn.claimedBy === 0)) return false;
  return (config.atsEnabled || fn.model.atc === undefined) && config.pageRequests?.enabled === true && !config.pageRequests.responseFailure;
}

/** How many more page requests the function may have outstanding. */
export function pageRequestRoom(fn: FunctionState): number {
  const { pageRequester } = fn.model;
  return Math.max(0, (fn.config.pageRequests?.allocation ?? 0) - (pageRequester?.outstanding ?? 0));
}

/** A posted message: it stands behind the writes that the function issued earlier. */
export function sendPageRequest(m: Parts, fn: FunctionState, request: PageRequest): void {
  const { bdf, group, page, access, last } = request;
  m.trace.emit('page-request', bdf, group, page, access | (last ? 8 : 0));
  if (!fn.entries.some(holdsBackLater)) {
    m.pageRequests.arrived.push(request);
    return;
  }
  const id = enterMessage(m, fn, 'page-request', {
    operation: 'translate',
    iovaLow: page << 12,
    iovaHigh: Math.floor(page / 2 ** 20) | 0,
    pasid: request.pasid,
    access,
  });
  m.pageRequests.inLedger.set(id, request);
}

/** A PRG Response message, of the group whose last request this was. */
export function deliverPageResponse(m: Parts, { bdf, group, serial }: PageRequest, code: PageResponseCode): void {
  const fn = m.functions.get(bdf);
  const requester = fn?.model.pageRequester;
  if (fn === undefined || requester === undefined) return;
  // In a reset it takes no messages; a response that finds the interface disabled by a failure is ignored.
  const listens = !fn.resetting && fn.linkDown === 0 && fn.config.pageRequests?.responseFailure !== true;
  const waiter = listens ? requester.respond(group, serial) : undefined;
  if (waiter === undefined) {
    if (listens) fn.config.pageRequests?.noteUnexpectedGroup();
    m.trace.emit('page-response-late', bdf, group, PAGE_ANSWERS.indexOf(code));
    return;
  }
  m.trace.emit('page-response', bdf, group, PAGE_ANSWERS.indexOf(code), requester.outstanding);
  settleWaiters(m, [waiter], code);
  if (code === 'failure') failInterface(m, fn);
  roomChanged(m, fn);
}

/** Response Failure: the interface is disabled, and no answer to another group counts (PCIe §10.4.2). */
function failInterface(m: Parts, fn: FunctionState): void {
  const { pageRequests } = fn.config;
  pageRequests?.noteResponseFailure();
  pageRequests?.disable();
  settleWaiters(m, fn.model.pageRequester?.reset() ?? [], 'failure');
  m.outbox.log('warn', fn.bdf, `${formatBdf(fn.bdf)}: Response Failure to a page request; its Page Request Interface is disabled`);
}

/** The function stops using a PASID and says so: it no longer waits for answers to what it requested for it. */
export function sendStopMarker(m: Parts, fn: FunctionState, pasid: Pasid): void {
  settleWaiters(m, fn.model.pageRequester?.stop(pasid) ?? [], 'forgotten');
  m.trace.emit('stop-marker', fn.bdf, pasid);
  sendPageRequest(m, fn, { bdf: fn.bdf, pasid, group: 0, serial: 0, page: 0, access: 0, privileged: false, last: true });
}

/** A reset, or Reset of Page Request Control: the function has forgotten its groups. A response that still comes is late. */
export function forgetPageRequests(m: Parts, fn: FunctionState): void {
  settleWaiters(m, fn.model.pageRequester?.reset() ?? [], 'forgotten');
  roomChanged(m, fn);
}

/** Credits came back, or the registers changed: Stopped follows, and who waited for room looks again. */
export function roomChanged(m: Parts, fn: FunctionState): void {
  const { pageRequests } = fn.config;
  pageRequests?.setStopped(!pageRequests.enabled && (fn.model.pageRequester?.outstanding ?? 0) === 0);
  const waiting = m.pageRequests.waiting.get(fn.bdf);
  if (waiting === undefined) return;
  m.pageRequests.waiting.delete(fn.bdf);
  for (const id of waiting) m.operations.settle(id);
}

function settleWaiters(m: Parts, waiters: readonly number[], answer: PageAnswer): void {
  for (const id of waiters) {
    const task = m.operations.get(id);
    if (task?.kind !== 'page-request') continue;
    task.answer = answer;
    m.operations.settle(id);
  }
}
