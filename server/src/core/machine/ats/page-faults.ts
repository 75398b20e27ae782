/**
 * Page requests at the translation agent, and the software behind it: what functions sent is taken in, queued, made into groups, given to hosts as
 * page faults, and answered once each. Groups whose domain or function goes are answered Invalid Request.
 */
import { ModelError, NO_PASID, addressOfPage, type PageResponseCode, type Pasid } from '../../base/index.ts';
import type { Domain, GroupDevice, PageFaultGroup } from '../../iommu/index.ts';
import { isStopMarker, type PageRequest } from '../../translation/index.ts';
import type { PageResponse } from '../command.ts';
import type { Parts } from '../parts.ts';
import type { PageFault, PageRange } from '../reply.ts';
import type { FunctionState, Origin } from '../state.ts';
import { deliverPageResponse, forgetPageRequests, roomChanged } from './page-requester.ts';

/** What has come is taken in, then software has its turn. True where anything was done. */
export function settlePageRequests(m: Parts): boolean {
  const { arrived, queue } = m.pageRequests;
  const { contextChanges } = m.translation;
  if (arrived.length === 0 && contextChanges.size === 0) return false;
  for (const request of arrived.splice(0)) arrive(m, request);
  for (const bdf of contextChanges) {
    const fn = m.functions.get(bdf);
    if (fn !== undefined) contextChanged(m, fn);
  }
  contextChanges.clear();
  const { requests, overflowed } = queue.take();
  for (const request of requests) report(m, request);
  // What came before the overflow is whole where its last request came; the rest of it will not come.
  if (overflowed) discardPartial(m);
  return true;
}

function arrive(m: Parts, request: PageRequest): void {
  const fn = m.functions.get(request.bdf);
  const allowed = fn?.gateOpen === true && mayFault(m, fn, request.pasid);
  const answer = m.pageRequests.queue.receive(request, allowed);
  if (answer !== undefined) deliverPageResponse(m, request, answer);
}

/** iopf_queue_discard_partial(): whichever groups are not whole may have lost their last request. */
function discardPartial(m: Parts): void {
  const discarded = m.pageRequests.faults.discardPartial();
  m.outbox.log(
    'warn',
    undefined,
    `the page request queue overflowed; ${discarded} page requests of groups that were not whole are discarded`,
  );
}

function report(m: Parts, request: PageRequest): void {
  const device = m.iommu?.device(request.bdf);
  // What its context holds: a call that is held between two steps may have the group's table say another.
  const domain = request.pasid === NO_PASID ? device?.physical : device?.pasidPhysical.get(request.pasid);
  const reported = m.pageRequests.faults.report(request, domain);
  if (reported.kind === 'refused') {
    deliverPageResponse(m, request, 'invalid');
  } else if (reported.kind === 'group') {
    const { group } = reported;
    m.trace.emit('page-fault', request.bdf, group.number, request.group, group.requests.length);
    m.outbox.event({ kind: 'page-fault', ...describeFault(group) });
  } else if (!isStopMarker(request) && domain?.faults !== true) {
    m.trace.emit('page-request-dropped', request.bdf, request.group, request.page, 1);
  }
}

/** The answer of a host. EINVAL where no such group is pending. */
export function pageResponse(m: Parts, origin: Origin, command: PageResponse): void {
  const { fault, answer } = command;
  if (m.iommu === undefined) throw new ModelError('EOPNOTSUPP', `machine "${m.spec.name}" has no IOMMU`);
  if (!RESPONSES.includes(answer)) throw new ModelError('EINVAL', `a page fault is answered ${RESPONSES.join(', ')}`, 'answer');
  const group = m.pageRequests.faults.answer(fault);
  if (group === undefined) {
    m.outbox.refuse(origin, 'EINVAL', `no page fault ${fault} is pending; its domain or function may have gone meanwhile`, 'fault');
    return;
  }
  deliverPageResponse(m, group.last, answer);
  m.outbox.ok(origin);
}

const RESPONSES: readonly PageResponseCode[] = ['success', 'invalid', 'failure'];

export function pageFaultList(m: Parts): readonly PageFault[] {
  if (m.iommu === undefined) throw new ModelError('EOPNOTSUPP', `machine "${m.spec.name}" has no IOMMU`);
  return [...m.pageRequests.faults.pending()].map(describeFault);
}

/** Every group of the function is answered Invalid Request, and parts of groups are dropped: a drain, or the function is leaving. */
export function answerPageRequests(m: Parts, fn: FunctionState): void {
  answerInvalid(
    m,
    m.pageRequests.faults.takeGone(fn.bdf, () => true),
  );
}

/** A context of the function was set: groups whose domain it no longer has are answered, and its Page Request Interface follows. */
function contextChanged(m: Parts, fn: FunctionState): void {
  const { bdf, device } = fn;
  const { translation } = m;
  const gone = m.pageRequests.faults.takeGone(bdf, (pasid, domain) => {
    if (!mayFault(m, fn, pasid)) return true;
    return domain !== undefined && translation.contextSpace(bdf, pasid)?.id !== domain.space.id;
  });
  answerInvalid(m, gone);
  if (device !== undefined) enableInterface(m, fn, hasFaultCapable(m, fn, device));
}

function answerInvalid(m: Parts, groups: readonly PageFaultGroup[]): void {
  for (const group of groups) deliverPageResponse(m, group.last, 'invalid');
}

/** Whether the context honours page requests: those of a function with an ATC only with its ATS requests. */
function mayFault({ translation }: Parts, { bdf, model }: FunctionState, pasid: Pasid): boolean {
  return model.atc === undefined ? translation.contextSpace(bdf, pasid)?.type === 'paging' : translation.atsAllowed(bdf, pasid);
}

function hasFaultCapable(m: Parts, fn: FunctionState, device: GroupDevice): boolean {
  const capable = (domain: Domain, pasid: Pasid): boolean => domain.faults && mayFault(m, fn, pasid);
  if (capable(device.physical, NO_PASID)) return true;
  for (const [pasid, domain] of device.pasidPhysical) if (capable(domain, pasid)) return true;
  return false;
}

/** The IOMMU driver enables the interface with all of its capacity when the first fault-capable domain is attached, and disables it with the last. */
function enableInterface(m: Parts, fn: FunctionState, on: boolean): void {
  const { enabled } = m.pageRequests;
  if (enabled.has(fn.bdf) === on) return;
  if (on) enabled.add(fn.bdf);
  else enabled.delete(fn.bdf);
  setInterface(m, fn, on);
}

/** After configuration space was restored: the interface is as the IOMMU core wants it now, whatever was saved. */
export function restorePageRequests(m: Parts, fn: FunctionState): void {
  if (fn.device !== undefined) setInterface(m, fn, m.pageRequests.enabled.has(fn.bdf));
}

function setInterface(m: Parts, fn: FunctionState, on: boolean): void {
  const { pageRequests } = fn.config;
  if (pageRequests === undefined) return;
  // Of a virtual function it is its physical function's, which it neither enables nor disables (pci_enable_pri).
  if (fn.physical !== undefined) {
    roomChanged(m, fn);
    return;
  }
  // pci_reset_pri(), then pci_enable_pri(): what a function had begun before is not gone on with.
  if (on && !pageRequests.enabled) forgetPageRequests(m, fn);
  if (on) pageRequests.enable(pageRequests.capacity);
  else pageRequests.disable();
  roomChanged(m, fn);
}

function describeFault(group: PageFaultGroup): PageFault {
  const { number, timeNs, domain, last, requests } = group;
  const ranges: PageRange[] = [];
  let end = -1;
  for (const { page, access, privileged } of requests) {
    const before = ranges.at(-1);
    if (before !== undefined && page === end && before.access === access && before.privileged === privileged) {
      ranges[ranges.length - 1] = { ...before, pages: before.pages + 1 };
    } else {
      ranges.push({ iova: addressOfPage(page), pages: 1, access, privileged });
    }
    end = page + 1;
  }
  return { number, timeNs, bdf: last.bdf, pasid: last.pasid, group: last.group, domain: domain.id, ranges };
}
