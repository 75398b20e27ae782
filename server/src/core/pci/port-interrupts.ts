/**
 * What a port interrupts for, each with an Interrupt Message Number of its own: its slot (PCIe Base r6.0 §6.7.3.4), errors that it was told of
 * (§6.2.4.1.2), containment (§6.2.11.1).
 */
import { PORT_TYPE } from './capability-body.ts';
import { CAPABILITY } from './capability-table.ts';
import type { ConfigSpace } from './config-space.ts';
import { isContainmentPending } from './containment-registers.ts';
import { isErrorPending } from './error-registers.ts';
import { EXPRESS } from './express-registers.ts';
import { EXTENDED_CAPABILITY } from './extended-capability-table.ts';
import { slotInterrupts } from './slot-registers.ts';

/** Bits of a set of causes. */
export const PORT_CAUSE = { slot: 1, error: 2, containment: 4 } as const;
export const PORT_CAUSES = Object.values(PORT_CAUSE);
export type PortCause = (typeof PORT_CAUSES)[number];

/** Where the number stands: its register and its lowest bit there, five bits of it. */
const NUMBERS: Readonly<Record<PortCause, { id: number; extended: boolean; offset: number; bytes: 2 | 4; at: number }>> = {
  [PORT_CAUSE.slot]: { id: CAPABILITY.express, extended: false, offset: EXPRESS.flags, bytes: 2, at: 9 },
  [PORT_CAUSE.error]: { id: EXTENDED_CAPABILITY.aer, extended: true, offset: 0x30, bytes: 4, at: 27 },
  [PORT_CAUSE.containment]: { id: EXTENDED_CAPABILITY.dpc, extended: true, offset: 4, bytes: 2, at: 0 },
};
const NUMBER_MASK = 0x1f;

/** A root port, a switch's downstream port, or an event collector: nothing else has causes. */
export function hasPortCauses({ portType }: ConfigSpace): boolean {
  return portType === PORT_TYPE.rootPort || portType === PORT_TYPE.downstreamPort || portType === PORT_TYPE.eventCollector;
}

/** The causes that registers show now: each an event that has happened and that software wants an interrupt for. */
export function portCauses(config: ConfigSpace): number {
  return (
    (slotInterrupts(config) ? PORT_CAUSE.slot : 0) |
    (isErrorPending(config) ? PORT_CAUSE.error : 0) |
    (isContainmentPending(config) ? PORT_CAUSE.containment : 0)
  );
}

/** The vector of MSI or MSI-X that tells of the cause. */
export function messageNumber(config: ConfigSpace, cause: PortCause): number {
  const { offset, bytes, at } = NUMBERS[cause];
  const place = placeOf(config, cause);
  return place === 0 ? 0 : (config.read(place + offset, bytes) >>> at) & NUMBER_MASK;
}

/**
 * Software has granted more or fewer messages: the numbers are of those that there are (§7.5.3.2). Of a port of our own, whose causes have a message
 * each as far as messages go.
 */
export function assignMessageNumbers(config: ConfigSpace): void {
  const { msi } = config;
  if (msi === undefined || !hasPortCauses(config)) return;
  for (const [i, cause] of PORT_CAUSES.entries()) {
    const { offset, bytes, at } = NUMBERS[cause];
    const place = placeOf(config, cause);
    if (place === 0) continue;
    const kept = config.read(place + offset, bytes) & ~(NUMBER_MASK << at);
    config.put(place + offset, bytes, kept | ((i % msi.granted) << at));
  }
}

function placeOf(config: ConfigSpace, cause: PortCause): number {
  const { id, extended } = NUMBERS[cause];
  if (cause === PORT_CAUSE.error && !config.isErrorRoot) return 0;
  return config.capabilities.find((one) => one.id === id && one.extended === extended)?.offset ?? 0;
}
