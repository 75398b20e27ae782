import type { Bdf, HoldPoint } from '../base/index.ts';
import type { FunctionModel } from '../devices/index.ts';
import type { GroupDevice } from '../iommu/index.ts';
import type { ConfigSpace } from '../pci/index.ts';
import type { FaultKind } from './command.ts';
import type { PeerId } from './outgoing.ts';
import type { Request } from './request.ts';
import type { FunctionSpec } from './spec.ts';

/** A fault on purpose: acts on occurrences from `first` on, `count` of them (Infinity: without end). */
export interface ArmedFault {
  first: number;
  count: number;
  readonly point: HoldPoint;
  readonly delayNs: number;
}

/** One function as the machine knows it. */
export interface FunctionState {
  /** Position in bus order; the id of its alarms. */
  readonly index: number;
  readonly bdf: Bdf;
  readonly spec: FunctionSpec;
  readonly config: ConfigSpace;
  readonly model: FunctionModel;
  /** Bridges from the nearest to the root. */
  readonly path: readonly FunctionState[];
  /** Handle of its device context without PASID. */
  readonly context: number;
  /** Undefined without an IOMMU. */
  device: GroupDevice | undefined;
  /** The in-flight ledger: every request that has been issued and has not ended, in issue order. */
  entries: Request[];
  /** Closed by a drain, until translation is restored. */
  gateOpen: boolean;
  /** Rises when what is in flight is dropped: an answer to an older epoch is late. */
  epoch: number;
  /** In an FLR or not ready after it. */
  resetting: boolean;
  /** When the time that its last reset takes is over. */
  readyAtNs: number;
  /** A remote function's peer has not answered its reset. */
  peerResetting: boolean;
  /** The last reset failed: `strict` keeps the function blocked. */
  resetFailed: boolean;
  /** The peer that plays a `remote` function; 0: nobody. */
  claimedBy: PeerId;
  readonly armed: Map<FaultKind, ArmedFault>;
  /** The operation that holds the function's reset lock (device_lock), 0 for none. */
  resetHolder: number;
}

/** True when this occurrence is one that the armed fault acts on; counts it either way. */
export function faultActs(fn: FunctionState, kind: FaultKind): ArmedFault | undefined {
  const fault = fn.armed.get(kind);
  if (fault === undefined) return undefined;
  if (fault.first > 1) {
    fault.first--;
    return undefined;
  }
  if (--fault.count <= 0) fn.armed.delete(kind);
  return fault;
}

/**
 * Why the function may not issue a request, or undefined when its way is open: gate, reset, power, bus mastering here and on
 * every bridge above (design §6 step 1). Messages and completions do not ask.
 */
export function closedGate(fn: FunctionState): string | undefined {
  if (!fn.gateOpen) return 'its gate is closed by a reset window';
  if (fn.resetting) return 'it is resetting';
  if (fn.spec.model === 'remote' && fn.claimedBy === 0) return 'it is absent';
  if (fn.config.powerState !== 0) return `it is in D${fn.config.powerState}`;
  if (!fn.config.busMaster) return 'its Bus Master Enable is clear';
  for (const bridge of fn.path) if (!bridge.config.busMaster) return 'Bus Master Enable of a bridge above is clear';
  return undefined;
}

/** True when configuration requests to the function find it: not in a reset, and not an absent remote function. */
export function answersConfig(fn: FunctionState): boolean {
  return !fn.resetting && (fn.spec.model !== 'remote' || fn.claimedBy !== 0);
}
