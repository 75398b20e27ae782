/** What each step of a reset does: one row a step. A row says whether the next one follows at once, or this one is to be asked again. */
import { formatBdf, type ErrorName } from '../../base/index.ts';
import { linkBelow, losesContextInD3, masksBusReset, setBusResetMask, setPowerState } from '../../pci/index.ts';
import { answersConfig } from '../dma/gate.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState, ResetStep, ResetTask } from '../state.ts';
import { resetHardware, writeBusReset } from './hardware-reset.ts';
import { READY_MS, SLOW_MS, lookWhetherReady, type Readiness } from './readiness.ts';
import { METHODS, isAloneOnItsBus } from './reset-methods.ts';
import { announce, restoreAll, saveAll, wakeAll } from './reset-state.ts';
import { closeWindows, openWindows } from './reset-windows.ts';

const MS = 1_000_000;
/** Waits between the polls of Transactions Pending (pci_wait_for_pending). */
const PENDING_WAITS_MS = [0, 100, 200, 400] as const;
/** After Initiate FLR, and after a link is up again, before the function may be asked anything (PCIe Base r6.0 §6.6). */
const RESET_WAIT_MS = 100;
/** pci_dev.d3hot_delay. */
const D3_DELAY_MS = 10;
/** The specification wants 1 (Trst); Linux is generous. */
const BUS_HOLD_MS = 2;
/** Trhfa of conventional PCI, and pci_dev.d3cold_delay. */
const CONVENTIONAL_WAIT_MS = 1000 + RESET_WAIT_MS;
/** Of a link above 5 GT/s: before it is looked whether it is up, and how long it may take. */
const LINK_UP_MS = 20;
const LINK_WAIT_MS = 1000;

/** `next`: the following step; `again`: this one, when what it waits for has come. */
type Outcome = 'next' | 'again';

interface StepRow {
  /** It undoes what others did: it is done also where the method has failed. */
  readonly undoes?: true;
  readonly run: (m: Parts, task: ResetTask) => Outcome;
}

export const STEPS: Readonly<Record<ResetStep, StepRow>> = {
  announce: { run: (m, task) => announce(m, task, 'reset-prepare') },
  'power-up': { run: (m, task) => (task.poll++ === 0 && wakeAll(m, task) ? wait(m, task, D3_DELAY_MS) : 'next') },
  save: { run: saveAll },
  'wait-pending': { run: waitForPending },
  prepare: { run: (m, task) => (task.poll++ === 0 ? openWindows(m, task) : 'next') },
  'initiate-flr': { run: hardware },
  'flr-time': { run: (m, task) => pause(m, task, RESET_WAIT_MS) },
  ready: { run: (m, task) => ready(m, task, task.fn, READY_MS) },
  'check-d0': { run: checkD0 },
  d3hot: { run: (m, task) => setPower(m, task, 3) },
  'd3-delay': { run: (m, task) => pause(m, task, D3_DELAY_MS) },
  d0: { run: (m, task) => setPower(m, task, 0) },
  'evaluate-rst': { run: evaluateRst },
  quirk: { run: hardware },
  'quirk-refuses': { run: (_m, task) => fail(task, 'ENOTTY', 'the quirk found that it does not apply') },
  firmware: { run: (m, task) => pause(m, task, (task.fn.spec.reset?.firmwareNs ?? 0) / MS) },
  'check-unmasked': { run: checkUnmasked },
  'check-sole': { run: checkSole },
  'unmask-bus-reset': { run: (_m, task) => maskBusReset(task, false) },
  'hold-bus': { run: (m, task) => holdBus(m, task, true) },
  'hold-time': { run: (m, task) => pause(m, task, BUS_HOLD_MS) },
  'release-bus': { run: (m, task) => holdBus(m, task, false) },
  'conventional-time': { run: (m, task) => pause(m, task, CONVENTIONAL_WAIT_MS) },
  'link-active': { run: awaitLink },
  'link-time': { run: (m, task) => pause(m, task, RESET_WAIT_MS) },
  'ready-early': { run: readyEarly },
  'ready-late': { run: (m, task) => readyBelow(m, task, READY_MS - SLOW_MS) },
  'mask-bus-reset': { undoes: true, run: (_m, task) => maskBusReset(task, true) },
  done: { undoes: true, run: (m, task) => (task.poll++ === 0 ? closeWindows(m, task) : 'next') },
  restore: { undoes: true, run: restoreAll },
  'announce-end': { undoes: true, run: (m, task) => announce(m, task, 'reset-done') },
};

/** The steps of one method: of a reset, or of a probe, which in Linux may open and close a window for nothing. */
export function stepsOf(m: Parts, task: ResetTask): readonly ResetStep[] {
  const { fn, method, request } = task;
  if (method === undefined) return [];
  const row = METHODS[method];
  if (request.goal === 'function') return row.steps(m, fn);
  if (request.goal === 'trigger') return row.steps(m, fn).filter((step) => step !== 'wait-pending');
  return !m.strict && row.probePrepares(fn) ? ['prepare', 'done'] : [];
}

export function fail(task: ResetTask, code: ErrorName, message: string): Outcome {
  task.error ??= { code, message };
  return 'next';
}

export function wait(m: Parts, task: ResetTask, ms: number): Outcome {
  task.alarm = m.clock.set(ms * MS, 'operation', task.id);
  return 'again';
}

/** Once. */
function pause(m: Parts, task: ResetTask, ms: number): Outcome {
  return task.poll++ === 0 && ms > 0 ? wait(m, task, ms) : 'next';
}

/** A timeout is only logged, as in pcie_flr(). Posted writes set no Transactions Pending. */
function waitForPending(m: Parts, task: ResetTask): Outcome {
  const { fn } = task;
  const pending = transactionsPending(fn);
  // The first wait is none: the second poll follows in the same step.
  if (pending && task.poll < PENDING_WAITS_MS.length) return wait(m, task, PENDING_WAITS_MS[task.poll++]!);
  if (pending) {
    task.pendingTimedOut = true;
    m.outbox.log('warn', fn.bdf, `${formatBdf(fn.bdf)}: timed out waiting for pending transactions; resetting anyway`);
  }
  return 'next';
}

export function transactionsPending(fn: FunctionState): boolean {
  return fn.entries.some((request) => !request.posted && request.point !== 'indeterminate');
}

function hardware(m: Parts, task: ResetTask): Outcome {
  resetHardware(m, task.fn, task.method!);
  return 'next';
}

/** pci_pm_reset() takes No_Soft_Reset, which reads as set where nobody answers, for granted; then only D0 will do. */
function checkD0(_m: Parts, task: ResetTask): Outcome {
  const { config, bdf } = task.fn;
  if (!answersConfig(task.fn)) return fail(task, 'ENOTTY', `${formatBdf(bdf)} does not answer, so that its power state cannot be changed`);
  return config.powerState === 0
    ? 'next'
    : fail(task, 'EINVAL', `${formatBdf(bdf)} is in D${config.powerState}, and is reset only from D0`);
}

/** As a write of Power Management Control: it reaches a function that answers. */
function setPower(m: Parts, task: ResetTask, state: number): Outcome {
  const { fn } = task;
  if (!answersConfig(fn)) return 'next';
  const loses = state === 0 && fn.config.powerState !== 0 && losesContextInD3(fn.config);
  setPowerState(fn.config, state);
  if (loses) resetHardware(m, fn, task.method ?? 'pm');
  return 'next';
}

/** Firmware resets the function by its own means, and says whether it could (acpi_evaluate_object). */
function evaluateRst(m: Parts, task: ResetTask): Outcome {
  const { fn } = task;
  if (fn.spec.reset?.acpi !== 'fails') {
    resetHardware(m, fn, 'acpi');
    return 'next';
  }
  fn.needsReset = true;
  m.outbox.log('warn', fn.bdf, `${formatBdf(fn.bdf)}: ACPI _RST failed`);
  return fail(task, 'ENOTTY', `_RST of ${formatBdf(fn.bdf)} failed`);
}

/** Below a CXL port that masks it, a Secondary Bus Reset would do nothing; the method is there all the same. */
function checkUnmasked(_m: Parts, task: ResetTask): Outcome {
  const { bridge } = task;
  if (bridge === undefined || !masksBusReset(bridge.config)) return 'next';
  return fail(task, 'ENOTTY', `${formatBdf(bridge.bdf)} masks Secondary Bus Reset`);
}

function checkSole(m: Parts, task: ResetTask): Outcome {
  const { fn } = task;
  return isAloneOnItsBus(m, fn) ? 'next' : fail(task, 'ENOTTY', `${formatBdf(fn.bdf)} is not the only function on a bus that can be reset`);
}

/** cxl_reset_bus_function(): what was unmasked before stays so. */
function maskBusReset(task: ResetTask, masked: boolean): Outcome {
  const { bridge } = task;
  if (bridge === undefined) return 'next';
  if (masked) {
    if (task.unmasked) setBusResetMask(bridge.config, true);
    task.unmasked = false;
  } else if (masksBusReset(bridge.config)) {
    task.unmasked = true;
    setBusResetMask(bridge.config, false);
  }
  return 'next';
}

function holdBus(m: Parts, task: ResetTask, on: boolean): Outcome {
  if (task.bridge !== undefined) writeBusReset(m, task.bridge, on);
  return 'next';
}

/** pcie_wait_for_link_delay(). */
function awaitLink(m: Parts, task: ResetTask): Outcome {
  const link = task.bridge === undefined ? undefined : linkBelow(task.bridge.config);
  if (link === undefined) return 'next';
  if (!link.reportsActive) return pause(m, task, LINK_WAIT_MS);
  if (task.poll === 0) {
    task.poll = LINK_UP_MS;
    return wait(m, task, LINK_UP_MS);
  }
  if (link.active) return 'next';
  if (task.poll < LINK_UP_MS + LINK_WAIT_MS) {
    task.poll += LINK_WAIT_MS;
    return wait(m, task, LINK_WAIT_MS);
  }
  return noLink(task);
}

function noLink(task: ResetTask): Outcome {
  const text = `the link below ${formatBdf(task.bridge!.bdf)} is not active after its reset`;
  for (const fn of task.functions) fn.needsReset = true;
  return fail(task, 'ENOTTY', text);
}

function ready(m: Parts, task: ResetTask, fn: FunctionState, limitMs: number): Outcome {
  const readiness = look(m, task, fn, limitMs);
  if (readiness !== 'never') return readiness === 'waits' ? 'again' : 'next';
  for (const one of task.functions) if (one.resetting || one === fn) one.needsReset = true;
  return fail(task, 'ENOTTY', task.warning);
}

function look(m: Parts, task: ResetTask, fn: FunctionState, limitMs: number): Readiness {
  return lookWhetherReady(m, task, fn, limitMs, (ms) => wait(m, task, ms));
}

/** At up to 5 GT/s a second is given before it is asked whether the link is up at all. */
function readyEarly(m: Parts, task: ResetTask): Outcome {
  const { child, bridge } = task;
  if (child === undefined || bridge === undefined) return 'next';
  const readiness = look(m, task, child, SLOW_MS - RESET_WAIT_MS);
  if (readiness !== 'never') return readiness === 'waits' ? 'again' : 'next';
  const link = linkBelow(bridge.config);
  return link?.reportsActive === true && link.active ? 'next' : noLink(task);
}

/** Of a whole bus Linux asks its first function only. */
function readyBelow(m: Parts, task: ResetTask, limitMs: number): Outcome {
  return task.child === undefined ? 'next' : ready(m, task, task.child, limitMs);
}
