/** Registers of Downstream Port Containment (PCIe Base r6.0 §6.2.11, §7.9.14). */
import type { ConfigSpace } from './config-space.ts';
import type { ErrorMessage } from './error-registers.ts';
import { EXTENDED_CAPABILITY } from './extended-capability-table.ts';

const CONTROL = 6;
const STATUS = 8;
const SOURCE = 0xa;
const TRIGGERED = 1;
const INTERRUPT_ENABLE = 8;
const INTERRUPT_STATUS = 8;
/** Trigger Enable: on fatal errors, or on non-fatal ones too. */
const ON_FATAL = 1;
const ON_NONFATAL = 2;
/** Trigger Reason: the port itself detected an error; it got ERR_NONFATAL; it got ERR_FATAL. */
const REASON = { own: 0, nonfatal: 1, fatal: 2 } as const;
const REASON_AT = 1;

function place(config: ConfigSpace): number {
  return config.capabilities.find(({ id, extended }) => extended && id === EXTENDED_CAPABILITY.dpc)?.offset ?? 0;
}

/** Whether an error of this severity makes the port contain what is below it now. */
export function wouldContain(config: ConfigSpace, message: ErrorMessage): boolean {
  const at = place(config);
  if (at === 0 || message === 'correctable' || (config.read(at + STATUS, 2) & TRIGGERED) !== 0) return false;
  const trigger = config.read(at + CONTROL, 2) & 3;
  return trigger === ON_NONFATAL || (trigger === ON_FATAL && message === 'fatal');
}

/** The port contains. `source`: who sent the message; undefined: the port detected the error itself. True when it interrupts. */
export function contain(config: ConfigSpace, message: ErrorMessage, source: number | undefined): boolean {
  const at = place(config);
  const reason = source === undefined || message === 'correctable' ? REASON.own : REASON[message];
  const interrupt = (config.read(at + CONTROL, 2) & INTERRUPT_ENABLE) !== 0;
  const kept = config.read(at + STATUS, 2) & ~(3 << REASON_AT);
  config.put(at + STATUS, 2, kept | TRIGGERED | (reason << REASON_AT) | INTERRUPT_STATUS);
  config.put(at + SOURCE, 2, source ?? 0);
  return interrupt;
}

/** DPC Trigger Status: the link below is held down until software clears it. */
export function isContaining(config: ConfigSpace): boolean {
  const at = place(config);
  return at > 0 && (config.read(at + STATUS, 2) & TRIGGERED) !== 0;
}

/** As Linux's dpc_reset_link: Trigger Status and Interrupt Status are cleared. */
export function endContainment(config: ConfigSpace): void {
  const at = place(config);
  if (at > 0) config.write(at + STATUS, 2, TRIGGERED | INTERRUPT_STATUS);
}
