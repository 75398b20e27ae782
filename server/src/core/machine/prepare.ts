/**
 * reset-prepare and reset-done: the window of `iommu/reset-window.ts` carried out (design §7).
 */
import { OK, errorName, formatBdf } from '../base/index.ts';
import { step, type GroupDevice, type WindowEffect, type WindowInput } from '../iommu/index.ts';
import type { ResetDone, ResetPrepare } from './command.ts';
import { abortLedger, answerTranslationRequests, awaitLedger } from './dma-drain.ts';
import { applyEffects, awaitInvalidations } from './invalidation.ts';
import { mutexFree, releaseMutex, takeMutex } from './mutex.ts';
import type { Parts } from './parts.ts';
import type { WindowReport } from './reply.ts';
import type { ClosedWindow, FunctionState, Origin, PrepareTask } from './state.ts';

export const NOTHING_DONE: WindowReport = {
  skipped: true,
  depth: 0,
  drained: 0,
  aborted: 0,
  indeterminate: 0,
  indeterminateRanges: [],
  completed: 0,
  timedOut: 0,
};

/** Windows that nest on one function: Linux's depth, of which a few are ever in use. */
const WINDOWS_MAX = 1024;

/** Nothing to fence: no IOMMU, or in Linux a function without ATS. */
function needsNoWindow(m: Parts, device: GroupDevice | undefined): device is undefined {
  return device === undefined || (!m.strict && !device.atsSupported);
}

export function prepare(m: Parts, origin: Origin, fn: FunctionState, command: ResetPrepare): void {
  const { device } = fn;
  if (needsNoWindow(m, device)) {
    m.outbox.reply(origin, { kind: 'reset-prepare', ...NOTHING_DONE, elapsedNs: 0 });
    return;
  }
  const open = m.windowReports.get(windowKey(fn, command.token));
  if (open !== undefined) {
    m.outbox.reply(origin, { kind: 'reset-prepare', ...open, elapsedNs: m.outbox.elapsed(origin) });
    return;
  }
  if (!mutexFree(m, device.group, origin, command)) return;
  if (device.windows.length >= WINDOWS_MAX) {
    m.outbox.refuse(origin, 'EAGAIN', `${formatBdf(fn.bdf)} has ${WINDOWS_MAX} open windows; close some first`, 'token');
    return;
  }
  if (isRefusedReentry(m, device)) {
    const text = `prepare: ${formatBdf(fn.bdf)} is in a group with an open window, and this Linux has no second one`;
    m.outbox.log('warn', fn.bdf, text);
    m.outbox.refuse(origin, 'EBUSY', text, 'function');
    return;
  }
  fn.closedWindows.delete(command.token);
  if (device.resetDepth > 0) {
    const report = { ...NOTHING_DONE, skipped: false, depth: ++device.resetDepth };
    device.windows.push(command.token);
    m.windowReports.set(windowKey(fn, command.token), report);
    m.trace.emit('prepare', fn.bdf, PHASE.nested, device.resetDepth);
    m.outbox.reply(origin, { kind: 'reset-prepare', ...report, elapsedNs: m.outbox.elapsed(origin) });
    return;
  }
  const { token, deadlineNs, onDeadline } = command;
  const task = m.operations.start<PrepareTask>(origin, {
    kind: 'prepare',
    fn,
    device,
    token,
    deadlineNs,
    onDeadline,
    inFlight: 0,
    aborted: 0,
    indeterminate: [],
  });
  takeMutex(m.operations, device.group, task);
  advanceWindow(m, task, { kind: 'prepare', drain: m.strict, onDeadline });
}

/** 7.0 had one window for a group, and none within it. */
function isRefusedReentry(m: Parts, { resetDepth, group }: GroupDevice): boolean {
  return resetDepth > 0 ? !m.fixes.has('0d5fd7a9323c') : group.recoveryCount > 0 && !m.fixes.has('b296ca1fb43a');
}

/** What it awaited has come: the ledger is empty, or the invalidations have settled. */
export function resumePrepare(m: Parts, task: PrepareTask): void {
  advanceWindow(m, task, { kind: task.device.window.at === 'fencing' ? 'invalidations-settled' : 'ledger-empty' });
}

export function prepareDeadline(m: Parts, task: PrepareTask): void {
  task.alarm = 0;
  advanceWindow(m, task, { kind: 'deadline' });
}

function advanceWindow(m: Parts, task: PrepareTask, input: WindowInput): void {
  const [next, effect] = step(task.device.window, input);
  task.device.window = next;
  // It is blocked when that has been done; the other phases begin with what they do.
  if (effect === 'commit') carryOut(m, task, effect);
  m.trace.emit('prepare', task.fn.bdf, PHASE[next.at], task.device.resetDepth, task.pending);
  if (effect !== 'commit') carryOut(m, task, effect);
}

/** The numbers that `prepare` trace records carry. */
const PHASE = { open: 0, draining: 1, aborting: 2, fencing: 3, blocked: 4, quarantined: 5, nested: 6 } as const;

function carryOut(m: Parts, task: PrepareTask, effect: WindowEffect): void {
  switch (effect) {
    case 'drain':
      drain(m, task);
      break;
    case 'abort':
      abort(m, task);
      break;
    case 'fence':
      fence(m, task);
      break;
    case 'commit':
      commit(m, task);
      break;
    case 'give-up':
      setGate(m, task.fn, task.device.window.at === 'open');
      giveUp(m, task, 'ETIMEDOUT', `${stillInFlight(task)} when the drain's deadline of ${task.deadlineNs} ns passed; nothing was changed`);
      break;
    case 'undo':
      setGate(m, task.fn, task.device.window.at === 'open');
      giveUp(m, task, 'EIO', `${formatBdf(task.fn.bdf)} could not be moved to its blocking domain; nothing was changed`);
      break;
    case 'none':
    case 'reopen':
    case 'quarantine':
      break;
  }
}

function drain(m: Parts, task: PrepareTask): void {
  const { fn } = task;
  setGate(m, fn, false);
  task.inFlight = answerTranslationRequests(m, fn) + awaitLedger(m, fn, task);
  if (task.pending === 0) m.operations.wake(task);
  else if (task.deadlineNs === 0) prepareDeadline(m, task);
  else task.alarm = m.clock.set(task.deadlineNs, 'operation', task.id);
}

function abort(m: Parts, task: PrepareTask): void {
  const { aborted, indeterminate } = abortLedger(m, task.fn);
  task.aborted = aborted;
  task.indeterminate = indeterminate;
}

function fence(m: Parts, task: PrepareTask): void {
  const { iommu } = m;
  const { device, fn } = task;
  m.clock.cancel(task.alarm);
  task.alarm = 0;
  if (iommu === undefined) return;
  awaitInvalidations(m, fn, task);
  const ats = device.atsEnabled;
  const start = iommu.startFence(device);
  if (start.error !== OK) {
    advanceWindow(m, task, { kind: 'fence-failed' });
    return;
  }
  applyEffects(m, task, start.effects);
  applyEffects(m, task, iommu.fence(device, ats));
  if (task.pending === 0) m.operations.wake(task);
}

function commit(m: Parts, task: PrepareTask): void {
  const { device, fn, token } = task;
  device.resetDepth = 1;
  device.windows.push(token);
  if (m.iommu !== undefined) applyEffects(m, undefined, m.iommu.commit(device));
  const indeterminate = task.indeterminate.length;
  const report: WindowReport = {
    skipped: false,
    depth: 1,
    drained: task.inFlight - task.aborted - indeterminate,
    aborted: task.aborted,
    indeterminate,
    indeterminateRanges: task.indeterminate,
    completed: task.completed,
    timedOut: task.timedOut,
  };
  m.trace.emit('drained', fn.bdf, report.drained, report.aborted, indeterminate);
  m.windowReports.set(windowKey(fn, token), report);
  m.outbox.event({ kind: 'window', bdf: fn.bdf, open: true, depth: 1, timeNs: m.clock.nowNs });
  m.outbox.reply(task.origin, { kind: 'reset-prepare', ...report, elapsedNs: m.outbox.elapsed(task.origin) });
  finish(m, task);
}

function giveUp(m: Parts, task: PrepareTask, code: 'ETIMEDOUT' | 'EIO', message: string): void {
  m.outbox.refuse(task.origin, code, message, formatBdf(task.fn.bdf));
  finish(m, task);
}

function finish(m: Parts, task: PrepareTask): void {
  m.clock.cancel(task.alarm);
  releaseMutex(m.operations, task.device.group);
  m.operations.end(task);
}

function stillInFlight(task: PrepareTask): string {
  const count = task.fn.entries.length;
  return `${count} request${count === 1 ? '' : 's'} of ${formatBdf(task.fn.bdf)} still in flight`;
}

/** Closed windows that a function's answers are kept of: a caller that asks again does so soon. */
const CLOSED_WINDOWS_MAX = 64;

/**
 * pci_dev_reset_iommu_done(). At depth 0, or for a window that is not open: a warning and no change (invariant 6). A token whose window was
 * closed gets the answer that closed it.
 */
export function done(m: Parts, origin: Origin, fn: FunctionState, command: ResetDone): void {
  const { device } = fn;
  if (needsNoWindow(m, device) || m.iommu === undefined) {
    m.outbox.reply(origin, { kind: 'reset-done', depth: 0, skipped: true, warning: '', elapsedNs: 0 });
    return;
  }
  if (!mutexFree(m, device.group, origin, command)) return;
  const tokens = command.all ? [...device.windows] : device.windows.filter((token) => token === command.token);
  if (tokens.length === 0) {
    const closed = command.all ? undefined : fn.closedWindows.get(command.token);
    answerDone(m, origin, closed ?? { depth: device.resetDepth, warning: warnNoWindow(m, fn, device, command) });
    return;
  }
  device.windows = device.windows.filter((token) => !tokens.includes(token));
  device.resetDepth = device.windows.length;
  for (const token of tokens) m.windowReports.delete(windowKey(fn, token));
  const closed = { depth: device.resetDepth, warning: device.resetDepth > 0 ? '' : closeLast(m, fn, device) };
  for (const token of tokens) remember(fn, token, closed);
  answerDone(m, origin, closed);
}

function warnNoWindow(m: Parts, fn: FunctionState, device: GroupDevice, command: ResetDone): string {
  const what = device.resetDepth === 0 ? ', which has no open window' : ` names window "${command.token}", which is not open`;
  const warning = `reset-done on ${formatBdf(fn.bdf)}${what}; nothing was changed`;
  m.outbox.log('warn', fn.bdf, warning);
  return warning;
}

function remember(fn: FunctionState, token: string, closed: ClosedWindow): void {
  fn.closedWindows.set(token, closed);
  const [oldest] = fn.closedWindows.keys();
  if (fn.closedWindows.size > CLOSED_WINDOWS_MAX && oldest !== undefined) fn.closedWindows.delete(oldest);
}

/** Restores translation, or quarantines; a sentence when it could not be restored. */
function closeLast(m: Parts, fn: FunctionState, device: GroupDevice): string {
  const stays = m.strict && fn.needsReset;
  let warning = stays ? `${formatBdf(fn.bdf)} stays blocked until a reset of it succeeds` : '';
  let restored = !stays;
  if (!stays && m.iommu !== undefined) {
    const change = m.iommu.restore(device);
    applyEffects(m, undefined, change.effects);
    if (change.error !== OK) {
      restored = !device.blocked;
      warning = `${formatBdf(fn.bdf)} could not be given back its domain (${errorName(change.error)}): the hardware still blocks it`;
    }
  }
  [device.window] = step(device.window, { kind: 'done', restored });
  device.quarantined = !restored;
  fn.needsReset = !restored;
  device.group.recoveryCount--;
  if (restored) setGate(m, fn, true);
  m.trace.emit('done', fn.bdf, 0, device.physical.id, restored ? 0 : 1);
  m.outbox.event({ kind: 'window', bdf: fn.bdf, open: false, depth: 0, timeNs: m.clock.nowNs });
  if (warning !== '') m.outbox.log('warn', fn.bdf, warning);
  return warning;
}

function answerDone(m: Parts, origin: Origin, closed: ClosedWindow): void {
  m.outbox.reply(origin, { kind: 'reset-done', ...closed, skipped: false, elapsedNs: m.outbox.elapsed(origin) });
}

function setGate(m: Parts, fn: FunctionState, open: boolean): void {
  if (fn.gateOpen === open) return;
  fn.gateOpen = open;
  m.trace.emit('gate', fn.bdf, open ? 1 : 0);
}

function windowKey(fn: FunctionState, token: string): string {
  return `${fn.bdf}/${token}`;
}
