/** What stops a function: a closed way, a reset, a fault on purpose. */
import { NO_PASID, join64 } from '../../base/index.ts';
import { isOpenInWindow } from '../../iommu/index.ts';
import { PORT_TYPE, showsRetryStatus } from '../../pci/index.ts';
import type { FaultKind } from '../command.ts';
import type { ArmedFault, DmaTask, FunctionState, Request } from '../state.ts';

/** True when this occurrence is one that the armed fault acts on; counts it either way. */
export function faultActs(fn: FunctionState, kind: FaultKind): ArmedFault | undefined {
  const fault = fn.armed.get(kind);
  if (fault === undefined || !counts(fault)) return undefined;
  if (fault.count <= 0) fn.armed.delete(kind);
  return fault;
}

/** Counts an occurrence; true when the fault acts on it. */
export function counts(fault: ArmedFault): boolean {
  if (!fault.inForce) return false;
  if (fault.first > 1) {
    fault.first--;
    return false;
  }
  fault.acted++;
  fault.count--;
  return true;
}

type Issued = Pick<DmaTask, 'operation' | 'translated' | 'pasid' | 'iovaLow' | 'iovaHigh' | 'bytes'>;

/** An untranslated request, all of it in the direct regions that its window leaves the function. */
function passesWindow({ device }: FunctionState, { operation, translated, pasid, iovaLow, iovaHigh, bytes }: Issued): boolean {
  if (device === undefined || translated || operation === 'translate' || pasid !== NO_PASID) return false;
  return isOpenInWindow(device, join64(iovaLow, iovaHigh), bytes);
}

/**
 * Why the function may not issue a request, or undefined when its way is open: gate, reset, power, bus mastering here and on
 * every bridge above (design §6 step 1). Messages and completions do not ask. `request`: what it would issue, where its window may leave it some.
 */
export function closedGate(fn: FunctionState, request?: Issued): string | undefined {
  if (!fn.gateOpen && (request === undefined || !passesWindow(fn, request))) return 'its gate is closed by a reset window';
  if (fn.resetting) return 'it is resetting';
  if (fn.linkDown !== 0) return 'its link is down';
  if (isDisconnected(fn)) return 'it is absent';
  if (fn.config.powerState !== 0) return `it is in D${fn.config.powerState}`;
  if (!fn.config.busMaster) return 'its Bus Master Enable is clear';
  for (const bridge of fn.path) if (!bridge.config.busMaster) return 'Bus Master Enable of a bridge above is clear';
  return undefined;
}

/** True when configuration requests to the function find it: not in a reset, not behind a link that is down, and not an absent remote function. */
export function answersConfig(fn: FunctionState): boolean {
  return !fn.resetting && !isDisconnected(fn);
}

/** Nobody is there who could ever answer (pci_dev_is_disconnected). */
export function isDisconnected(fn: FunctionState): boolean {
  return fn.linkDown !== 0 || (fn.spec.model === 'remote' && fn.claimedBy === 0);
}

/**
 * It is there, and not ready after its reset: configuration requests get Request Retry Status, and the root port shows software so (PCIe Base r6.0
 * §2.3.2). In a bus reset that is not over its link is down.
 */
export function showsRetry(fn: FunctionState): boolean {
  if (!fn.resetting || fn.heldInReset || isDisconnected(fn) || fn.config.portType === PORT_TYPE.none) return false;
  return fn.path.some(({ config }) => showsRetryStatus(config));
}

/** Posted, and not yet performed: later posted requests and reads of the function wait for it. */
export function holdsBackLater(request: Request): boolean {
  return request.posted && request.point !== 'performed' && request.point !== 'indeterminate';
}

/** What a read gets where nobody answers, unsigned. */
export function allOnes(bytes: number): number {
  return bytes >= 4 ? 0xffff_ffff : (1 << (8 * bytes)) - 1;
}
