/** Page requests that a command makes a function send, and those of a DMA whose translation requests were granted too little. */
import {
  ACCESS,
  ModelError,
  NO_PASID,
  PAGE_GROUPS,
  formatBdf,
  high32,
  join64,
  low32,
  pageHigh,
  pageLow,
  pageNumber,
  pageOf,
  pasid as checkPasid,
  type PageAnswer,
  type Pasid,
} from '../../base/index.ts';
import type { PageRequester } from '../../devices/index.ts';
import { STATUS, WAITING } from '../../translation/index.ts';
import type { ModelDma, ModelPageRequest, PageRequestCommand } from '../command.ts';
import { accessOf } from '../dma/dma-task.ts';
import { closedGate } from '../dma/gate.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState, Origin, PageRequestTask } from '../state.ts';
import { maySendPageRequests, pageRequestRoom, sendPageRequest, sendStopMarker } from './page-requester.ts';

const PAGES_OF_64_BITS = 2 ** 52;

type Fields = Omit<ModelPageRequest | PageRequestCommand, 'kind'>;

export function modelPageRequest(m: Parts, origin: Origin, fn: FunctionState, command: ModelPageRequest): void {
  if (!fn.model.initiatesDma) {
    throw new ModelError('EOPNOTSUPP', `${formatBdf(fn.bdf)} is a ${fn.model.name}; only a dma-probe does this on command`, 'function');
  }
  pageRequest(m, origin, fn, command);
}

export function pageRequest(m: Parts, origin: Origin, fn: FunctionState, command: Fields): void {
  const { pageRequester } = fn.model;
  if (pageRequester === undefined || fn.config.pageRequests === undefined) {
    throw new ModelError('EOPNOTSUPP', `${formatBdf(fn.bdf)} has no Page Request Interface`, 'function');
  }
  check(command, pageRequester);
  const { pasid } = command;
  if (!maySendPageRequests(fn)) {
    reply(m, origin, 'not-sent', command.group ?? 0);
  } else if (command.stopMarker) {
    sendStopMarker(m, fn, pasid);
    reply(m, origin, 'none', 0);
  } else if (hasPlace(m, origin, fn, pageRequester, command)) {
    const group = command.group ?? pageRequester.freeGroup();
    const task = command.last ? startTask(m, origin, fn, pasid, undefined) : undefined;
    sendPages(m, fn, command, group, consecutive(pageOf(command.iova), command.pages), task);
    if (task === undefined) reply(m, origin, 'none', group);
  }
}

function check(command: Fields, requester: PageRequester): void {
  const { iova, pages, access, pasid, privileged, group, stopMarker } = command;
  if (pasid !== NO_PASID) checkPasid(pasid);
  if (stopMarker) {
    if (pasid === NO_PASID) throw new ModelError('EINVAL', 'a Stop Marker is about a PASID', 'pasid');
    if (requester.hasBegun(pasid)) {
      throw new ModelError('EINVAL', `a group of PASID ${pasid} has no last request yet; a Stop Marker comes after it`, 'stop_marker');
    }
    return;
  }
  if (!Number.isInteger(pages) || pages < 1 || pages > PAGE_GROUPS) {
    throw new ModelError('EINVAL', `${pages} pages; a call requests 1 to ${PAGE_GROUPS}`, 'pages');
  }
  if (pageOf(iova) + pages > PAGES_OF_64_BITS) throw new ModelError('EINVAL', `${pages} pages from there go beyond 64 bits`, 'iova');
  if (![1, 2, 3, 5, 7].includes(access)) {
    throw new ModelError('EINVAL', `access ${access} is not made of 1 read, 2 write and, with read, 4 execute`, 'access');
  }
  if (privileged && pasid === NO_PASID) throw new ModelError('EINVAL', 'Privileged Mode Requested goes with a PASID', 'privileged');
  if (group === undefined) return;
  if (!Number.isInteger(group) || group < 0 || group >= PAGE_GROUPS) {
    throw new ModelError('EINVAL', `group ${group} is not 0 to ${PAGE_GROUPS - 1}`, 'group');
  }
  if (requester.stateOf(group, pasid) === 'other-pasid') {
    throw new ModelError('EINVAL', `group ${group} was begun with another PASID, or without one`, 'group');
  }
}

/** Whether there are a group and credits for it; refused otherwise. */
function hasPlace(m: Parts, origin: Origin, fn: FunctionState, requester: PageRequester, command: Fields): boolean {
  const { group, pasid, pages } = command;
  const room = pageRequestRoom(fn);
  if (group !== undefined && requester.stateOf(group, pasid) === 'whole') {
    m.outbox.refuse(origin, 'EBUSY', `group ${group} of ${formatBdf(fn.bdf)} waits for its answer`, 'group');
  } else if (pages > room) {
    m.outbox.refuse(origin, 'EAGAIN', `${formatBdf(fn.bdf)} may have ${room} more page requests outstanding, not ${pages}`, 'pages');
  } else if (group === undefined && requester.freeGroup() < 0) {
    m.outbox.refuse(origin, 'EAGAIN', `${formatBdf(fn.bdf)} has a group in every index`, 'group');
  } else {
    return true;
  }
  return false;
}

/** A DMA that asks for what is missing first: see {@link ModelDma.onFault}. */
export function startFaultingDma(m: Parts, origin: Origin, fn: FunctionState, command: ModelDma): PageRequestTask {
  // The bytes to be written are the caller's only until the command returns.
  const { data } = command;
  return startTask(m, origin, fn, command.pasid, data === undefined ? command : { ...command, data: new Uint8Array(data) });
}

/**
 * Another round of a faulting DMA: translation requests for all of its pages, and page requests for those that are missing. True when it waits for
 * an answer or for room; false: the DMA is to be done, as far as it goes.
 */
export function requestMissing(m: Parts, task: PageRequestTask): boolean {
  const { fn, dma } = task;
  const { pageRequester } = fn.model;
  const goesOn = task.answer === 'none' || task.answer === 'success';
  if (dma === undefined || pageRequester === undefined || !goesOn || closedGate(fn) !== undefined || !maySendPageRequests(fn)) return false;
  const access = accessOf(dma.operation, dma.write);
  const missing = missingPages(m, task, dma, access);
  if (missing.length === 0) return false;
  task.fruitless = missing.length < task.missing ? 0 : task.fruitless + (task.answer === 'success' ? 1 : 0);
  task.missing = missing.length;
  if (task.fruitless >= FRUITLESS_MAX) return false;
  const group = pageRequester.freeGroup();
  const room = group < 0 ? 0 : pageRequestRoom(fn);
  if (room > 0) {
    sendPages(m, fn, { pasid: dma.pasid, access, privileged: false, last: true }, group, missing.slice(0, room), task);
  } else {
    awaitRoom(m, task);
  }
  return true;
}

/** Answers of success after which no page more is there; then the operation ends where it ends. */
const FRUITLESS_MAX = 3;

function awaitRoom(m: Parts, task: PageRequestTask): void {
  const { waiting } = m.pageRequests;
  const line = waiting.get(task.fn.bdf);
  if (line === undefined) waiting.set(task.fn.bdf, [task.id]);
  else line.push(task.id);
  task.answer = 'none';
  task.pending = 1;
}

/** Pages of the DMA that the ATC has not with this access, and a translation request does not grant. */
function missingPages(m: Parts, task: PageRequestTask, dma: ModelDma, access: number): readonly number[] {
  const { atc } = task.fn.model;
  const { unitPagesLg2 } = task.fn.config;
  const context = m.translation.contextHandle(task.fn.bdf, dma.pasid);
  const start = join64(dma.iovaLow, dma.iovaHigh);
  const missing: number[] = [];
  for (let address = start & ~0xfffn; address < start + BigInt(dma.bytes); address += 0x1000n) {
    const low = pageLow(low32(address), high32(address));
    const high = pageHigh(high32(address));
    const page = pageNumber(low, high);
    if (atc !== undefined && atc.lookup(dma.pasid, page, access) >= 0) continue;
    const status = m.translation.translationRequest(context, low, high, access, false, unitPagesLg2);
    // The operation itself waits for the owner of the tables, and learns then.
    if (status === WAITING) continue;
    const granted = status === STATUS.performed ? m.translation.resultAccess : ACCESS.none;
    if ((granted & access) === access) atc?.install(dma.pasid, page, m.translation.completion);
    else missing.push(page);
  }
  return missing;
}

/** Its answer has come, or there is room: undefined where it goes on by itself, else the DMA that is to be done now. */
export function resumePageRequest(m: Parts, task: PageRequestTask): ModelDma | undefined {
  if (task.dma === undefined) {
    m.operations.end(task);
    reply(m, task.origin, task.answer, task.group);
    return undefined;
  }
  if (requestMissing(m, task)) return undefined;
  m.operations.end(task);
  return task.dma;
}

function sendPages(
  m: Parts,
  fn: FunctionState,
  of: { readonly pasid: Pasid; readonly access: number; readonly privileged: boolean; readonly last: boolean },
  group: number,
  pages: readonly number[],
  task: PageRequestTask | undefined,
): void {
  const { pasid, access, privileged } = of;
  const place = fn.model.pageRequester?.send(group, pasid, pages.length, of.last, task?.id ?? 0);
  if (place === undefined) return;
  if (task !== undefined) {
    task.group = group;
    task.answer = 'none';
    task.pending = 1;
  }
  for (const [index, page] of pages.entries()) {
    const last = of.last && index === pages.length - 1;
    sendPageRequest(m, fn, { bdf: fn.bdf, pasid, group, serial: place.serial, page, access, privileged, last });
  }
}

function consecutive(first: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

function startTask(m: Parts, origin: Origin, fn: FunctionState, pasid: Pasid, dma: ModelDma | undefined): PageRequestTask {
  return m.operations.start<PageRequestTask>(origin, {
    kind: 'page-request',
    fn,
    pasid,
    dma,
    group: 0,
    answer: 'none',
    missing: Infinity,
    fruitless: 0,
  });
}

function reply(m: Parts, origin: Origin, answer: PageAnswer, group: number): void {
  m.outbox.reply(origin, { kind: 'page-request', answer, group, elapsedNs: m.outbox.elapsed(origin) });
}
