/** What prepare and done have in common: whether a function has windows at all, its gate, and how windows are told apart. */
import type { GroupDevice } from '../../iommu/index.ts';
import { interruptsChanged } from '../interrupts/interrupts.ts';
import type { Parts } from '../parts.ts';
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

export function windowKey(fn: FunctionState, token: string): string {
  return `${fn.bdf}/${token}`;
}
