/**
 * A DMA operation from the function to the ledger (design §6). What nothing holds is done here page by page and allocates nothing; the
 * rest becomes requests that wait in the function's ledger.
 */
import { ACCESS, PAGE_BYTES, join64, pageHigh, pageLow, pageNumber, type DmaOperation } from '../../base/index.ts';
import { meetsPeer } from '../../pci/index.ts';
import { STATUS, WAITING } from '../../translation/index.ts';
import { targetAtRoot } from '../bus/peer-turn.ts';
import { blockingPort } from '../bus/source-check.ts';
import { noteFailedTask, noteViolation } from '../errors/error-queue.ts';
import { isLost } from '../errors/link.ts';
import { recordFault } from '../faults/faults.ts';
import { inject } from '../faults/inject.ts';
import { isInterruptPage, takesInterrupts } from '../interrupts/interrupt-intake.ts';
import type { Parts } from '../parts.ts';
import type { DmaTask, Request, RequestKind } from '../state.ts';
import { advance, checkTranslated, enter } from './dma-ledger.ts';
import { accessOf, noteFailure } from './dma-task.ts';
import { closedGate } from './gate.ts';
import { UNTRANSLATED, translatedPage } from './translated-page.ts';
import { NOBODY } from './watchers.ts';

/** Sends the operation on its way. When it has ended, `task` is ready among the operations. */
export function issueDma(m: Parts, task: DmaTask): void {
  const { fn } = task;
  if (task.vector < 0) fn.model.operationStarted();
  // The operation itself is one of the things awaited while it is being split, so that it cannot end half issued.
  task.pending = 1;
  if (closedGate(fn, task) !== undefined || (fn.armed.size > 0 && isLost(m, fn))) {
    noteFailure(task, 0, STATUS['gate-closed']);
    m.operations.settleDma(task);
    return;
  }
  const port = fn.path.length === 0 ? undefined : blockingPort(fn, task);
  if (port !== undefined) {
    task.requests++;
    noteFailure(task, 0, STATUS['completer-abort']);
    noteViolation(m, task, port);
    m.operations.settleDma(task);
    return;
  }
  // A function makes translation requests with its ATS Enable set, and not otherwise.
  if (task.operation === 'translate' && !fn.config.atsEnabled) {
    failAt(m, task, 0, STATUS['ats-forbidden'], ACCESS.read);
    m.operations.settleDma(task);
    return;
  }
  const armed = fn.armed.size > 0 ? inject(task) : undefined;
  const hold = task.hold ?? armed?.point ?? (fn.spec.latencyNs > 0 ? 'issued' : undefined);
  const holdNs = task.hold !== undefined ? task.holdNs : (armed?.delayNs ?? fn.spec.latencyNs);
  const plain = task.injected === 0 && m.injected.memory.length === 0 && !task.privileged && !task.execute;
  const direct = plain && hold === undefined && fn.entries.length === 0 && isBulk(task.operation);
  const from = direct ? runDirect(m, task) : 0;
  if (from < task.bytes && task.failedAt === task.bytes) issueRequests(m, task, from, hold, holdNs);
  m.operations.settleDma(task);
}

function isBulk(operation: DmaOperation): boolean {
  return operation === 'read' || operation === 'write';
}

/**
 * Does as much as is server RAM from the start on, and returns the offset at which the rest begins. Stops at the first failure.
 */
function runDirect(m: Parts, task: DmaTask): number {
  const { fn, data, bytes, context, translated } = task;
  const { translation, memory } = m;
  const { turns } = fn;
  const writes = task.operation === 'write';
  const access = writes ? ACCESS.write : ACCESS.read;
  const most = writes ? fn.config.maxPayloadBytes : fn.config.maxReadRequestBytes;
  const interrupts = !translated && takesInterrupts(m, task);
  let low = task.iovaLow;
  let high = task.iovaHigh;
  let offset = 0;
  while (offset < bytes) {
    const inPage = low & (PAGE_BYTES - 1);
    const count = Math.min(PAGE_BYTES - inPage, bytes - offset);
    const pl = pageLow(low, high);
    const ph = pageHigh(high);
    if (interrupts && isInterruptPage(pl, ph)) return offset;
    let page: number;
    let status: number;
    if (translated) {
      page = translatedPage(m, task, pl, ph, access);
      if (page === UNTRANSLATED || (turns && page >= 0 && meetsPeer(m.topology, fn.path, page))) return offset;
      status = page < 0 ? -page : checkTranslated(m, task, page, access, offset);
    } else {
      if (turns && meetsPeer(m.topology, fn.path, pageNumber(pl, ph))) return offset;
      status = translation.translate(context, pl, ph, access);
      page = translation.resultPage;
    }
    // Not all of the tables are here: a request in the ledger can wait for them.
    if (status === WAITING) return offset;
    if (status !== STATUS.performed) {
      // An ATC that got no translation has put no request for this page on the bus.
      if (page >= 0 || !translated) task.requests++;
      failAt(m, task, offset, status, access);
      return offset;
    }
    const owner = memory.ownerOf(page);
    if (owner > 0 || (owner < 0 && writes && page === m.doorbellPage)) return offset;
    if (owner < 0) {
      if (targetAtRoot(m, { page, iovaLow: low, bytes: 1 }) !== undefined) return offset;
      task.requests++;
      failAt(m, task, offset, STATUS['unsupported-request'], access);
      return offset;
    }
    if (writes) memory.write(page, inPage, data, offset, count);
    else memory.read(page, inPage, data, offset, count);
    task.requests += Math.ceil(count / most);
    offset += count;
    const next = low + count;
    low = next | 0;
    if (low >>> 0 < count) high = (high + 1) | 0;
  }
  return offset;
}

/** Splits the rest at page boundaries and at MPS (writes) or MRRS (reads), and lets each request go as far as it can. */
function issueRequests(m: Parts, task: DmaTask, from: number, hold: Request['holdAt'], holdNs: number): void {
  const { fn } = task;
  const most = task.operation === 'write' ? fn.config.maxPayloadBytes : fn.config.maxReadRequestBytes;
  const whole = !isBulk(task.operation);
  if (task.operation !== 'read') task.data = new Uint8Array(task.data);
  let address = join64(task.iovaLow, task.iovaHigh) + BigInt(from);
  let offset = from;
  let allHeld = true;
  while (offset < task.bytes) {
    const inPage = Number(address & BigInt(PAGE_BYTES - 1));
    const count = whole ? task.bytes : Math.min(PAGE_BYTES - inPage, task.bytes - offset, most);
    const request = makeRequest(m, task, address, offset, count, hold, holdNs);
    if (request === undefined) break;
    task.requests++;
    task.pending++;
    if (!enter(m, request)) break;
    if (!request.held) allHeld = false;
    offset += count;
    address = BigInt.asUintN(64, address + BigInt(count));
  }
  // Behind the others, held requests let nothing go on that could not before; looking at all in flight would cost the more the more there are.
  if (!allHeld) advance(m, fn);
}

/** Undefined when it fails before it is on the bus: an ATC miss that the translation agent refuses. */
function makeRequest(
  m: Parts,
  task: DmaTask,
  address: bigint,
  offset: number,
  bytes: number,
  hold: Request['holdAt'],
  holdNs: number,
): Request | undefined {
  const low = Number(BigInt.asIntN(32, address));
  const high = Number(BigInt.asIntN(32, address >> 32n));
  const pl = pageLow(low, high);
  const ph = pageHigh(high);
  const access = accessOf(task.operation, task.write) | (task.execute ? ACCESS.execute : 0);
  let page = task.translated ? translatedPage(m, task, pl, ph, access) : UNTRANSLATED;
  const viaAtc = page === -WAITING;
  if (page < 0 && page !== UNTRANSLATED && !viaAtc) {
    failAt(m, task, offset, -page, access);
    return undefined;
  }
  const msi = page === UNTRANSLATED && takesInterrupts(m, task) && isInterruptPage(pl, ph);
  const kind: RequestKind = task.operation === 'translate' ? 'translation' : msi ? 'msi' : 'memory';
  if (page < 0) page = -1;
  const request: Request = {
    id: m.nextRequest++,
    fn: task.fn,
    kind,
    task,
    operation: task.operation,
    posted: task.operation === 'write',
    iovaLow: low,
    iovaHigh: high,
    bytes,
    dataOffset: offset,
    pasid: task.pasid,
    translated: page >= 0,
    viaAtc,
    walk: undefined,
    itags: 0,
    completions: 0,
    epoch: task.fn.epoch,
    sinceNs: m.clock.nowNs,
    holdAt: hold,
    holdNs,
    holdAlarm: 0,
    held: false,
    timesOut: false,
    lateNs: 0,
    stalledBy: 0,
    point: 'issued',
    page,
    access,
    spaceId: -1,
    owner: 0,
    peer: undefined,
    stoppedBy: undefined,
    dead: false,
    overtaken: false,
    onPerformed: NOBODY,
    onEnded: NOBODY,
  };
  m.trace.emit('dma-issued', task.fn.bdf, request.id, pageNumber(pl, ph), bytes);
  return request;
}

/** A request that failed before it was in the ledger: counted, and a fault record where the translation agent writes one. */
function failAt(m: Parts, task: DmaTask, offset: number, status: number, access: number): void {
  if (!noteFailure(task, offset, status)) return;
  const { pasid, privileged } = task;
  const iova = faultAddress(task, offset);
  noteFailedTask(m, task, status, iova);
  recordFault(m, task.fn, { pasid, iova, access, privileged }, status);
}

function faultAddress(task: DmaTask, offset: number): bigint {
  return BigInt.asUintN(64, join64(task.iovaLow, task.iovaHigh) + BigInt(offset));
}
