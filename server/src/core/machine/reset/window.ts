/** What prepare and done have in common: whether a function has windows at all, its gate, and how windows are told apart. */
import { formatBdf } from '../../base/index.ts';
import type { GroupDevice } from '../../iommu/index.ts';
import { interruptsChanged } from '../interrupts/interrupts.ts';
import type { Parts } from '../parts.ts';
import type { WindowReport } from '../reply.ts';
import type { FunctionState } from '../state.ts';

/** Nothing to fence: no IOMMU, or in Linux a function without ATS. */
export function needsNoWindow(m: Parts, device: GroupDevice | undefined): device is undefined {
  return device === undefined || (!m.strict && !device.atsSupported);
}

export function setGate(m: Parts, fn: FunctionState, open: boolean): void {
  if (fn.gateOpen === open) return;
  fn.gateOpen = open;
  m.trace.emit('gate', fn.bdf, open ? 1 : 0);
  if (open) interruptsChanged(m, fn);
}

export const NOTHING_DONE: WindowReport = {
  skipped: true,
  depth: 0,
  drained: 0,
  aborted: 0,
  indeterminate: 0,
  indeterminateRanges: [],
  completed: 0,
  timedOut: 0,
};

/** Characters that a caller's window token has at most. */
const CALLER_TOKEN_CHARS = 64;

/** The token of a window that a reset opens of itself: longer than a caller's token can be, so that no caller's window is taken for it. */
export function resetToken(depth: number, reset: number): string {
  return `the window ${depth} of reset ${reset}`.padEnd(CALLER_TOKEN_CHARS + 1, '.');
}

/** It is one of those, or of a virtual function's that goes with one. */
export function isOfReset(token: string): boolean {
  return token.length > CALLER_TOKEN_CHARS && /(?:^|: )the window \d+ of reset \d+\.*$/.test(token);
}

/** The token of a virtual function's window that goes with one of its physical function's: longer than a host's can be, with that in it. */
export function virtualToken(physical: FunctionState, token: string): string {
  return `of the window of ${formatBdf(physical.bdf)}: ${token}`.padEnd(CALLER_TOKEN_CHARS + 1, '.');
}

export function windowKey(fn: FunctionState, token: string): string {
  return `${fn.bdf}/${token}`;
}
