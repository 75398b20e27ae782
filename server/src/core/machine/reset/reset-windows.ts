import type { Parts } from '../parts.ts';
import type { Reply, WindowReport } from '../reply.ts';
import type { Origin, ResetTask } from '../state.ts';
/** The windows that a reset opens and closes of itself, on each function that it fences. */
import { done } from './done.ts';
import { prepare } from './prepare.ts';
import { NOTHING_DONE, resetToken, windowKey } from './window.ts';

/** Asks for a window on each; the replies come to {@link windowAnswered}. */
export function openWindows(m: Parts, task: ResetTask): 'next' | 'again' {
  const { fenced, request } = task;
  if (!request.window || fenced.length === 0) {
    task.windows.push(false);
    return 'next';
  }
  task.windows.push(true);
  const { deadlineNs, onDeadline } = request;
  const token = tokenOf(task);
  task.parts = fenced.length;
  for (const fn of fenced) prepare(m, part(m, task), fn, { kind: 'reset-prepare', bdf: fn.bdf, token, deadlineNs, onDeadline });
  return 'again';
}

/** Closes what the matching prepare has opened. */
export function closeWindows(m: Parts, task: ResetTask): 'next' | 'again' {
  const token = tokenOf(task);
  const opened = task.windows.pop() === true ? task.fenced.filter((fn) => m.windowReports.has(windowKey(fn, token))) : [];
  if (opened.length === 0) return 'next';
  // `strict`: whoever is not back is not given its translation back, also where Linux has asked another in its place.
  for (const fn of opened) if (m.strict && fn.resetting) fn.needsReset = true;
  task.parts = opened.length;
  for (const fn of opened) done(m, part(m, task), fn, { kind: 'reset-done', bdf: fn.bdf, token, all: false });
  return 'again';
}

/** True: all have been answered, and the reset goes on. */
export function windowAnswered(task: ResetTask, reply: Reply): boolean {
  if (reply.kind === 'refused') task.error ??= reply;
  else if (reply.kind === 'reset-prepare') noteOpened(task, reply);
  else if (reply.kind === 'reset-done') task.warning = joinText(task.warning, reply.warning);
  return --task.parts === 0;
}

/** What the windows inside another do is nothing. */
function noteOpened(task: ResetTask, report: WindowReport): void {
  if (task.windows.length > 1) return;
  task.report = task.report === NOTHING_DONE ? report : sum(task.report, report);
}

function sum(a: WindowReport, b: WindowReport): WindowReport {
  return {
    skipped: a.skipped && b.skipped,
    depth: Math.max(a.depth, b.depth),
    drained: a.drained + b.drained,
    aborted: a.aborted + b.aborted,
    indeterminate: a.indeterminate + b.indeterminate,
    indeterminateRanges: [...a.indeterminateRanges, ...b.indeterminateRanges],
    completed: a.completed + b.completed,
    timedOut: a.timedOut + b.timedOut,
  };
}

function part(m: Parts, task: ResetTask): Origin {
  return { operation: task.id, sinceNs: m.clock.nowNs };
}

function tokenOf(task: ResetTask): string {
  return resetToken(task.windows.length, task.id);
}

function joinText(first: string, second: string): string {
  if (first === '') return second;
  return second === '' ? first : `${first}; ${second}`;
}
