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
/** Trigger Reason: the port itself detected an error; it got ERR_NONFATAL; it got ERR_FATAL; what Trigger Reason Extension says. */
const REASON = { own: 0, nonfatal: 1, fatal: 2, extended: 3 } as const;
const REASON_AT = 1;
const EXTENDED_REASON = { software: 1 } as const;
const EXTENDED_REASON_AT = 5;

function place(config: ConfigSpace): number {
  return config.capabilities.find(({ id, extended }) => extended && id === EXTENDED_CAPABILITY.dpc)?.offset ?? 0;
}

/** Whether an error of this severity makes the port contain what is below it now. */
export function wouldContain(config: ConfigSpace, message: ErrorMessage): boolean {
  const at = place(config);
  if (at === 0 || message === 'correctable' || (config.read(at + STATUS, 2) & TRIGGERED) !== 0) return false;
  const asked = config.read(at + CONTROL, 2) & 3;
  return asked === ON_NONFATAL || (asked === ON_FATAL && message === 'fatal');
}

/** The port contains. `source`: who sent the message; undefined: the port detected the error itself. True when it has a new reason to interrupt. */
export function contain(config: ConfigSpace, message: ErrorMessage, source: number | undefined): boolean {
  return trigger(config, source === undefined || message === 'correctable' ? REASON.own : REASON[message], 0, source ?? 0);
}

/** The same by DPC Software Trigger; false where it contains already. */
export function containBySoftware(config: ConfigSpace): boolean {
  if (isContaining(config)) return false;
  trigger(config, REASON.extended, EXTENDED_REASON.software, 0);
  return true;
}

function trigger(config: ConfigSpace, reason: number, extended: number, source: number): boolean {
  const at = place(config);
  const before = config.read(at + STATUS, 2);
  const interrupt = (config.read(at + CONTROL, 2) & INTERRUPT_ENABLE) !== 0 && (before & INTERRUPT_STATUS) === 0;
  const kept = before & ~((3 << REASON_AT) | (3 << EXTENDED_REASON_AT));
  config.put(at + STATUS, 2, kept | TRIGGERED | (reason << REASON_AT) | (extended << EXTENDED_REASON_AT) | INTERRUPT_STATUS);
  config.put(at + SOURCE, 2, source);
  return interrupt;
}

/** DPC Trigger Status: the link below is held down until software clears it. */
export function isContaining(config: ConfigSpace): boolean {
  const at = place(config);
  return at > 0 && (config.read(at + STATUS, 2) & TRIGGERED) !== 0;
}

/** DPC Interrupt Status is set, and DPC Interrupt Enable too (§6.2.11.1). */
export function isContainmentPending(config: ConfigSpace): boolean {
  const at = place(config);
  if (at === 0) return false;
  return (config.read(at + CONTROL, 2) & INTERRUPT_ENABLE) !== 0 && (config.read(at + STATUS, 2) & INTERRUPT_STATUS) !== 0;
}

/** As Linux's dpc_reset_link: Trigger Status and Interrupt Status are cleared. */
export function endContainment(config: ConfigSpace): void {
  const at = place(config);
  if (at > 0) config.write(at + STATUS, 2, TRIGGERED | INTERRUPT_STATUS);
}
