/**
 * Registers of error signaling and logging (PCIe Base r6.0 §6.2): what an error sets in the function that detects it, which message that sends, and what
 * a message sets on its way to the root port. The order of looks is that of the flowchart in §6.2.5.
 */
import { CAPABILITY } from './capability-table.ts';
import type { ConfigSpace } from './config-space.ts';
import { EXPRESS } from './express-registers.ts';
import { EXTENDED_CAPABILITY } from './extended-capability-table.ts';
import { COMMAND, HEADER } from './header.ts';

/** Uncorrectable errors by their bit in the AER registers (§7.8.4.2). */
export const BUS_ERRORS = {
  'surprise-down': 5,
  poisoned: 12,
  'completion-timeout': 14,
  'completer-abort': 15,
  'unexpected-completion': 16,
  malformed: 18,
  'unsupported-request': 20,
  'acs-violation': 21,
} as const;
export type BusError = keyof typeof BUS_ERRORS;

/** ERR_COR, ERR_NONFATAL, ERR_FATAL. */
export type ErrorMessage = 'correctable' | 'nonfatal' | 'fatal';

/** Bits of Status, and of Secondary Status of a bridge, where `systemError` is Received System Error (§7.5.1.1.4, §7.5.1.3.7). */
export const STATUS_BITS = {
  masterDataParity: 0x0100,
  signaledTargetAbort: 0x0800,
  receivedTargetAbort: 0x1000,
  receivedMasterAbort: 0x2000,
  systemError: 0x4000,
  detectedParity: 0x8000,
} as const;
export type StatusBit = keyof typeof STATUS_BITS;

const AER = {
  uncorrectableStatus: 4,
  uncorrectableMask: 8,
  uncorrectableSeverity: 0xc,
  correctableStatus: 0x10,
  correctableMask: 0x14,
  control: 0x18,
  headerLog: 0x1c,
  rootCommand: 0x2c,
  rootStatus: 0x30,
  sources: 0x34,
} as const;
const FIRST_ERROR = 0x1f;
/** Severity without AER: what a reset puts into the register (§7.8.4.4). */
const FATAL_BY_DEFAULT = 0x0046_2030;
const ADVISORY = 1 << 13;
/** Device Control and Device Status have them alike: correctable, non-fatal, fatal, Unsupported Request (§7.5.3.4, §7.5.3.5). */
const DEVICE = { correctable: 1, nonfatal: 2, fatal: 4, unsupported: 8 } as const;
const BRIDGE_SERR = 2;
const SECONDARY_STATUS = 0x1e;
/** Root Control: a system error on each kind of message, by the bits of Device Control (§7.5.3.12). */
const ROOT_CONTROL = 0x1c;
const SERR = COMMAND.systemError;
/** Root Error Status (§7.8.4.10). */
const ROOT = {
  correctable: 1,
  severalCorrectable: 2,
  uncorrectable: 4,
  severalUncorrectable: 8,
  firstFatal: 0x10,
  nonfatal: 0x20,
  fatal: 0x40,
} as const;

/** What became of an error in the function that detected it. */
export interface LoggedError {
  readonly severity: ErrorMessage;
  /** By its mask: logged, and told nobody. */
  readonly masked: boolean;
  /** Undefined where reporting is not enabled. */
  readonly message: ErrorMessage | undefined;
}

function place(config: ConfigSpace, id: number, extended: boolean): number {
  return config.capabilities.find((one) => one.id === id && one.extended === extended)?.offset ?? 0;
}

function set(config: ConfigSpace, offset: number, bytes: 2 | 4, bits: number): void {
  config.put(offset, bytes, config.read(offset, bytes) | bits);
}

/** The function saw or did one of these (§7.5.1.1.4). Master Data Parity Error only with Parity Error Response. */
export function noteStatus(config: ConfigSpace, bit: StatusBit): void {
  const responds = (config.read(HEADER.command, 2) & COMMAND.parityErrorResponse) !== 0;
  if (bit !== 'masterDataParity' || responds) set(config, HEADER.status, 2, STATUS_BITS[bit]);
}

/** The same on the secondary side of a bridge. */
export function noteSecondaryStatus(config: ConfigSpace, bit: StatusBit): void {
  if (config.headerType === 1) set(config, SECONDARY_STATUS, 2, STATUS_BITS[bit]);
}

/**
 * Logs an uncorrectable error. `advisory`: it is one of the cases of §6.2.3.2.4, and is told as correctable where its severity is non-fatal.
 * `header`: of the TLP that it is about. Undefined for a function without the PCI Express capability, which has no such registers.
 */
export function logError(config: ConfigSpace, error: BusError, advisory: boolean, header: readonly number[]): LoggedError | undefined {
  const express = place(config, CAPABILITY.express, false);
  if (express === 0) return undefined;
  const aer = place(config, EXTENDED_CAPABILITY.aer, true);
  const bit = 1 << BUS_ERRORS[error];
  const fatal = ((aer > 0 ? config.read(aer + AER.uncorrectableSeverity, 4) : FATAL_BY_DEFAULT) & bit) !== 0;
  const severity = fatal ? 'fatal' : advisory ? 'correctable' : 'nonfatal';
  const unsupported = error === 'unsupported-request';
  set(config, express + EXPRESS.deviceStatus, 2, DEVICE[severity] | (unsupported ? DEVICE.unsupported : 0));
  if (aer > 0) {
    if (severity === 'correctable') {
      set(config, aer + AER.correctableStatus, 4, ADVISORY);
      if ((config.read(aer + AER.correctableMask, 4) & ADVISORY) !== 0) return { severity, masked: true, message: undefined };
    }
    const masked = (config.read(aer + AER.uncorrectableMask, 4) & bit) !== 0;
    if (!masked) noteFirst(config, aer, BUS_ERRORS[error], header);
    set(config, aer + AER.uncorrectableStatus, 4, bit);
    // An advisory error that is masked as uncorrectable is still told as correctable.
    if (masked && severity !== 'correctable') return { severity, masked, message: undefined };
  }
  return { severity, masked: false, message: tells(config, express, severity, unsupported) ? severity : undefined };
}

/** First Error Pointer and Header Log hold until the error that they tell of is cleared (§6.2.4.2). */
function noteFirst(config: ConfigSpace, aer: number, error: number, header: readonly number[]): void {
  const control = config.read(aer + AER.control, 4);
  const isValid = ((config.read(aer + AER.uncorrectableStatus, 4) >>> (control & FIRST_ERROR)) & 1) === 1;
  if (isValid) return;
  config.put(aer + AER.control, 4, (control & ~FIRST_ERROR) | error);
  for (let i = 0; i < 4; i++) config.put(aer + AER.headerLog + 4 * i, 4, header[i] ?? 0);
}

/** Whether reporting is enabled (§6.2.6): SERR# Enable does not cover correctable errors. */
function tells(config: ConfigSpace, express: number, severity: ErrorMessage, unsupported: boolean): boolean {
  const control = config.read(express + EXPRESS.deviceControl, 2);
  const serr = severity !== 'correctable' && (config.read(HEADER.command, 2) & SERR) !== 0;
  if (unsupported && (control & DEVICE.unsupported) === 0 && !serr) return false;
  if (serr) noteStatus(config, 'systemError');
  return serr || (control & DEVICE[severity]) !== 0;
}

/** A message from below reaches a bridge: whether it goes on upwards (§7.5.1.3.13, §7.5.1.1.3). */
export function passesMessage(config: ConfigSpace, message: ErrorMessage): boolean {
  const uncorrectable = message !== 'correctable';
  if (uncorrectable) noteSecondaryStatus(config, 'systemError');
  if ((config.read(HEADER.bridgeControl, 2) & BRIDGE_SERR) === 0) return false;
  if (!uncorrectable) return true;
  const serr = (config.read(HEADER.command, 2) & SERR) !== 0;
  if (serr) noteStatus(config, 'systemError');
  const express = place(config, CAPABILITY.express, false);
  return serr || (express > 0 && (config.read(express + EXPRESS.deviceControl, 2) & DEVICE[message]) !== 0);
}

export interface RootReport {
  /** A status bit that the Root Error Command asks an interrupt for came, where none was set before (§6.2.4.1.2). */
  readonly interrupt: boolean;
  /** Root Control asks for a system error. */
  readonly systemError: boolean;
}

/** A root port, or a Root Complex Event Collector, has got a message. `source`: the requester ID of who sent it. */
export function receiveMessage(config: ConfigSpace, message: ErrorMessage, source: number): RootReport {
  const express = place(config, CAPABILITY.express, false);
  const aer = place(config, EXTENDED_CAPABILITY.aer, true);
  const systemError = express > 0 && (config.read(express + ROOT_CONTROL, 2) & DEVICE[message]) !== 0;
  if (aer === 0) return { interrupt: false, systemError };
  const before = config.read(aer + AER.rootStatus, 4);
  config.put(aer + AER.rootStatus, 4, before | rootBits(before, message));
  const sourceAt = aer + AER.sources + (message === 'correctable' ? 0 : 2);
  if ((before & (message === 'correctable' ? ROOT.correctable : ROOT.uncorrectable)) === 0) config.put(sourceAt, 2, source);
  const asked = config.read(aer + AER.rootCommand, 4);
  const interrupt = (asked & DEVICE[message]) !== 0 && (asked & commandBits(before)) === 0;
  return { interrupt, systemError };
}

function rootBits(before: number, message: ErrorMessage): number {
  if (message === 'correctable') return ROOT.correctable | ((before & ROOT.correctable) === 0 ? 0 : ROOT.severalCorrectable);
  const first = (before & ROOT.uncorrectable) === 0;
  const bits = ROOT.uncorrectable | (first ? 0 : ROOT.severalUncorrectable) | ROOT[message];
  return bits | (first && message === 'fatal' ? ROOT.firstFatal : 0);
}

/** Root Error Command bits whose status is set. */
function commandBits(status: number): number {
  return (
    ((status & ROOT.correctable) === 0 ? 0 : DEVICE.correctable) |
    ((status & ROOT.nonfatal) === 0 ? 0 : DEVICE.nonfatal) |
    ((status & ROOT.fatal) === 0 ? 0 : DEVICE.fatal)
  );
}

/** A message has come of a kind that Root Error Command wants an interrupt for (§6.2.4.1.2). */
export function isErrorPending(config: ConfigSpace): boolean {
  const aer = config.isErrorRoot ? place(config, EXTENDED_CAPABILITY.aer, true) : 0;
  if (aer === 0) return false;
  return (commandBits(config.read(aer + AER.rootStatus, 4)) & config.read(aer + AER.rootCommand, 4)) !== 0;
}

/** As Linux's PCI core enables reporting (pci_aer_init, pci_configure_serr, aer_enable_rootport). */
export function enableReporting(config: ConfigSpace): void {
  const express = place(config, CAPABILITY.express, false);
  if (config.headerType === 1) config.write(HEADER.bridgeControl, 2, config.read(HEADER.bridgeControl, 2) | BRIDGE_SERR);
  if (express === 0) return;
  const at = express + EXPRESS.deviceControl;
  config.write(at, 2, config.read(at, 2) | DEVICE.correctable | DEVICE.nonfatal | DEVICE.fatal | DEVICE.unsupported);
  const aer = place(config, EXTENDED_CAPABILITY.aer, true);
  if (aer > 0 && config.isErrorRoot) config.write(aer + AER.rootCommand, 4, DEVICE.correctable | DEVICE.nonfatal | DEVICE.fatal);
}

/** As pci_aer_clear_nonfatal_status and its fatal sibling at the end of a recovery. */
export function clearErrors(config: ConfigSpace): void {
  const express = place(config, CAPABILITY.express, false);
  const aer = place(config, EXTENDED_CAPABILITY.aer, true);
  if (express > 0) config.write(express + EXPRESS.deviceStatus, 2, 0xf);
  if (aer > 0) config.write(aer + AER.uncorrectableStatus, 4, -1);
  if (aer > 0 && config.isErrorRoot) config.write(aer + AER.rootStatus, 4, 0x7f);
}
