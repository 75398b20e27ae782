// long: one sequence, read from its start to its end
/**
 * The reset of a function: pci_reset_function() (`drivers/pci/pci.c`) as a sequence of phases, and what the hardware does when it is
 * triggered. The device lock is held throughout; the group mutex only during prepare and done.
 */
import { formatBdf, type ResetMethod } from '../base/index.ts';
import type { ResetFunction, ResetTrigger } from './command.ts';
import { discardCompletions } from './dma-drain.ts';
import { done } from './done.ts';
import { faultActs } from './gate.ts';
import { forgetGathered } from './gathered.ts';
import { isLost } from './link.ts';
import { resetModel } from './model-life.ts';
import { enqueue } from './mutex.ts';
import { restorePageRequests } from './page-faults.ts';
import { forgetPageRequests } from './page-requester.ts';
import type { Parts } from './parts.ts';
import { NOTHING_DONE, prepare } from './prepare.ts';
import type { Reply } from './reply.ts';
import type { FunctionState, Operation, Origin, ResetPhase, ResetTask } from './state.ts';
import { followSriov, sriovReset } from './virtual-functions.ts';

const MS = 1_000_000;
/** Waits between the polls of Transactions Pending (pci_wait_for_pending). */
const PENDING_WAITS_MS = [0, 100, 200, 400] as const;
/** After Initiate FLR, before the function may be asked anything (PCIe §6.6.2). */
const FLR_WAIT_MS = 100;
/** Readiness polls double from 1 ms until the delay would pass this (PCIE_RESET_READY_POLL_MS). */
const READY_DELAY_MAX_MS = 60_000;
/** Characters that a caller's window token has at most. */
const CALLER_TOKEN_CHARS = 64;
/** Command while a reset runs: only Interrupt Disable (pci_dev_save_and_disable). */
const COMMAND_QUIET = 0x0400;

const STEP = { start: 0, 'pending-wait': 1, prepare: 2, settling: 3, polling: 4, done: 5 } as const satisfies Record<ResetPhase, number>;

export function resetFunction(m: Parts, origin: Origin, fn: FunctionState, command: ResetFunction): void {
  if (!mayReset(m, origin, fn, command)) return;
  const { method, window, deadlineNs, onDeadline } = command;
  const task = startTask(m, origin, fn, { method, whole: true, window, deadlineNs, onDeadline });
  task.saved = fn.config.save();
  fn.config.setCommand(COMMAND_QUIET);
  m.trace.emit('config-write', fn.bdf, 4, COMMAND_QUIET, 2);
  enterPhase(m, task, 'pending-wait');
}

/** The trigger with its readiness wait, and no window of its own. */
export function resetTrigger(m: Parts, origin: Origin, fn: FunctionState, command: ResetTrigger): void {
  if (!mayReset(m, origin, fn, command)) return;
  const task = startTask(m, origin, fn, { method: command.method, whole: false, window: false, deadlineNs: 0, onDeadline: 'abort' });
  trigger(m, task);
}

function mayReset(m: Parts, origin: Origin, fn: FunctionState, command: ResetFunction | ResetTrigger): boolean {
  if (fn.resetHolder !== 0) {
    let queue = m.operations.resetQueues.get(fn.bdf);
    if (queue === undefined) m.operations.resetQueues.set(fn.bdf, (queue = []));
    enqueue(m, queue, `a reset of ${formatBdf(fn.bdf)}`, { origin, command });
    return false;
  }
  const methods = fn.config.resetMethods();
  if (command.method !== 'flr' || !methods.includes('flr')) {
    const has = methods.length === 0 ? 'none' : methods.join(', ');
    m.outbox.refuse(
      origin,
      'ENOTTY',
      `${formatBdf(fn.bdf)} cannot be reset by ${command.method}; it announces ${has}, and flr is carried out`,
      'method',
    );
    return false;
  }
  return true;
}

type ResetFields = Pick<ResetTask, 'method' | 'whole' | 'window' | 'deadlineNs' | 'onDeadline'>;

function startTask(m: Parts, origin: Origin, fn: FunctionState, fields: ResetFields): ResetTask {
  const task = m.operations.start<ResetTask>(origin, {
    kind: 'reset',
    fn,
    ...fields,
    phase: 'start',
    poll: 0,
    pendingTimedOut: false,
    failed: false,
    saved: undefined,
    report: NOTHING_DONE,
    warning: '',
  });
  fn.resetHolder = task.id;
  return task;
}

/** Its alarm rang, or a part of it was answered. */
export function resumeReset(m: Parts, task: ResetTask): void {
  switch (task.phase) {
    case 'pending-wait':
      waitForPending(m, task);
      break;
    case 'settling':
    case 'polling':
      pollReadiness(m, task);
      break;
    case 'start':
    case 'prepare':
    case 'done':
      break;
  }
}

function enterPhase(m: Parts, task: ResetTask, phase: ResetPhase): void {
  task.phase = phase;
  m.trace.emit('reset-step', task.fn.bdf, STEP[phase]);
  if (phase === 'pending-wait') waitForPending(m, task);
}

/** A timeout is only logged, as in pcie_flr(). Posted writes set no Transactions Pending. */
function waitForPending(m: Parts, task: ResetTask): void {
  const pending = transactionsPending(task.fn);
  if (pending && task.poll < PENDING_WAITS_MS.length) {
    // The first wait is none: the second poll follows in the same step.
    sleep(m, task, PENDING_WAITS_MS[task.poll++]!);
    return;
  }
  if (pending) {
    task.pendingTimedOut = true;
    m.outbox.log('warn', task.fn.bdf, `${formatBdf(task.fn.bdf)}: timed out waiting for pending transactions; resetting anyway`);
  }
  if (task.window) {
    enterPhase(m, task, 'prepare');
    const { fn, deadlineNs, onDeadline } = task;
    prepare(m, part(m, task), fn, { kind: 'reset-prepare', bdf: fn.bdf, token: windowToken(task), deadlineNs, onDeadline });
  } else {
    trigger(m, task);
  }
}

export function transactionsPending(fn: FunctionState): boolean {
  return fn.entries.some((request) => !request.posted && request.point !== 'indeterminate');
}

/** The reply to the prepare or done that this reset asked for. */
export function resetPartAnswered(m: Parts, task: ResetTask, reply: Reply): void {
  if (reply.kind === 'refused') {
    endReset(m, task, reply);
  } else if (reply.kind === 'reset-prepare') {
    task.report = reply;
    trigger(m, task);
  } else if (reply.kind === 'reset-done') {
    task.warning = joinText(task.warning, reply.warning);
    succeed(m, task);
  }
}

function trigger(m: Parts, task: ResetTask): void {
  triggerHardware(m, task.fn, task.method);
  task.phase = 'settling';
  m.trace.emit('reset-step', task.fn.bdf, STEP.settling);
  sleep(m, task, FLR_WAIT_MS);
}

/**
 * What the function does when Initiate FLR is set, by a reset or by a configuration write: no new requests; posted writes land; completions
 * are discarded; its ATC is empty; registers as after a reset; until it is ready it answers nothing.
 */
export function triggerHardware(m: Parts, fn: FunctionState, method: ResetMethod): void {
  if (isLost(m, fn)) return;
  fn.resetting = true;
  fn.needsReset = false;
  fn.neverReady = faultActs(fn, 'never-ready') !== undefined;
  fn.atcKept = faultActs(fn, 'atc-survives-reset') !== undefined;
  discardCompletions(m, fn, method);
  forgetGathered(m, fn);
  if (!fn.atcKept) fn.model.atc?.clear();
  resetModel(m, fn);
  fn.config.reset('flr');
  forgetPageRequests(m, fn);
  sriovReset(m, fn, fn.resetHolder !== 0);
  fn.readyAtNs = m.clock.nowNs + FLR_WAIT_MS * MS;
  m.clock.set(FLR_WAIT_MS * MS, 'function', fn.index);
  const peer = m.peers.get(fn.claimedBy);
  if (peer !== undefined) {
    fn.peerResets++;
    m.peers.call(peer, { kind: 'device-reset', bdf: fn.bdf, method }, { kind: 'device-reset', bdf: fn.bdf, index: fn.index });
  }
}

/** The time that FLR takes is over, or the peer has answered its reset. */
export function functionMayBeReady(m: Parts, fn: FunctionState): void {
  if (!fn.resetting || fn.peerResets > 0 || fn.neverReady || m.clock.nowNs < fn.readyAtNs) return;
  fn.resetting = false;
  // A completion that was sent before the reset may still come, and must find the debt that it pays.
  const answering = fn.entries.some((request) => request.kind === 'invalidation-completion');
  if (!answering) m.invalidations.functionReset(fn.bdf);
  m.trace.emit('function-ready', fn.bdf);
}

function pollReadiness(m: Parts, task: ResetTask): void {
  const { fn } = task;
  if (!fn.resetting && fn.linkDown === 0) {
    close(m, task);
    return;
  }
  if (task.phase === 'settling') {
    task.phase = 'polling';
    task.poll = 1;
  }
  if (fn.linkDown !== 0 || task.poll > READY_DELAY_MAX_MS) {
    fn.needsReset = true;
    task.failed = true;
    task.warning = `${formatBdf(fn.bdf)} ${fn.linkDown !== 0 ? 'is disconnected' : `was not ready ${task.poll - 1} ms after ${task.method}`}; giving up`;
    m.outbox.log('warn', fn.bdf, task.warning);
    close(m, task);
    return;
  }
  sleep(m, task, task.poll);
  task.poll *= 2;
}

function close(m: Parts, task: ResetTask): void {
  const { fn } = task;
  if (task.window) {
    enterPhase(m, task, 'done');
    done(m, part(m, task), fn, { kind: 'reset-done', bdf: fn.bdf, token: windowToken(task), all: false });
  } else {
    succeed(m, task);
  }
}

function succeed(m: Parts, task: ResetTask): void {
  const { fn, method } = task;
  if (task.failed) {
    endReset(m, task, {
      kind: 'refused',
      code: 'ENOTTY',
      message: task.warning,
      about: 'method',
      elapsedNs: m.outbox.elapsed(task.origin),
    });
    return;
  }
  if (!task.whole) {
    endReset(m, task, { kind: 'ok', elapsedNs: m.outbox.elapsed(task.origin) });
    return;
  }
  endReset(m, task, {
    kind: 'reset',
    method,
    pendingTimedOut: task.pendingTimedOut,
    warning: task.warning,
    ...withoutKind(task.report),
    depth: fn.device?.resetDepth ?? 0,
    elapsedNs: m.outbox.elapsed(task.origin),
  });
}

function withoutKind(report: ResetTask['report']): ResetTask['report'] {
  const { skipped, depth, drained, aborted, indeterminate, indeterminateRanges, completed, timedOut } = report;
  return { skipped, depth, drained, aborted, indeterminate, indeterminateRanges, completed, timedOut };
}

/** Restores the saved state (also after a failure) and lets the next reset of the function in. */
function endReset(m: Parts, task: ResetTask, reply: Reply): void {
  const { fn } = task;
  if (task.saved !== undefined && !fn.resetting && fn.linkDown === 0) {
    const atsEnabled = fn.device?.atsEnabled ?? fn.config.atsEnabled;
    fn.config.restore(task.saved);
    if (fn.config.atsSupported) fn.config.setAtsEnable(atsEnabled);
    restorePageRequests(m, fn);
  }
  followSriov(m, fn);
  fn.resetHolder = 0;
  m.operations.end(task);
  m.outbox.reply(task.origin, reply);
}

/** The next command that waits for a reset lock that is free. */
export function takeWaitingReset(m: Parts): { readonly origin: Origin; readonly command: ResetFunction | ResetTrigger } | undefined {
  for (const [bdf, queue] of m.operations.resetQueues) {
    if (m.functions.get(bdf)?.resetHolder !== 0) continue;
    const next = queue.shift();
    if (queue.length === 0) m.operations.resetQueues.delete(bdf);
    if (next !== undefined && (next.command.kind === 'reset' || next.command.kind === 'reset-trigger')) {
      return { origin: next.origin, command: next.command };
    }
  }
  return undefined;
}

function sleep(m: Parts, task: Operation, ms: number): void {
  task.alarm = m.clock.set(ms * MS, 'operation', task.id);
}

function part(m: Parts, task: ResetTask): Origin {
  return { operation: task.id, sinceNs: m.clock.nowNs };
}

/** Longer than a caller's token can be, so that no caller's window is taken for it. */
function windowToken(task: ResetTask): string {
  return `the window of reset ${task.id}`.padEnd(CALLER_TOKEN_CHARS + 1, '.');
}

function joinText(first: string, second: string): string {
  if (first === '') return second;
  return second === '' ? first : `${first}; ${second}`;
}
