/**
 * Errors on the bus: what one sets in the functions that are concerned, and its message on the way to the root port. Only what fails comes here.
 */
import { OUTCOMES, formatBdf, type Bdf } from '../../base/index.ts';
import {
  PORT_TYPE,
  contain,
  containBySoftware,
  logError,
  noteSecondaryStatus,
  noteStatus,
  passesMessage,
  receiveMessage,
  wouldContain,
  type BusError,
  type ErrorMessage,
  type LoggedError,
} from '../../pci/index.ts';
import { isRecorded } from '../faults/faults.ts';
import type { Parts } from '../parts.ts';
import { INJECTED, type DmaTask, type FunctionState } from '../state.ts';
import type { NotedError } from './error-queue.ts';
import { behindLinkOf, linkGoesDown } from './link.ts';
import { completionHeader, memoryHeader } from './tlp-header.ts';

const RID_MASK = 0xffff;
const NO_HEADER: readonly number[] = [];

/** Where a message came to. */
interface Arrival {
  readonly root?: Bdf;
  readonly interrupt?: boolean;
  readonly systemError?: boolean;
  /** The port that contains what is below it. */
  readonly contained?: Bdf;
}

/**
 * The function has detected an error. `advisory`: its severity permitting it is told as correctable, for the requester or software has learnt of it in
 * another way (PCIe Base r6.0 §6.2.3.2.4).
 */
export function reportError(m: Parts, fn: FunctionState, error: BusError, advisory: boolean, header = NO_HEADER): void {
  const logged = logError(fn.config, error, advisory, header);
  if (logged === undefined) return;
  const arrival = tell(m, fn, logged);
  m.trace.emit('bus-error', fn.bdf, ERROR_NUMBER[error], SEVERITY_NUMBER[logged.severity], logged.message === undefined ? 0 : 1);
  const text = `${formatBdf(fn.bdf)} ${error}, ${logged.severity}${logged.masked ? ', masked' : ''}${arrivalText(logged, arrival)}`;
  m.outbox.event({
    kind: 'error',
    bdf: fn.bdf,
    error,
    severity: logged.severity,
    masked: logged.masked,
    message: logged.message,
    root: arrival.root,
    interrupt: arrival.interrupt ?? false,
    systemError: arrival.systemError ?? false,
    contained: arrival.contained,
    header,
    text,
    timeNs: m.clock.nowNs,
  });
}

const ERROR_NUMBER: Readonly<Record<BusError, number>> = {
  'surprise-down': 5,
  poisoned: 12,
  'completion-timeout': 14,
  'completer-abort': 15,
  'unexpected-completion': 16,
  malformed: 18,
  'unsupported-request': 20,
  'acs-violation': 21,
};
const SEVERITY_NUMBER: Readonly<Record<ErrorMessage, number>> = { correctable: 0, nonfatal: 1, fatal: 2 };
const MESSAGE_NAME: Readonly<Record<ErrorMessage, string>> = { correctable: 'ERR_COR', nonfatal: 'ERR_NONFATAL', fatal: 'ERR_FATAL' };

function arrivalText({ message }: LoggedError, { root, interrupt, contained }: Arrival): string {
  if (contained !== undefined) return `: contained by ${formatBdf(contained)}`;
  if (message === undefined) return '';
  const end = root === undefined ? 'reaches no root port' : `reaches ${formatBdf(root)}${interrupt === true ? ', which interrupts' : ''}`;
  return `: ${MESSAGE_NAME[message]} ${end}`;
}

/** The message goes up, bridge by bridge, until one does not pass it, contains, or is the root port. */
function tell(m: Parts, fn: FunctionState, { message, severity, masked }: LoggedError): Arrival {
  // A port contains for its own errors whether it would tell them or not, unless they are masked (§6.2.11).
  if (!masked && wouldContain(fn.config, severity)) return containBelow(m, fn, severity, undefined);
  if (message === undefined) return {};
  const source = fn.bdf & RID_MASK;
  if (fn.config.portType === PORT_TYPE.rootPort) return arrive(m, fn, message, source);
  for (const bridge of fn.path) {
    if (wouldContain(bridge.config, message)) return containBelow(m, bridge, message, source);
    if (!passesMessage(bridge.config, message)) return {};
    if (bridge.config.portType === PORT_TYPE.rootPort) return arrive(m, bridge, message, source);
  }
  const collector = fn.path.length > 0 ? undefined : m.functionList.find((other) => collects(other, fn));
  return collector === undefined ? {} : arrive(m, collector, message, source);
}

/** Integrated endpoints tell the event collector of their bus (§1.3.4). */
function collects({ config, bdf }: FunctionState, fn: FunctionState): boolean {
  return config.portType === PORT_TYPE.eventCollector && bdf >> 8 === fn.bdf >> 8;
}

function arrive(m: Parts, root: FunctionState, message: ErrorMessage, source: number): Arrival {
  const { bdf, config } = root;
  const { interrupt, systemError } = receiveMessage(config, message, source);
  m.changedPorts.add(root);
  return { root: bdf, interrupt, systemError };
}

function containBelow(m: Parts, port: FunctionState, message: ErrorMessage, source: number | undefined): Arrival {
  const interrupt = contain(port.config, message, source);
  cutOffBelow(m, port);
  return { contained: port.bdf, interrupt };
}

/** DPC Software Trigger was written. */
export function softwareTrigger(m: Parts, port: FunctionState): void {
  if (containBySoftware(port.config)) cutOffBelow(m, port);
}

function cutOffBelow(m: Parts, port: FunctionState): void {
  const below = behindLinkOf(m, port);
  port.contained = below.map(({ index }) => index);
  m.outbox.log('warn', port.bdf, `${formatBdf(port.bdf)}: containment event; ${below.length} functions below are cut off`);
  linkGoesDown(m, below);
  m.changedPorts.add(port);
}

type FailedRequest = Extract<NotedError, { kind: 'request' }>;

/** Logs what has been noted; false when there was nothing. */
export function logErrors(m: Parts): boolean {
  if (m.errors.length === 0) return false;
  for (const noted of m.errors.splice(0)) {
    if (noted.kind === 'request') requestFailed(m, noted.task, noted.status, noted);
    else if (noted.kind === 'surprise-down') surpriseDown(m, noted.fn);
    else badCompletion(m, noted.task, noted.kind);
  }
  return true;
}

/** A request of this operation has ended so: what that sets in the function, and in the root port above it, which completes what it does not pass on. */
function requestFailed(m: Parts, task: DmaTask, status: number, request: FailedRequest): void {
  const { fn, operation } = task;
  const posted = operation === 'write';
  const root = request.by ?? fn.path.at(-1);
  const outcome = OUTCOMES[status];
  switch (outcome) {
    case 'unsupported-request':
      if (!posted) noteStatus(fn.config, 'receivedMasterAbort');
      if (root !== undefined) reportError(m, root, outcome, !posted, headerOf(task, request));
      break;
    case 'completer-abort':
      if (!posted) noteStatus(fn.config, 'receivedTargetAbort');
      if (root === undefined) break;
      signalAbort(root, posted && request.violation);
      // Whoever blocks it logs the violation, and no Completer Abort (§6.12.5).
      reportError(m, root, request.violation ? 'acs-violation' : outcome, !posted, headerOf(task, request));
      break;
    case 'poisoned':
      noteStatus(fn.config, 'masterDataParity');
      if (posted) {
        if (root === undefined) break;
        noteSecondaryStatus(root.config, 'detectedParity');
        reportError(m, root, outcome, false, headerOf(task, request));
      } else {
        noteStatus(fn.config, 'detectedParity');
        reportError(m, fn, outcome, false, completionHeader(fn.bdf, request.bytes, request.iovaLow, request.id));
      }
      break;
    case 'completion-timeout':
      reportError(m, fn, outcome, false, headerOf(task, request));
      break;
    default:
      // What the IOMMU refuses is completed as an Unsupported Request, and told in its own way.
      if (!posted && isRecorded(status)) noteStatus(fn.config, 'receivedMasterAbort');
  }
}

/** On the side where it sends the completion; of a posted request that a port blocks there is none. */
function signalAbort({ config }: FunctionState, silent: boolean): void {
  if (silent) return;
  if (config.isBridge) noteSecondaryStatus(config, 'signaledTargetAbort');
  else noteStatus(config, 'signaledTargetAbort');
}

function headerOf({ fn, operation, injected }: DmaTask, { iovaLow, iovaHigh, bytes, translated, id }: FailedRequest): readonly number[] {
  const poisoned = (injected & INJECTED.poisoned) !== 0;
  return memoryHeader({ bdf: fn.bdf, operation, addressLow: iovaLow, addressHigh: iovaHigh, bytes, translated, poisoned, tag: id });
}

/**
 * A completion came that nothing waits for (§2.3.2), which is advisory, for whoever sent it knows no more; or what came is no valid TLP, and has no meaning
 * for the function, whatever its header was.
 */
function badCompletion(m: Parts, { fn, bytes, iovaLow, id }: DmaTask, error: 'unexpected-completion' | 'malformed'): void {
  reportError(m, fn, error, error === 'unexpected-completion', completionHeader(fn.bdf, bytes, iovaLow, id));
}

/** The link below the port has gone down without a word; only a port that says so can tell (Link Capabilities, §7.5.3.6). */
function surpriseDown(m: Parts, port: FunctionState): void {
  if (port.config.reportsSurpriseDown) reportError(m, port, 'surprise-down', false);
}
