/**
 * The device locks of resets (device_lock): a reset has those of all functions that it concerns, and of the bridge above, or none of them. Those that
 * wait get them in the order in which they came.
 */
import { formatBdf, type Bdf } from '../../base/index.ts';
import { QUEUED_MAX, tooMany } from '../calls/mutex.ts';
import { functionsBelow } from '../hierarchy/routing.ts';
import type { Parts } from '../parts.ts';
import type { Deferred, FunctionState, Origin, ResetRequest } from '../state.ts';

export interface Locking {
  /** What it resets, bridges before what is below them; none where it only probes. */
  readonly functions: readonly FunctionState[];
  readonly locked: readonly FunctionState[];
}

export function lockingOf(m: Parts, fn: FunctionState, request: ResetRequest): Locking {
  const { functions, locked } = lockingOfGoal(m, fn, request);
  return { functions, locked: request.ofRecovery === true ? [] : locked };
}

function lockingOfGoal(m: Parts, fn: FunctionState, { goal }: ResetRequest): Locking {
  switch (goal) {
    case 'function':
    case 'trigger':
      return { functions: [fn], locked: fn.path[0] === undefined ? [fn] : [fn.path[0], fn] };
    case 'bus':
    case 'slot': {
      const functions = functionsBelow(m, fn);
      return { functions, locked: [fn, ...functions] };
    }
    case 'probe':
    case 'reprobe':
    case 'set-methods':
      return { functions: [], locked: [] };
  }
}

/** True: every lock is free, and nobody who came before waits for one. Otherwise it waits, or is refused with EAGAIN. */
export function lockOrWait(m: Parts, origin: Origin, request: ResetRequest, { locked }: Locking): boolean {
  const waiting = m.operations.waitingResets;
  const wanted = waiting.length === 0 ? [] : waiting.flatMap((one) => lockedBy(m, one));
  const held = locked.find((fn) => fn.resetHolder !== 0 || wanted.includes(fn));
  if (held === undefined) return true;
  const { bdf, tryLock } = request;
  if (tryLock) {
    m.outbox.refuse(origin, 'EAGAIN', `${formatBdf(held.bdf)} is locked by another reset; try again later`, 'try_lock');
  } else if (waiting.filter((one) => one.request.bdf === bdf).length < QUEUED_MAX) {
    waiting.push({ origin, request });
  } else {
    m.outbox.refuse(origin, 'EAGAIN', tooMany(`a reset of ${formatBdf(bdf)}`));
  }
  return false;
}

/** The next reset that waits and can have its locks. */
export function takeWaitingReset(m: Parts): Deferred | undefined {
  const waiting = m.operations.waitingResets;
  if (waiting.length === 0) return undefined;
  const wanted = new Set<FunctionState>();
  for (const [at, one] of waiting.entries()) {
    const locked = lockedBy(m, one);
    if (locked.every((fn) => fn.resetHolder === 0 && !wanted.has(fn))) {
      waiting.splice(at, 1);
      return one;
    }
    for (const fn of locked) wanted.add(fn);
  }
  return undefined;
}

/** Those of a function or bus that is no more: they wait for nothing any longer. */
export function dropWaitingResets(m: Parts, bdf: Bdf): readonly Deferred[] {
  const waiting = m.operations.waitingResets;
  const dropped = waiting.filter(({ request }) => request.bdf === bdf);
  waiting.splice(0, Infinity, ...waiting.filter(({ request }) => request.bdf !== bdf));
  return dropped;
}

/** A function that has gone needs none: its reset is refused at once. */
function lockedBy(m: Parts, { request }: Deferred): readonly FunctionState[] {
  const fn = m.functions.get(request.bdf);
  return fn === undefined ? [] : lockingOf(m, fn, request).locked;
}
