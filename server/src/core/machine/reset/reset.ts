/**
 * A reset from its first lock to its reply: pci_reset_function(), pci_reset_bus() and the probes (`drivers/pci/pci.c`). It goes through lists of
 * steps ({@link ./reset-steps.ts}): those round the methods, and those of each method that is tried ({@link ./reset-methods.ts}).
 */
import { RESET_METHODS, assert, formatBdf } from '../../base/index.ts';
import { followSriov } from '../hierarchy/virtual-functions.ts';
import type { Parts } from '../parts.ts';
import type { Reply } from '../reply.ts';
import type { Deferred, FunctionState, Origin, ResetRequest, ResetStep, ResetTask } from '../state.ts';
import { lockOrWait, lockingOf, type Locking } from './reset-locks.ts';
import { wholeBusSteps } from './reset-methods.ts';
import { isProbe, replyOf } from './reset-reply.ts';
import { STEPS, stepsOf } from './reset-steps.ts';
import { windowAnswered } from './reset-windows.ts';
import { NOTHING_DONE } from './window.ts';

const ENTER: readonly ResetStep[] = ['announce', 'power-up', 'save'];
const LEAVE: readonly ResetStep[] = ['restore', 'announce-end'];
const NONE: readonly ResetStep[] = [];

/**
 * Begins, or waits for its locks. `origin` gets one reply: `reset`, `bus-reset`, `reset-methods`, or without `whole` of a function `ok`; `refused` where it
 * failed. A part of another operation names it as its origin.
 */
export function startReset(m: Parts, origin: Origin, request: ResetRequest): void {
  start(m, origin, request, true);
}

/** One that waited, and can have its locks now. */
export function startWaitingReset(m: Parts, { origin, request }: Deferred): void {
  start(m, origin, request, false);
}

function start(m: Parts, origin: Origin, request: ResetRequest, mayWait: boolean): void {
  const fn = m.functions.get(request.bdf);
  if (fn === undefined) {
    m.outbox.refuse(origin, 'ENODEV', `there is no function at ${formatBdf(request.bdf)} any more`, 'function');
    return;
  }
  const locking = lockingOf(m, fn, request);
  if (mayWait && !lockOrWait(m, origin, request, locking)) return;
  const task = newTask(m, origin, fn, request, locking);
  for (const one of locking.locked) one.resetHolder = task.id;
  walk(m, task);
}

function newTask(m: Parts, origin: Origin, fn: FunctionState, request: ResetRequest, { functions, locked }: Locking): ResetTask {
  const { goal, whole, methods } = request;
  const wholeBus = goal === 'bus' || goal === 'slot';
  const bridge = wholeBus ? fn : fn.path[0];
  const [first] = bridge === undefined ? [] : m.topology.children(bridge.bdf);
  return m.operations.start<ResetTask>(origin, {
    kind: 'reset',
    request,
    fn,
    functions,
    locked,
    fenced: wholeBus ? functions.filter(({ config }) => !config.isBridge) : [fn],
    bridge,
    child: first === undefined ? undefined : m.functions.get(first),
    part: 'enter',
    steps: whole ? ENTER : NONE,
    at: 0,
    methods,
    method: undefined,
    tried: [],
    poll: 0,
    parts: 0,
    windows: [],
    unmasked: false,
    error: undefined,
    pendingTimedOut: false,
    report: NOTHING_DONE,
    warning: '',
  });
}

/** Its alarm rang. */
export function resumeReset(m: Parts, task: ResetTask): void {
  walk(m, task);
}

/** A reply to a prepare or done that it asked for. */
export function resetPartAnswered(m: Parts, task: ResetTask, reply: Reply): void {
  if (windowAnswered(task, reply)) walk(m, task);
}

function walk(m: Parts, task: ResetTask): void {
  for (;;) {
    const step = task.steps[task.at];
    if (step === undefined) {
      if (!nextPart(m, task)) return;
      continue;
    }
    const row = STEPS[step];
    // Of a method that has failed only what undoes something is done. A window that was not opened is not closed.
    if (task.error !== undefined && row.undoes !== true) {
      if (step === 'prepare' && task.poll === 0) task.windows.push(false);
    } else {
      if (task.poll === 0) trace(m, task, step);
      if (row.run(m, task) === 'again') return;
    }
    task.at++;
    task.poll = 0;
  }
}

/** The next list of steps; false: it has ended. */
function nextPart(m: Parts, task: ResetTask): boolean {
  if (task.part === 'leave') {
    end(m, task);
    return false;
  }
  if (task.part === 'method' && isDecided(task)) return enter(task, 'leave', task.request.whole ? LEAVE : NONE);
  const [method, ...others] = task.methods;
  if (method === undefined) return enter(task, 'leave', task.request.whole ? LEAVE : NONE);
  task.method = method;
  task.methods = others;
  task.error = undefined;
  const { goal, window } = task.request;
  return enter(task, 'method', goal === 'bus' || goal === 'slot' ? wholeBusSteps(m, task.fn, window) : stepsOf(m, task));
}

function enter(task: ResetTask, part: ResetTask['part'], steps: readonly ResetStep[]): true {
  task.part = part;
  task.steps = steps;
  task.at = 0;
  task.poll = 0;
  return true;
}

/** Of a method that was done: 0 stops the walk, -ENOTTY lets the next one try, anything else stops it (invariant 31). A probe goes on after success. */
function isDecided(task: ResetTask): boolean {
  const { error, method, request } = task;
  assert(method !== undefined, 'a method was done');
  task.tried.push({ method, error: error?.code });
  if (error === undefined) return !isProbe(request.goal);
  return error.code !== 'ENOTTY';
}

function end(m: Parts, task: ResetTask): void {
  // With VF Enable restored, virtual functions go on; without it they are gone.
  if (task.request.ofRecovery !== true) for (const one of task.functions) followSriov(m, one);
  for (const one of task.locked) one.resetHolder = 0;
  m.operations.end(task);
  m.outbox.reply(task.origin, replyOf(m, task));
}

/** In the order of the numbers that `reset-step` trace records carry. */
export const RESET_STEPS = Object.keys(STEPS) as readonly ResetStep[];
const STEP_NUMBER = new Map<ResetStep, number>(RESET_STEPS.map((step, number) => [step, number]));

function trace(m: Parts, task: ResetTask, step: ResetStep): void {
  const method = task.method === undefined ? -1 : RESET_METHODS.indexOf(task.method);
  m.trace.emit('reset-step', task.fn.bdf, STEP_NUMBER.get(step) ?? -1, method);
}
