/**
 * `strict`: a window of a physical function is one of its virtual functions too, for its reset takes them along. Linux opens none (invariant 26), so that
 * theirs go on translating for functions that may answer nothing.
 */
import type { ResetDone, ResetPrepare } from '../command.ts';
import { virtualFunctionsOf } from '../hierarchy/virtual-functions.ts';
import type { Parts } from '../parts.ts';
import type { Reply } from '../reply.ts';
import type { FunctionState, Origin, PrepareTask } from '../state.ts';
import { virtualToken } from './window.ts';

/** What opens a window and what closes one, handed in by those who do: they use this file too. */
export type Prepare = (m: Parts, origin: Origin, fn: FunctionState, command: ResetPrepare) => void;
export type Done = (m: Parts, origin: Origin, fn: FunctionState, command: ResetDone) => void;

/** Opens theirs before its own; the prepare awaits them. */
export function openVirtual(m: Parts, task: PrepareTask, prepare: Prepare): boolean {
  if (!m.strict) return true;
  const { fn, token, deadlineNs, onDeadline } = task;
  const virtual = virtualFunctionsOf(m, fn);
  task.pending += virtual.length;
  const origin = { operation: task.id, sinceNs: m.clock.nowNs };
  for (const one of virtual) {
    prepare(m, origin, one, { kind: 'reset-prepare', bdf: one.bdf, token: virtualToken(fn, token), deadlineNs, onDeadline });
  }
  return true;
}

/** One of them has its window, or was refused it. */
export function virtualAnswered(m: Parts, task: PrepareTask, reply: Reply): void {
  if (reply.kind === 'refused') task.refused ??= reply;
  m.operations.settle(task.id);
}

/** Its own has closed, or was refused. */
export function closeVirtual(m: Parts, physical: FunctionState, token: string, done: Done): void {
  if (!m.strict) return;
  const theirs = virtualToken(physical, token);
  for (const fn of virtualFunctionsOf(m, physical)) {
    if (fn.device?.windows.includes(theirs) !== true) continue;
    done(m, { peer: 0, token: 0, sinceNs: m.clock.nowNs }, fn, { kind: 'reset-done', bdf: fn.bdf, token: theirs, all: false });
  }
}
