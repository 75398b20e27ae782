/** Takes a call from step to step: until it waits for something, is held, or has ended. */
import { OK } from '../../base/index.ts';
import type { GroupStep } from '../../iommu/index.ts';
import { applyEffects, awaitInvalidations } from '../ats/invalidation.ts';
import type { Parts } from '../parts.ts';
import type { Pending, Stepped, SteppedCall } from '../state.ts';
import { stopsBefore } from './call-holds.ts';
import type { CallName, StepName } from './call-steps.ts';
import type { OperationTable } from './operation-table.ts';

/** One phase of a kind of call. */
export interface Phase<T> {
  /** Its name among the steps; undefined: it only says what the group's steps are, and cannot be held. */
  readonly step: StepName | undefined;
  /** False: it waits, and is asked again when what the call awaits has come. */
  run(m: Parts, call: T): boolean;
}

/** A phase of its own: what the steps before it have sent, or have found in flight, has been answered or performed. */
export const LANDED: Phase<SteppedCall> = { step: undefined, run: (_m, call) => call.pending === 0 };

/** The fields of a call that begins. */
export function atStart(call: CallName, bdf: Stepped['bdf']): Omit<Stepped, keyof Pending> {
  return { call, bdf, phase: 0, todo: [], error: OK, heldBy: 0, passes: false };
}

export function walk<T extends SteppedCall>(m: Parts, call: T, phases: readonly Phase<T>[]): void {
  while (call.heldBy === 0 && isAlive(m.operations, call)) {
    const [next] = call.todo;
    const phase = phases[call.phase];
    const name = next === undefined ? phase?.step : nameOf(next);
    if (name !== undefined && !call.passes && stopsBefore(m, call, name)) return;
    if (next !== undefined) {
      call.todo.shift();
      perform(m, call, next);
    } else {
      // Until it has gone on it is not held here again.
      call.passes = true;
      if (phase?.run(m, call) !== true) return;
      call.phase++;
    }
    call.passes = false;
  }
}

/** The call has been answered. */
export function conclude(m: Parts, call: SteppedCall): void {
  m.stoppedCalls.delete(call.id);
  m.operations.end(call);
}

function isAlive(operations: OperationTable, call: SteppedCall): boolean {
  return operations.get(call.id) === call;
}

function perform(m: Parts, call: SteppedCall, step: GroupStep): void {
  if (m.iommu === undefined) return;
  const { error, effects, steps } = m.iommu.perform(step);
  const fn = call.bdf === undefined ? undefined : m.functions.get(call.bdf);
  // What was sent to the function before is awaited with it (invariant 16).
  if (step.kind === 'whole-atc-sent' && fn !== undefined) awaitInvalidations(m, fn, call);
  applyEffects(m, call, effects);
  if (error !== OK) call.error = error;
  call.todo = error === OK ? [...steps, ...call.todo] : [...steps];
}

/** Step names that users hold calls at; undefined for what is no step of its own. */
function nameOf(step: GroupStep): StepName | undefined {
  switch (step.kind) {
    case 'fence':
    case 'park':
      return 'rid';
    case 'whole-atc-sent':
      return 'atc-sent';
    case 'warning':
      return undefined;
    default:
      return step.kind;
  }
}
