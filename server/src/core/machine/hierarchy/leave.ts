/**
 * A function leaves the machine: pci_stop_and_remove_bus_device() (`drivers/pci/remove.c`) and iommu_release_device(), as steps under the reset lock and
 * the group mutex. Nobody waits for it afterwards: what named it is refused, and its requests have ended.
 */
import { NO_PASID, formatBdf, type Bdf } from '../../base/index.ts';
import { noteReleased, planGone, planLeave, releasedBy, type GroupDevice } from '../../iommu/index.ts';
import { forgetGathered } from '../ats/gathered.ts';
import { answerPageRequests } from '../ats/page-faults.ts';
import { forgetPageRequests } from '../ats/page-requester.ts';
import { LANDED, atStart, conclude, walk, type Phase } from '../calls/call-runner.ts';
import { tryLock, unlock } from '../calls/mutex.ts';
import { abortLedger, answerTranslationRequests, awaitLedger } from '../dma/dma-drain.ts';
import { dropInvalidations } from '../errors/cut-off.ts';
import { comeBack } from '../errors/link.ts';
import { resetInterrupts } from '../interrupts/intx.ts';
import type { Parts } from '../parts.ts';
import { unclaim } from '../remote/own-config.ts';
import { resetModel } from '../reset/model-life.ts';
import { dropWaitingResets } from '../reset/reset-locks.ts';
import { setGate, windowKey } from '../reset/window.ts';
import type { FunctionState, LeaveTask, Operation, Origin } from '../state.ts';
import { routePaths } from './routing.ts';
import { slotsEmptied } from './slots.ts';
import { topologyOf } from './topology-of.ts';

/** `surprise`: its link is down already. Its reply goes to `origin` when the function is gone. */
export function leave(
  m: Parts,
  origin: Origin,
  fn: FunctionState,
  of: Pick<LeaveTask, 'surprise' | 'deadlineNs' | 'reason' | 'aborted'>,
): void {
  const call = m.operations.start<LeaveTask>(origin, {
    kind: 'leave',
    ...atStart('leave', fn.bdf),
    fn,
    ...of,
    inFlight: of.aborted,
  });
  fn.leaving = call.id;
  m.leaving.add(call.id);
  resumeLeave(m, call);
}

export function resumeLeave(m: Parts, call: LeaveTask): void {
  walk(m, call, LEAVE);
}

/** A call that waits for a reset lock that is free now. For the machine's loop. */
export function takeLeaving(m: Parts): LeaveTask | undefined {
  for (const id of m.leaving) {
    const call = m.operations.get(id);
    if (call?.kind === 'leave' && call.heldBy === 0 && call.phase === 0 && call.fn.resetHolder === 0) return call;
  }
  return undefined;
}

const LEAVE: readonly Phase<LeaveTask>[] = [
  { step: undefined, run: lockReset },
  { step: 'lock', run: (m, call) => call.fn.device === undefined || tryLock(m, call.fn.device.group, call) },
  { step: 'gate', run: gate },
  { step: 'drained', run: (_m, call) => call.pending === 0 },
  { step: undefined, run: fence },
  { step: 'atc-completed', run: (_m, call) => call.pending === 0 },
  { step: undefined, run: forsake },
  LANDED,
  { step: 'unlock', run: finish },
];

/** device_lock(): a reset of it ends first, and none begins after this. */
function lockReset(_m: Parts, call: LeaveTask): boolean {
  const { fn } = call;
  if (fn.resetHolder !== 0 && fn.resetHolder !== call.id) return false;
  fn.resetHolder = call.id;
  return true;
}

/** The driver lets go: no new request, and what is in flight ends, until the deadline. */
function gate(m: Parts, call: LeaveTask): boolean {
  const { fn } = call;
  m.leaving.delete(call.id);
  setGate(m, fn, false);
  answerPageRequests(m, fn);
  const answered = answerTranslationRequests(m, fn);
  const awaited = awaitLedger(m, fn, call.id);
  call.pending += awaited;
  call.inFlight += answered + awaited;
  if (awaited === 0) return true;
  if (call.surprise || call.deadlineNs === 0) leaveDeadline(m, call);
  else call.alarm = m.clock.set(call.deadlineNs, 'operation', call.id);
  return true;
}

/** Also when its link goes down while it drains. */
export function leaveDeadline(m: Parts, call: LeaveTask): void {
  m.clock.cancel(call.alarm);
  call.alarm = 0;
  const { aborted, ended, indeterminate } = abortLedger(m, call.fn, call.id);
  m.operations.settleMany(call, ended);
  call.aborted += aborted + indeterminate.length;
}

function fence(m: Parts, call: LeaveTask): boolean {
  const { fn, surprise } = call;
  m.clock.cancel(call.alarm);
  call.alarm = 0;
  if (fn.device !== undefined) call.todo = [...planLeave(fn.device, !(surprise && m.strict))];
  return true;
}

function forsake(m: Parts, call: LeaveTask): boolean {
  const { device } = call.fn;
  if (device === undefined) return true;
  const { iommu } = m;
  call.todo = [...planGone(device), ...(iommu === undefined ? [] : releasedAsItLeaves(device).flatMap((one) => iommu.planReleased(one)))];
  return true;
}

function finish(m: Parts, call: LeaveTask): boolean {
  const { fn, origin } = call;
  const { device } = fn;
  if (device !== undefined) {
    admitReleased(m, device);
    closeWindows(m, fn);
    unlock(m, device.group);
    m.iommu?.remove(device);
    if (device.group.members.length === 0) m.operations.mutexes.delete(device.group.id);
  }
  conclude(m, call);
  takeOut(m, fn);
  m.outbox.event({ kind: 'hotplug', port: portOf(fn), bdf: fn.bdf, present: false, reason: call.reason, timeNs: m.clock.nowNs });
  m.outbox.reply(origin, {
    kind: 'function-unplug',
    functions: [fn.bdf],
    drained: call.inFlight - call.aborted,
    aborted: call.aborted,
    completed: call.completed,
    timedOut: call.timedOut,
    elapsedNs: m.outbox.elapsed(origin),
  });
  return true;
}

/** What blocks for it alone: the group's last window closes with it, or it shares a requester ID. */
function releasedAsItLeaves(device: GroupDevice): readonly GroupDevice[] {
  return releasedBy(device).filter((one) => one.waitsForAlias || device.resetDepth > 0);
}

function admitReleased(m: Parts, device: GroupDevice): void {
  for (const one of releasedAsItLeaves(device)) {
    noteReleased(one);
    const fn = m.functions.get(one.bdf);
    if (fn !== undefined) setGate(m, fn, true);
  }
}

function closeWindows(m: Parts, fn: FunctionState): void {
  const tokens = fn.device?.windows ?? [];
  for (const token of tokens) m.windowReports.delete(windowKey(fn, token));
  if (tokens.length > 0) m.outbox.event({ kind: 'window', bdf: fn.bdf, open: false, depth: 0, timeNs: m.clock.nowNs });
}

/** The machine no longer has it, and no call that names it waits. */
function takeOut(m: Parts, fn: FunctionState): void {
  fn.linkDown++;
  fn.device = undefined;
  unclaim(m, fn);
  dropFaults(m, fn);
  forgetGathered(m, fn);
  resetModel(m, fn);
  resetInterrupts(m, fn);
  forgetPageRequests(m, fn);
  dropInvalidations(m, fn);
  m.pageRequests.enabled.delete(fn.bdf);
  m.translation.setContext(fn.bdf, NO_PASID, undefined, false);
  m.translation.revokeGrants(fn.bdf, NO_PASID, 0, Infinity, 'invalidated');
  m.translation.contextChanges.delete(fn.bdf);
  m.functions.delete(fn.bdf);
  m.functionList.splice(m.functionList.indexOf(fn), 1);
  m.changedPorts.delete(fn);
  slotsEmptied(m, [fn]);
  refuseCalls(m, fn);
  m.topology = topologyOf(m.functionList, m.topology);
  routePaths(m.functions, m.topology);
}

/** Faults on purpose that act on it; a link that one keeps down trains again. */
function dropFaults(m: Parts, fn: FunctionState): void {
  for (const fault of fn.armed.values()) if (fault.victims !== undefined) comeBack(m, fault);
  fn.armed.clear();
  const { memory } = m.injected;
  memory.splice(0, Infinity, ...memory.filter(({ bdf }) => bdf !== fn.bdf));
}

/** Calls that stand in line for it, or are held before they do. */
function refuseCalls(m: Parts, fn: FunctionState): void {
  for (const operation of m.operations.values()) {
    if (!names(operation, fn)) continue;
    m.clock.cancel(operation.alarm);
    conclude(m, operation);
    refuseGone(m, operation.origin, fn.bdf);
  }
  for (const { origin } of dropWaitingResets(m, fn.bdf)) refuseGone(m, origin, fn.bdf);
}

type Named = Extract<Operation, { kind: 'change' | 'prepare' | 'done' }>;

function names(operation: Operation, fn: FunctionState): operation is Named {
  if (operation.kind === 'change') return operation.device.bdf === fn.bdf;
  return (operation.kind === 'prepare' || operation.kind === 'done') && operation.fn === fn;
}

function refuseGone(m: Parts, origin: Origin, bdf: Bdf): void {
  m.outbox.refuse(origin, 'ENODEV', `${formatBdf(bdf)} has gone: it was taken out of the machine while the call waited`, 'function');
}

function portOf(fn: FunctionState): Bdf | undefined {
  return fn.path[0]?.bdf;
}
