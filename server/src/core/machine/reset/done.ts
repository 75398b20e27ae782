/** reset-done: pci_dev_reset_iommu_done(), which closes a window, and with the last one restores translation (design §7). */
import { errno, errorName, formatBdf } from '../../base/index.ts';
import { blockedAliases, noteReleased, releasedBy, step, type GroupDevice } from '../../iommu/index.ts';
import { LANDED, atStart, conclude, walk, type Phase } from '../calls/call-runner.ts';
import { tryLock, unlock } from '../calls/mutex.ts';
import type { ResetDone } from '../command.ts';
import type { Parts } from '../parts.ts';
import type { ClosedWindow, DoneTask, FunctionState, Origin } from '../state.ts';
import { closeVirtual } from './virtual-windows.ts';
import { isOfReset, needsNoWindow, setGate, windowKey } from './window.ts';

/** Closed windows that a function's answers are kept of: a caller that asks again does so soon. */
const CLOSED_WINDOWS_MAX = 64;

/**
 * `all`: every window but those of a reset that runs, which closes its own and knows whether the function is back. At depth 0, or for a window that is not open: a warning and no change (invariant 6). A token whose window was
 * closed gets the answer that closed it.
 */
export function done(m: Parts, origin: Origin, fn: FunctionState, command: ResetDone): void {
  const { device } = fn;
  if (needsNoWindow(m, device)) {
    m.outbox.reply(origin, { kind: 'reset-done', depth: 0, skipped: true, warning: '', elapsedNs: 0 });
    return;
  }
  const { token, all } = command;
  const task = m.operations.start<DoneTask>(origin, {
    kind: 'done',
    ...atStart('done', fn.bdf),
    fn,
    device,
    token,
    all,
    closing: [],
    released: [],
    stays: false,
    waits: false,
    warning: '',
  });
  resumeDone(m, task);
}

export function resumeDone(m: Parts, task: DoneTask): void {
  walk(m, task, DONE);
}

const DONE: readonly Phase<DoneTask>[] = [
  { step: 'lock', run: (m, task) => tryLock(m, task.device.group, task) },
  { step: 'check', run: check },
  { step: undefined, run: release },
  // What was let through in the window has been performed.
  LANDED,
  { step: 'count', run: count },
  { step: 'unlock', run: answer },
];

function check(m: Parts, task: DoneTask): boolean {
  const { device, fn, all } = task;
  task.closing = all ? device.windows.filter((token) => !isOfReset(token)) : device.windows.filter((token) => token === task.token);
  if (task.closing.length === 0) {
    const closed = all ? undefined : fn.closedWindows.get(task.token);
    reply(m, task, closed ?? { depth: device.resetDepth, warning: warnNoWindow(m, task) });
    finish(m, task);
    return true;
  }
  device.windows = device.windows.filter((token) => !task.closing.includes(token));
  device.resetDepth = device.windows.length;
  for (const token of task.closing) m.windowReports.delete(windowKey(fn, token));
  if (device.resetDepth > 0) return true;
  task.stays = m.strict && fn.needsReset;
  if (task.stays) stay(task);
  else lookAtAliases(m, task);
  const { iommu } = m;
  if (iommu === undefined) return true;
  const remains = task.stays || task.waits;
  task.todo = [...(remains ? iommu.planQuarantine(device) : iommu.planRestore(device))];
  return true;
}

/** Its own translation is restored, or it is known that it is not: who shares a requester ID with one that remains blocked remains so too. */
function release(m: Parts, task: DoneTask): boolean {
  const { device, stays, waits } = task;
  const { iommu } = m;
  if (device.resetDepth > 0 || iommu === undefined) return true;
  const remains = stays || waits || device.blocked;
  task.released = releasedBy(device).filter((one) => !(remains && one.waitsForAlias));
  task.todo = task.released.flatMap((one) => iommu.planReleased(one));
  return true;
}

/** Linux opens the requester ID for both, and says so (15dd29ca6206). */
function lookAtAliases(m: Parts, task: DoneTask): void {
  const others = blockedAliases(task.device);
  if (others.length === 0) return;
  const [name, whom] = [formatBdf(task.fn.bdf), others.map(({ bdf }) => formatBdf(bdf)).join(', ')];
  task.waits = m.strict;
  task.warning = m.strict
    ? `${name} stays blocked as long as ${whom}, with which it shares a requester ID`
    : `${name} shares a requester ID with ${whom}, which is still blocked and may be unblocked too early`;
}

/** A reset of it has failed, or it was reported broken: in the window, or while its translation was being restored. */
function stay(task: DoneTask): void {
  task.stays = true;
  task.warning = `${formatBdf(task.fn.bdf)} stays blocked until a reset of it succeeds`;
}

function warnNoWindow(m: Parts, { device, fn, token, all }: DoneTask): string {
  const open = all ? ', whose windows are those of a reset that runs' : ` names window "${token}", which is not open`;
  const what = device.resetDepth === 0 ? ', which has no open window' : open;
  const warning = `reset-done on ${formatBdf(fn.bdf)}${what}; nothing was changed`;
  m.outbox.log('warn', fn.bdf, warning);
  return warning;
}

/** Linux drops the flag also where the domain could not be attached; the hardware blocks then all the same. */
function count(m: Parts, task: DoneTask): boolean {
  const { device, fn } = task;
  if (device.resetDepth > 0) return true;
  if (device.broken) stay(task);
  const expected = device.group.domain ?? device.group.blockingDomain;
  const failed = !task.stays && !task.waits && device.physical !== expected;
  if (failed) {
    const why = errorName(errno('EIO'));
    task.warning = `${formatBdf(fn.bdf)} could not be given back its domain (${why}): the hardware still blocks it`;
  }
  const restored = !task.stays && !task.waits && !device.blocked;
  [device.window] = step(device.window, { kind: 'done', restored });
  device.quarantined = !restored;
  device.waitsForAlias = task.waits && !task.stays;
  fn.needsReset = !restored && !device.waitsForAlias;
  device.group.recoveryCount--;
  device.joining = false;
  for (const one of task.released) admit(m, one);
  if (restored) setGate(m, fn, true);
  m.trace.emit('done', fn.bdf, 0, device.physical.id, restored ? 0 : 1);
  return true;
}

/** One that was reported broken meanwhile stays in quarantine, and so does one whose requester ID it shares. */
function admit(m: Parts, released: GroupDevice): void {
  if (released.broken || (released.waitsForAlias && blockedAliases(released).length > 0)) return;
  noteReleased(released);
  const fn = m.functions.get(released.bdf);
  if (fn !== undefined) setGate(m, fn, true);
}

function answer(m: Parts, task: DoneTask): boolean {
  const { device, fn, closing, warning } = task;
  const closed = { depth: device.resetDepth, warning };
  if (device.resetDepth === 0) {
    m.outbox.event({ kind: 'window', bdf: fn.bdf, open: false, depth: 0, timeNs: m.clock.nowNs });
    if (warning !== '') m.outbox.log('warn', fn.bdf, warning);
  }
  for (const token of closing) {
    remember(fn, token, closed);
    closeVirtual(m, fn, token, done);
  }
  reply(m, task, closed);
  finish(m, task);
  return true;
}

function remember(fn: FunctionState, token: string, closed: ClosedWindow): void {
  fn.closedWindows.set(token, closed);
  const [oldest] = fn.closedWindows.keys();
  if (fn.closedWindows.size > CLOSED_WINDOWS_MAX && oldest !== undefined) fn.closedWindows.delete(oldest);
}

function reply(m: Parts, { origin }: DoneTask, closed: ClosedWindow): void {
  m.outbox.reply(origin, { kind: 'reset-done', ...closed, skipped: false, elapsedNs: m.outbox.elapsed(origin) });
}

function finish(m: Parts, task: DoneTask): void {
  unlock(m, task.device.group);
  conclude(m, task);
}
