/** function-unplug: functions taken out in order, or pulled out. */
import { ModelError, formatBdf, type Bdf } from '../../base/index.ts';
import { PORT_TYPE } from '../../pci/index.ts';
import type { FunctionUnplug } from '../command.ts';
import { cutOff } from '../errors/cut-off.ts';
import type { Parts } from '../parts.ts';
import type { Reply } from '../reply.ts';
import type { FunctionState, Origin, UnplugTask } from '../state.ts';
import { leave, leaveDeadline } from './leave.ts';
import { slotsEmptied } from './slots.ts';

/**
 * Of a root port or downstream port what is below it goes, and the port stays; any other function goes itself, with what is below it. The reply comes when
 * they are gone: after resets and calls that have their locks.
 */
export function functionUnplug(m: Parts, origin: Origin, fn: FunctionState, { surprise, deadlineNs }: FunctionUnplug): void {
  const going = goingWith(m, fn);
  if (going.length === 0) throw new ModelError('ENODEV', `there is nothing below ${formatBdf(fn.bdf)}`, 'function');
  const aborted = surprise ? pullOut(m, going) : new Map<FunctionState, number>();
  if (surprise) slotsEmptied(m, going);
  const busy = going.find((one) => one.leaving !== 0);
  if (busy !== undefined) {
    m.outbox.refuse(origin, 'EBUSY', `${formatBdf(busy.bdf)} is being taken out already`, 'function');
    return;
  }
  removeAll(m, origin, fn.bdf, going, { surprise, deadlineNs, reason: surprise ? 'surprise' : 'unplugged' }, aborted);
}

/** The same for functions that somebody has chosen. */
export function removeAll(
  m: Parts,
  origin: Origin,
  bdf: Bdf,
  going: readonly FunctionState[],
  of: Omit<Parameters<typeof leave>[3], 'aborted'>,
  aborted: ReadonlyMap<FunctionState, number>,
): void {
  const task = m.operations.start<UnplugTask>(origin, {
    kind: 'unplug',
    bdf,
    functions: going.map((one) => one.bdf),
    parts: going.length,
    drained: 0,
    aborted: 0,
  });
  // From the leaves up, so that no function stands below nothing.
  for (const one of going.toReversed()) {
    leave(m, { operation: task.id, sinceNs: m.clock.nowNs }, one, { ...of, aborted: aborted.get(one) ?? 0 });
  }
}

/** Their links go down at once, whoever has their locks. Returns what each lost of what it had in flight. */
export function pullOut(m: Parts, going: readonly FunctionState[]): ReadonlyMap<FunctionState, number> {
  const aborted = new Map<FunctionState, number>();
  for (const fn of going) {
    const call = m.operations.get(fn.leaving);
    if (call?.kind === 'leave') {
      call.surprise = true;
      if (call.alarm !== 0) leaveDeadline(m, call);
    }
    aborted.set(fn, cutOff(m, fn));
  }
  return aborted;
}

/** A part has gone. */
export function unplugPartAnswered(m: Parts, task: UnplugTask, reply: Reply): void {
  if (reply.kind === 'function-unplug') {
    task.drained += reply.drained;
    task.aborted += reply.aborted;
    task.completed += reply.completed;
    task.timedOut += reply.timedOut;
  }
  if (--task.parts > 0) return;
  m.operations.end(task);
  const { origin, functions, drained, aborted, completed, timedOut } = task;
  m.outbox.reply(origin, {
    kind: 'function-unplug',
    functions,
    drained,
    aborted,
    completed,
    timedOut,
    elapsedNs: m.outbox.elapsed(origin),
  });
}

function goingWith(m: Parts, fn: FunctionState): readonly FunctionState[] {
  const { portType } = fn.config;
  const stays = portType === PORT_TYPE.rootPort || portType === PORT_TYPE.downstreamPort;
  return m.functionList.filter((one) => (one === fn && !stays) || one.path.includes(fn));
}
