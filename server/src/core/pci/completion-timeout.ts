import { CAPABILITY } from './capability-table.ts';
import type { ConfigSpace } from './config-space.ts';

const DEVICE_CONTROL_2 = 0x28;
const DISABLE = 0x10;
const US = 1000;
const MS = 1000 * US;
const S = 1000 * MS;
/** The longest time of each range of Completion Timeout Value (PCIe Base r6.0 §7.5.3.16); what is reserved counts as the default. */
const RANGES_NS: Readonly<Record<number, number>> = {
  0: 50 * MS,
  1: 100 * US,
  2: 10 * MS,
  5: 55 * MS,
  6: 210 * MS,
  9: 900 * MS,
  10: 3.5 * S,
  13: 13 * S,
  14: 64 * S,
};

/** How long the function waits for the completion of a request of its own; 0: for ever. */
export function completionTimeoutNs(config: ConfigSpace): number {
  const express = config.capabilities.find(({ id, extended }) => !extended && id === CAPABILITY.express);
  if (express === undefined || express.offset + DEVICE_CONTROL_2 + 2 > config.bytes) return 0;
  // Version 1 of the capability ends before it: such a function has the default.
  const hasControl2 = (config.read(express.offset + 2, 1) & 0xf) >= 2;
  const control = hasControl2 ? config.read(express.offset + DEVICE_CONTROL_2, 2) : 0;
  return (control & DISABLE) !== 0 ? 0 : (RANGES_NS[control & 0xf] ?? RANGES_NS[0]!);
}
