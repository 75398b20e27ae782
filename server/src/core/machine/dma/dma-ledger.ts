/**
 * The in-flight ledger: requests that something holds, moved on in issue order. Posted requests (writes, MSI, Invalidate Completions) take
 * effect in order; reads do not pass writes; a translation request passes both.
 */
import { PAGE_BYTES, join64, pageHigh, pageLow, pageNumber } from '../../base/index.ts';
import { STATUS, WAITING } from '../../translation/index.ts';
import { completionArrived } from '../ats/completion-arrived.ts';
import { startPeerAccess, targetAtRoot, turnAtPeer } from '../bus/peer-turn.ts';
import { useAnswers, waitsForEntry } from '../domains/table-reads.ts';
import { memoryFaultOn } from '../faults/memory-faults.ts';
import { takeMessage } from '../interrupts/interrupt-intake.ts';
import { intxArrived } from '../interrupts/intx-lines.ts';
import type { Parts } from '../parts.ts';
import { INJECTED, type DmaTask, type FunctionState, type Request } from '../state.ts';
import { performAtomic } from './atomics.ts';
import { fault } from './dma-failure.ts';
import { hold, stopsAt } from './dma-hold.ts';
import { rangeOf } from './dma-range.ts';
import { noteAbsentOwner } from './dma-task.ts';
import { holdsBackLater } from './gate.ts';
import { translatedPage } from './translated-page.ts';
import { NOBODY, wake } from './watchers.ts';

/** Requests that a function may have in flight before it is refused more: some 40 MB of entries, and posted calls take no credit. */
export const LEDGER_ENTRIES_MAX = 131_072;

/**
 * Puts a new request into its function's ledger and translates it unless it is held before that. False when translation refused it:
 * it has ended and is not in the ledger.
 */
export function enter(m: Parts, request: Request): boolean {
  if (!stopsAt(m, request, 'issued') && !translate(m, request)) return false;
  request.fn.entries.push(request);
  return true;
}

/** Moves every entry of the function as far as it can go. */
export function advance(m: Parts, fn: FunctionState): void {
  let kept = 0;
  // An earlier posted request that has not taken effect; -1 none, 0 here, otherwise all of them are with this one owner.
  let ahead = -1;
  let translatedAhead = false;
  const { entries } = fn;
  for (const request of entries) {
    const ended = moveOn(m, request, ahead, translatedAhead);
    if (ended) continue;
    entries[kept++] = request;
    if (holdsBackLater(request)) ahead = request.point === 'sent' && (ahead === -1 || ahead === request.owner) ? request.owner : 0;
    if (request.translated && request.point !== 'indeterminate') translatedAhead = true;
  }
  entries.length = kept;
}

/** One request as far as it can go; true when it has ended. */
function moveOn(m: Parts, request: Request, ahead: number, translatedAhead: boolean): boolean {
  if (request.held || (request.walk !== undefined && request.walk.owner !== 0)) return false;
  if (request.point === 'issued' && !translate(m, request)) return true;
  if (request.point === 'translated') {
    if (request.held) return false;
    if (!mayPerform(m, request, ahead, translatedAhead)) return false;
    perform(m, request);
  }
  if (request.point !== 'performed' || stopsAt(m, request, 'performed')) return false;
  end(m, request, STATUS.performed);
  return true;
}

function mayPerform(m: Parts, request: Request, ahead: number, translatedAhead: boolean): boolean {
  if (request.kind === 'translation') return true;
  if (request.kind === 'invalidation-completion') return ahead === -1 && !translatedAhead;
  if (ahead === -1) return true;
  // Writes to one owner keep their order on its connection, so they need not wait for each other's answers.
  return ahead > 0 && request.kind === 'memory' && m.memory.ownerOf(request.page) === ahead;
}

/** Translation, or the check of a translated address. False: it has ended with a fault. True, at the same point: it waits for page tables. */
function translate(m: Parts, request: Request): boolean {
  const { task } = request;
  if (request.kind === 'invalidation-completion' || request.kind === 'msi' || task === undefined) {
    request.point = 'translated';
    return true;
  }
  let status = walkFor(m, request, task);
  while (status === WAITING) {
    if (waitsForEntry(m, request)) return true;
    status = walkFor(m, request, task);
  }
  if (status !== STATUS.performed) {
    end(m, request, status);
    return false;
  }
  request.walk = undefined;
  // A translated request owes nothing to the tables; `strict` awaits it all the same, for nothing else keeps its page from being reused. One that has gone to a
  // peer has met no tables.
  if (request.peer === undefined && (!request.translated || m.strict)) request.spaceId = m.translation.spaceIdOf(task.context);
  request.point = 'translated';
  m.trace.emit('dma-translated', request.fn.bdf, request.id, request.page);
  stopsAt(m, request, 'translated');
  return true;
}

/** One walk, with what the owners of page tables have answered so far; a status, or WAITING. */
function walkFor(m: Parts, request: Request, task: DmaTask): number {
  const { translation } = m;
  useAnswers(m, request);
  const status = statusFor(m, request, task);
  translation.awaited.forget();
  return status;
}

function statusFor(m: Parts, request: Request, task: DmaTask): number {
  const pl = pageLow(request.iovaLow, request.iovaHigh);
  const ph = pageHigh(request.iovaHigh);
  const { translation } = m;
  if (request.kind === 'translation') {
    const { context, privileged, translations, fn } = task;
    const status = translation.translationRequest(context, pl, ph, request.access, privileged, fn.config.unitPagesLg2, translations);
    if (status === STATUS.performed) task.completion = translation.completion;
    return status;
  }
  if (request.viaAtc && !request.translated) {
    const page = translatedPage(m, task, pl, ph, request.access);
    if (page < 0) return -page;
    request.page = page;
    request.translated = true;
  }
  if (request.fn.turns) {
    const status = turnAtPeer(m, request, request.translated ? rangeOf(request).address : join64(request.iovaLow, request.iovaHigh));
    if (status !== STATUS.performed || request.peer !== undefined) return status;
  }
  if (request.translated) return checkTranslated(m, task, request.page, request.access, request.id);
  const status = task.privileged
    ? translation.translatePrivileged(task.context, pl, ph, request.access)
    : translation.translate(task.context, pl, ph, request.access);
  if (status === STATUS.performed) request.page = translation.resultPage;
  return status;
}

/**
 * What the translation agent does with a translated request. Outside every live grant: `strict` refuses it; Linux's hardware performs
 * it, and the detector says so.
 */
export function checkTranslated(m: Parts, task: DmaTask, page: number, access: number, request: number): number {
  if (m.iommu === undefined) return STATUS.performed;
  const status = m.translation.translatedRequest(task.context, page, access);
  if (status !== STATUS['stale-atc']) return status;
  const { fn } = task;
  m.trace.emit('stale-atc', fn.bdf, request, page, m.strict ? 0 : 1);
  if (m.strict) return status;
  const last = m.translation.grantHistory(fn.bdf, page)[0];
  const why = last === undefined ? 'never granted' : `granted at ${last.grantedNs} ns, ${last.why} at ${last.revokedNs} ns`;
  m.outbox.log('warn', fn.bdf, `stale-atc: a translated request reached page 0x${page.toString(16)} outside every live grant (${why})`);
  return STATUS.performed;
}

function perform(m: Parts, request: Request): void {
  const { task, fn } = request;
  if (request.kind === 'invalidation-completion') {
    completionArrived(m, request);
  } else if (request.kind === 'page-request') {
    arrive(m, request);
  } else if (request.kind === 'msi') {
    interrupt(m, request);
  } else if (request.kind === 'intx') {
    intxArrived(m, fn, request.itags === 1);
  } else if (request.kind === 'translation') {
    installGrant(request);
  } else if (task !== undefined) {
    if (goesWrong(m, task, request)) return;
    const owner = request.peer === undefined ? m.memory.ownerOf(request.page) : -1;
    if (owner > 0) {
      sendToOwner(m, request, owner);
      return;
    }
    if (owner < 0 && request.operation === 'write' && request.page === m.doorbellPage) {
      interrupt(m, request);
    } else if (owner < 0) {
      request.peer ??= targetAtRoot(m, request);
      if (request.peer !== undefined) {
        startPeerAccess(m, request, request.peer);
        return;
      }
      fault(m, request, STATUS['unsupported-request']);
    } else {
      performHere(m, task, request);
    }
  }
  performed(m, request);
}

/** What faults on purpose make of a request that reaches memory: true when it is not performed, or not yet. */
function goesWrong(m: Parts, task: DmaTask, request: Request): boolean {
  let status = (task.injected & INJECTED.poisoned) !== 0 ? STATUS.poisoned : STATUS.performed;
  if (status === STATUS.performed && m.injected.memory.length > 0) {
    const armed = memoryFaultOn(m, request);
    if (armed?.kind === 'memory-stalls') {
      request.stalledBy = armed.id;
      hold(m, request, armed.delayNs, true);
      return true;
    }
    if (armed !== undefined) status = STATUS[armed.error];
  }
  if (status === STATUS.performed) return false;
  fault(m, request, status);
  performed(m, request);
  return true;
}

function performHere(m: Parts, task: DmaTask, request: Request): void {
  const inPage = request.iovaLow & (PAGE_BYTES - 1);
  if (request.operation === 'write') m.memory.write(request.page, inPage, task.data, request.dataOffset, request.bytes);
  else if (request.operation === 'read') m.memory.read(request.page, inPage, task.data, request.dataOffset, request.bytes);
  else performAtomic(m.memory, request.page, inPage, request.operation, task.data, task.bytes);
}

/** The request took effect (or its answer came): what settles on it goes on. */
export function performed(m: Parts, request: Request): void {
  request.point = 'performed';
  m.trace.emit('dma-performed', request.fn.bdf, request.id, request.page, request.bytes);
  wake(m.operations, request.onPerformed);
  request.onPerformed = NOBODY;
}

/** The message comes to the translation agent. */
function arrive({ pageRequests }: Parts, { id }: Request): void {
  const message = pageRequests.inLedger.get(id);
  pageRequests.inLedger.delete(id);
  if (message !== undefined) pageRequests.arrived.push(message);
}

/** A message reaches whatever takes interrupts. */
function interrupt(m: Parts, request: Request): void {
  const status = takeMessage(m, request);
  if (status !== STATUS.performed) fault(m, request, status);
}

/** The translation completion reaches the function. One that an invalidation overtook is used for nothing (PCIe §10.3). */
function installGrant(request: Request): void {
  const { task, fn } = request;
  if (task === undefined) return;
  const iovaPage = pageNumber(pageLow(request.iovaLow, request.iovaHigh), pageHigh(request.iovaHigh));
  const { completion } = task;
  if (completion !== undefined && !request.overtaken && !task.privileged && fn.claim?.ownAtc !== true)
    fn.model.atc?.install(request.pasid, iovaPage, completion);
}

function sendToOwner(m: Parts, request: Request, owner: number): void {
  const { task, fn } = request;
  const peer = m.peers.get(owner);
  if (task !== undefined && peer === undefined) {
    // Whoever decodes the address takes the request, and cannot give what it asks for: the root complex, for memory of its own, aborts it.
    fault(m, request, STATUS['completer-abort']);
    noteAbsentOwner(request, owner);
    performed(m, request);
    return;
  }
  if (task === undefined || peer === undefined || (request.operation !== 'read' && request.operation !== 'write')) {
    fault(m, request, STATUS['unsupported-request']);
    performed(m, request);
    return;
  }
  if (peer.memoryOutstanding >= peer.memoryDepth) {
    peer.waitingForCredit.add(fn.bdf);
    return;
  }
  peer.memoryOutstanding++;
  request.point = 'sent';
  request.owner = owner;
  m.trace.emit('dma-sent', fn.bdf, request.id, owner, request.epoch);
  const address = BigInt(request.page) * BigInt(PAGE_BYTES) + BigInt(request.iovaLow & (PAGE_BYTES - 1));
  const { epoch, bytes, dataOffset } = request;
  const call =
    request.operation === 'read'
      ? ({ kind: 'memory-read', address, bytes, epoch } as const)
      : ({ kind: 'memory-write', address, data: task.data.subarray(dataOffset, dataOffset + bytes), epoch } as const);
  m.peers.call(peer, call, { kind: 'request', request });
}

/** Takes the request out of the world: its task counts it, and whoever waits for its end is woken. */
export function end(m: Parts, request: Request, status: number): void {
  const { task, fn } = request;
  if (status !== STATUS.performed) fault(m, request, status);
  if (request.holdAlarm !== 0) {
    m.clock.cancel(request.holdAlarm);
    m.timedHolds.delete(request.id);
  }
  m.trace.emit('dma-completed', fn.bdf, request.id, status, request.bytes);
  wake(m.operations, request.onPerformed);
  request.onPerformed = NOBODY;
  wake(m.operations, request.onEnded);
  request.onEnded = NOBODY;
  if (task !== undefined) m.operations.settleDma(task);
}
