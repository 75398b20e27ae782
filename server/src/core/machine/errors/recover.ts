/**
 * Recovery from errors as Linux does it (pcie_do_recovery(), drivers/pci/pcie/err.c): the drivers of what is below a port are told, and vote; where one
 * wants it or the link was frozen, all is reset; they go on, or all is given up. What drivers vote a host says; the calls of them are steps that it may hold.
 *
 * Linux opens no reset window round these resets; `strict` opens one of each function.
 */
import { formatBdf } from '../../base/index.ts';
import { clearErrors, enableReporting, endContainment } from '../../pci/index.ts';
import { restorePageRequests } from '../ats/page-faults.ts';
import { captureBus } from '../bus/captured-bus.ts';
import { atStart, conclude, walk, type Phase } from '../calls/call-runner.ts';
import type { ErrorCallback, ErrorRecover, ErrorVote, Vote } from '../command.ts';
import { functionNumbered } from '../function-state.ts';
import { followSriov } from '../hierarchy/virtual-functions.ts';
import type { Parts } from '../parts.ts';
import type { Reply } from '../reply.ts';
import { done } from '../reset/done.ts';
import { prepare } from '../reset/prepare.ts';
import { startReset } from '../reset/reset.ts';
import type { FunctionState, Origin, RecoverTask } from '../state.ts';
import { behindLinkOf, hasLinkBelow, keepConfig, linkComesUp } from './link.ts';

const MS = 1_000_000;
/** How long in `strict` what is in flight may take to end: an error is no time to wait. */
const DRAIN_MS = 10;
const TOKEN_CHARS = 65;

/** What a driver votes where no host says otherwise: one that handles errors, and comes back after any reset. */
function voteOf(fn: FunctionState, callback: ErrorCallback, frozen: boolean): Vote {
  const usual = callback === 'error-detected' ? (frozen ? 'need-reset' : 'can-recover') : 'recovered';
  return fn.votes.get(callback) ?? usual;
}

export function errorVote(m: Parts, origin: Origin, fn: FunctionState, { callback, vote }: ErrorVote): void {
  fn.votes.set(callback, vote);
  m.outbox.ok(origin);
}

/** What pci_aer_init(), pci_configure_serr() and aer_enable_rootport() do at boot: every function tells, every bridge passes it on. */
export function errorReporting(m: Parts, origin: Origin): void {
  for (const fn of m.functionList) {
    enableReporting(fn.config);
    if (fn.config.isErrorRoot) m.changedPorts.add(fn);
  }
  m.outbox.ok(origin);
}

export function errorRecover(m: Parts, origin: Origin, fn: FunctionState, { frozen }: ErrorRecover): void {
  const port = hasLinkBelow(fn) ? fn : fn.path[0];
  const affected = port === undefined || !hasLinkBelow(port) ? [fn] : behindLinkOf(m, port);
  const busy = affected.find(({ resetHolder }) => resetHolder !== 0);
  if (busy !== undefined) {
    m.outbox.refuse(origin, 'EBUSY', `${formatBdf(busy.bdf)} is being reset or recovered`, 'function');
    return;
  }
  const task = m.operations.start<RecoverTask>(origin, {
    kind: 'recover',
    ...atStart('recover', fn.bdf),
    fn,
    port: port === undefined || !hasLinkBelow(port) ? undefined : port,
    affected,
    frozen,
    status: 'can-recover',
    reset: 'none',
    inReset: false,
    warning: '',
  });
  for (const one of affected) one.resetHolder = task.id;
  resumeRecover(m, task);
}

export function resumeRecover(m: Parts, task: RecoverTask): void {
  walk(m, task, RECOVER);
}

const RECOVER: readonly Phase<RecoverTask>[] = [
  { step: 'error-detected', run: detected },
  { step: 'mmio-enabled', run: mmioEnabled },
  { step: 'reset-subordinates', run: beginReset },
  { step: undefined, run: resetBelow },
  { step: undefined, run: endReset },
  { step: undefined, run: (_m, task) => task.pending === 0 },
  { step: 'slot-reset', run: slotReset },
  { step: 'resume', run: goOn },
];

/** merge_result(): what one more vote makes of those before it. */
export function merged(status: Vote, vote: Vote): Vote {
  if (vote === 'no-driver') return vote;
  if (status === 'can-recover' || status === 'recovered') return vote;
  return status === 'disconnect' && vote === 'need-reset' ? vote : status;
}

/** Bridges have no driver that votes. */
function ask(task: RecoverTask, callback: ErrorCallback): void {
  for (const fn of task.affected) {
    if (!fn.config.isBridge) task.status = merged(task.status, voteOf(fn, callback, task.frozen));
  }
}

function detected(_m: Parts, task: RecoverTask): boolean {
  ask(task, 'error-detected');
  return true;
}

function mmioEnabled(_m: Parts, task: RecoverTask): boolean {
  if (task.status !== 'can-recover' || task.frozen) return true;
  task.status = 'recovered';
  ask(task, 'mmio-enabled');
  return true;
}

function resets({ status, frozen }: RecoverTask): boolean {
  return status === 'need-reset' || (frozen && status === 'can-recover');
}

/** A port resets what is below it, over its slot or by Secondary Bus Reset; an integrated endpoint resets itself (pcie_reset_flr). */
function beginReset(m: Parts, task: RecoverTask): boolean {
  if (!resets(task)) return true;
  task.reset = task.port === undefined ? 'flr' : 'bus';
  if (!m.strict) return true;
  for (const fn of task.affected) {
    if (fn.device === undefined) continue;
    task.pending++;
    const command = { kind: 'reset-prepare', bdf: fn.bdf, token: tokenOf(task), deadlineNs: DRAIN_MS * MS, onDeadline: 'abort' } as const;
    prepare(m, partOf(m, task), fn, command);
  }
  return true;
}

/** The reset and the wait until what was reset is ready again: pci_bus_error_reset(), pcie_reset_flr(). */
function resetBelow(m: Parts, task: RecoverTask): boolean {
  if (task.pending > 0) return false;
  if (task.reset === 'none') return true;
  const { port, fn, affected } = task;
  // What a dead link or a containment has cut off was saved when it went.
  for (const one of affected) if (one.linkDown === 0) keepConfig(one);
  if (port !== undefined) letOut(m, port);
  task.inReset = true;
  task.pending++;
  const request = { whole: false, window: false, ofRecovery: true, tryLock: false, deadlineNs: 0, onDeadline: 'abort' } as const;
  if (port === undefined) startReset(m, partOf(m, task), { goal: 'trigger', bdf: fn.bdf, methods: ['flr'], ...request });
  else startReset(m, partOf(m, task), { goal: 'bus', bdf: port.bdf, methods: ['bus'], ...request });
  return true;
}

/** A containment is ended first: what it has cut off is to be reached. */
function letOut(m: Parts, port: FunctionState): void {
  if (port.contained === undefined) return;
  endContainment(port.config);
  m.changedPorts.add(port);
  const below = port.contained.map((index) => functionNumbered(m, index)).filter((one) => one !== undefined);
  port.contained = undefined;
  linkComesUp(m, below);
}

/** Whoever is there again has translation again; who is not makes the recovery fail ("subordinate device reset failed"). */
function endReset(m: Parts, task: RecoverTask): boolean {
  if (task.pending > 0) return false;
  if (task.reset === 'none') return true;
  task.inReset = false;
  // Virtual functions are there again when their physical one has VF Enable back.
  const dead = task.affected.filter((fn) => fn.suspended === undefined && (fn.linkDown > 0 || fn.resetting));
  for (const fn of dead) fn.needsReset = true;
  const [first] = dead;
  if (first !== undefined && task.warning === '') task.warning = `${formatBdf(first.bdf)} is not ready after its reset`;
  if (task.warning !== '') m.outbox.log('warn', first?.bdf ?? task.fn.bdf, `${task.warning}: subordinate device reset failed`);
  for (const fn of task.affected) restore(m, fn);
  if (!m.strict) return true;
  for (const fn of task.affected) {
    if (fn.device === undefined) continue;
    task.pending++;
    done(m, partOf(m, task), fn, { kind: 'reset-done', bdf: fn.bdf, token: tokenOf(task), all: false });
  }
  return true;
}

/** What its driver does in slot_reset (pci_restore_state); of a bridge the port driver. */
function restore(m: Parts, fn: FunctionState): void {
  const { savedConfig, config, device } = fn;
  if (savedConfig === undefined || fn.linkDown > 0 || fn.resetting) return;
  config.restore(savedConfig);
  captureBus(m, fn);
  fn.savedConfig = undefined;
  m.changedPorts.add(fn);
  if (config.atsSupported) config.setAtsEnable(device?.atsEnabled ?? config.atsEnabled);
  restorePageRequests(m, fn);
  followSriov(m, fn);
}

function slotReset(_m: Parts, task: RecoverTask): boolean {
  if (task.reset === 'none') return true;
  if (task.warning !== '') {
    task.status = 'disconnect';
    return true;
  }
  task.status = 'recovered';
  ask(task, 'slot-reset');
  return true;
}

function goOn(m: Parts, task: RecoverTask): boolean {
  const { fn, port, affected, status, reset, warning } = task;
  const recovered = status === 'recovered';
  if (recovered) {
    for (const one of new Set([fn, ...(port === undefined ? [] : [port]), ...affected, ...fn.path.slice(-1)])) {
      clearErrors(one.config);
      m.changedPorts.add(one);
    }
  }
  for (const one of affected) one.resetHolder = 0;
  m.outbox.log(recovered ? 'info' : 'warn', fn.bdf, `${formatBdf(fn.bdf)}: device recovery ${recovered ? 'successful' : 'failed'}`);
  conclude(m, task);
  const told = affected.map(({ bdf }) => bdf);
  const elapsedNs = m.outbox.elapsed(task.origin);
  m.outbox.reply(task.origin, { kind: 'error-recover', recovered, status, reset, affected: told, warning, elapsedNs });
  return true;
}

/** The reply to a prepare, a done or the reset of its own. What a window cannot do does not stop a recovery: the reset comes all the same. */
export function recoverPartAnswered(m: Parts, task: RecoverTask, reply: Reply): void {
  if (reply.kind === 'refused' && task.inReset) task.warning = reply.message;
  else if (reply.kind === 'refused') m.outbox.log('warn', task.fn.bdf, `${formatBdf(task.fn.bdf)}: ${reply.message}`);
  task.pending--;
  resumeRecover(m, task);
}

function partOf(m: Parts, task: RecoverTask): Origin {
  return { operation: task.id, sinceNs: m.clock.nowNs };
}

/** Longer than a caller's token can be, so that no caller's window is taken for it. */
function tokenOf(task: RecoverTask): string {
  return `the window of recovery ${task.id}`.padEnd(TOKEN_CHARS, '.');
}
