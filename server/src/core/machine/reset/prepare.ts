/** reset-prepare: the window of `iommu/reset-window.ts` opened (design §7). */
import { OK, formatBdf } from '../../base/index.ts';
import { step, type GroupDevice, type WindowEffect, type WindowInput } from '../../iommu/index.ts';
import { answerPageRequests } from '../ats/page-faults.ts';
import { LANDED, atStart, conclude, walk, type Phase } from '../calls/call-runner.ts';
import { tryLock, unlock } from '../calls/mutex.ts';
import type { ResetPrepare } from '../command.ts';
import { abortLedger, answerTranslationRequests, awaitLedger } from '../dma/dma-drain.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState, Origin, PrepareTask } from '../state.ts';
import { done } from './done.ts';
import { closeVirtual, openVirtual } from './virtual-windows.ts';
import { NOTHING_DONE, needsNoWindow, setGate, windowKey } from './window.ts';

/** Windows that nest on one function: Linux's depth, of which a few are ever in use. */
const WINDOWS_MAX = 1024;

export function prepare(m: Parts, origin: Origin, fn: FunctionState, command: ResetPrepare): void {
  const { device } = fn;
  if (needsNoWindow(m, device)) {
    m.outbox.reply(origin, { kind: 'reset-prepare', ...NOTHING_DONE, elapsedNs: 0 });
    return;
  }
  const { token, deadlineNs, onDeadline } = command;
  const task = m.operations.start<PrepareTask>(origin, {
    kind: 'prepare',
    ...atStart('prepare', fn.bdf),
    fn,
    device,
    token,
    deadlineNs,
    onDeadline,
    inFlight: 0,
    aborted: 0,
    indeterminate: [],
    report: NOTHING_DONE,
    refused: undefined,
  });
  resumePrepare(m, task);
}

/** What it awaited has come, or it was let go. */
export function resumePrepare(m: Parts, task: PrepareTask): void {
  walk(m, task, PREPARE);
}

const PREPARE: readonly Phase<PrepareTask>[] = [
  { step: 'test', run: test },
  { step: undefined, run: (m, task) => openVirtual(m, task, prepare) },
  { step: undefined, run: virtualOpened },
  { step: 'lock', run: (m, task) => tryLock(m, task.device.group, task) },
  { step: 'check', run: check },
  { step: 'gate', run: gate },
  { step: 'drained', run: drained },
  { step: undefined, run: fence },
  { step: 'atc-completed', run: settled },
  { step: undefined, run: commit },
  // In Linux nothing keeps a PASID's requests back before it is moved; strict has drained them.
  LANDED,
  { step: 'count', run: count },
  { step: 'unlock', run: answer },
];

function virtualOpened(m: Parts, task: PrepareTask): boolean {
  if (task.pending > 0) return false;
  const { refused, fn, token } = task;
  if (refused === undefined) return true;
  conclude(m, task);
  closeVirtual(m, fn, token, done);
  m.outbox.refuse(task.origin, refused.code, `of a virtual function: ${refused.message}`, refused.about);
  return true;
}

/** A window that is open already: the same token gets the same answer, and needs no mutex. */
function test(m: Parts, task: PrepareTask): boolean {
  const open = m.windowReports.get(windowKey(task.fn, task.token));
  if (open === undefined) return true;
  task.report = open;
  conclude(m, task);
  reply(m, task);
  return true;
}

function check(m: Parts, task: PrepareTask): boolean {
  const { device, fn, token, origin } = task;
  const open = m.windowReports.get(windowKey(fn, token));
  if (open !== undefined) {
    task.report = open;
    return answerAtOnce(m, task);
  }
  if (device.windows.length >= WINDOWS_MAX) {
    finish(m, task);
    closeVirtual(m, fn, token, done);
    m.outbox.refuse(origin, 'EAGAIN', `${formatBdf(fn.bdf)} has ${WINDOWS_MAX} open windows; close some first`, 'token');
    return true;
  }
  if (isRefusedReentry(m, device)) {
    const text = `prepare: ${formatBdf(fn.bdf)} is in a group with an open window, and this Linux has no second one`;
    finish(m, task);
    m.outbox.log('warn', fn.bdf, text);
    m.outbox.refuse(origin, 'EBUSY', text, 'function');
    return true;
  }
  fn.closedWindows.delete(token);
  if (device.resetDepth === 0) return true;
  task.report = { ...NOTHING_DONE, skipped: false, depth: ++device.resetDepth };
  device.windows.push(token);
  m.windowReports.set(windowKey(fn, token), task.report);
  m.trace.emit('prepare', fn.bdf, PHASE.nested, device.resetDepth);
  return answerAtOnce(m, task);
}

function answerAtOnce(m: Parts, task: PrepareTask): boolean {
  finish(m, task);
  reply(m, task);
  return true;
}

function reply(m: Parts, { origin, report }: PrepareTask): void {
  m.outbox.reply(origin, { kind: 'reset-prepare', ...report, elapsedNs: m.outbox.elapsed(origin) });
}

/** 7.0 had one window for a group, and none within it. */
function isRefusedReentry(m: Parts, { resetDepth, group }: GroupDevice): boolean {
  return resetDepth > 0 ? !m.fixes.has('0d5fd7a9323c') : group.recoveryCount > 0 && !m.fixes.has('b296ca1fb43a');
}

export function prepareDeadline(m: Parts, task: PrepareTask): void {
  task.alarm = 0;
  // With nothing left to wait for, it has drained in time, and something else keeps it.
  if (task.device.window.at === 'draining' && task.pending === 0) return;
  advanceWindow(m, task, { kind: 'deadline' });
}

function advanceWindow(m: Parts, task: PrepareTask, input: WindowInput): void {
  const [next, effect] = step(task.device.window, input);
  task.device.window = next;
  m.trace.emit('prepare', task.fn.bdf, PHASE[next.at], task.device.resetDepth, task.pending);
  carryOut(m, task, effect);
}

/** The numbers that `prepare` trace records carry. */
const PHASE = { open: 0, draining: 1, aborting: 2, fencing: 3, blocked: 4, quarantined: 5, nested: 6 } as const;
/** The phases in the order of those numbers. */
export const PREPARE_PHASES = Object.keys(PHASE) as readonly (keyof typeof PHASE)[];

/** What has no step of its own; the fence and what follows it are the group's steps. */
function carryOut(m: Parts, task: PrepareTask, effect: WindowEffect): void {
  switch (effect) {
    case 'drain':
      drain(m, task);
      break;
    case 'abort':
      abort(m, task);
      break;
    case 'give-up':
      setGate(m, task.fn, task.device.window.at === 'open');
      giveUp(m, task, 'ETIMEDOUT', `${stillInFlight(task)} when the drain's deadline of ${task.deadlineNs} ns passed; nothing was changed`);
      break;
    case 'undo':
      setGate(m, task.fn, task.device.window.at === 'open');
      giveUp(m, task, 'EIO', `${formatBdf(task.fn.bdf)} could not be moved to its blocking domain; nothing was changed`);
      break;
    case 'fence':
    case 'commit':
    case 'none':
    case 'reopen':
    case 'quarantine':
      break;
  }
}

function gate(m: Parts, task: PrepareTask): boolean {
  advanceWindow(m, task, { kind: 'prepare', drain: m.strict, onDeadline: task.onDeadline });
  return true;
}

function drain(m: Parts, task: PrepareTask): void {
  const { fn } = task;
  setGate(m, fn, false);
  answerPageRequests(m, fn);
  const answered = answerTranslationRequests(m, fn);
  const awaited = awaitLedger(m, fn, task.id);
  task.pending += awaited;
  task.inFlight = answered + awaited;
  if (task.pending === 0) return;
  if (task.deadlineNs === 0) prepareDeadline(m, task);
  else task.alarm = m.clock.set(task.deadlineNs, 'operation', task.id);
}

function abort(m: Parts, task: PrepareTask): void {
  const { aborted, ended, indeterminate } = abortLedger(m, task.fn, task.id);
  m.operations.settleMany(task, ended);
  task.aborted = aborted;
  task.indeterminate = indeterminate;
}

function drained(m: Parts, task: PrepareTask): boolean {
  if (task.pending > 0) return false;
  if (task.device.window.at !== 'fencing') advanceWindow(m, task, { kind: 'ledger-empty' });
  return true;
}

function fence(m: Parts, task: PrepareTask): boolean {
  m.clock.cancel(task.alarm);
  task.alarm = 0;
  if (m.iommu === undefined) return true;
  const plan = m.iommu.planFence(task.device);
  task.error = plan.error;
  task.todo = [...plan.steps];
  return true;
}

function settled(m: Parts, task: PrepareTask): boolean {
  if (task.error !== OK) {
    advanceWindow(m, task, { kind: 'fence-failed' });
    return true;
  }
  return task.pending === 0;
}

function commit(m: Parts, task: PrepareTask): boolean {
  if (m.iommu !== undefined) task.todo = [...m.iommu.planCommit(task.device)];
  return true;
}

function count(m: Parts, task: PrepareTask): boolean {
  const { device, fn, token } = task;
  device.resetDepth = 1;
  device.broken = false;
  device.quarantined = false;
  device.waitsForAlias = false;
  device.windows.push(token);
  device.group.recoveryCount++;
  advanceWindow(m, task, { kind: 'invalidations-settled' });
  const indeterminate = task.indeterminate.length;
  task.report = {
    skipped: false,
    depth: 1,
    drained: task.inFlight - task.aborted - indeterminate,
    aborted: task.aborted,
    indeterminate,
    indeterminateRanges: task.indeterminate,
    completed: task.completed,
    timedOut: task.timedOut,
  };
  m.trace.emit('drained', fn.bdf, task.report.drained, task.report.aborted, indeterminate);
  m.windowReports.set(windowKey(fn, token), task.report);
  return true;
}

function answer(m: Parts, task: PrepareTask): boolean {
  m.outbox.event({ kind: 'window', bdf: task.fn.bdf, open: true, depth: 1, timeNs: m.clock.nowNs });
  return answerAtOnce(m, task);
}

function giveUp(m: Parts, task: PrepareTask, code: 'ETIMEDOUT' | 'EIO', message: string): void {
  closeVirtual(m, task.fn, task.token, done);
  m.outbox.refuse(task.origin, code, message, formatBdf(task.fn.bdf));
  finish(m, task);
}

function finish(m: Parts, task: PrepareTask): void {
  m.clock.cancel(task.alarm);
  unlock(m, task.device.group);
  conclude(m, task);
}

function stillInFlight(task: PrepareTask): string {
  const waiting = task.fn.entries.length;
  return `${waiting} request${waiting === 1 ? '' : 's'} of ${formatBdf(task.fn.bdf)} still in flight`;
}
