/** Requests of the host that nobody takes: who says so, and what that leaves in status registers. */
import { PORT_TYPE, noteSecondaryStatus, type TopologyFunction } from '../../pci/index.ts';
import { isDisconnected } from '../dma/gate.ts';
import { reportError } from '../errors/bus-errors.ts';
import { hasLinkBelow } from '../errors/link.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState } from '../state.ts';

/**
 * Completed as an Unsupported Request by this function, undefined: by the host bridge, which has no registers here. Advisory where the requester learns of it
 * (PCIe Base r6.0 §6.2.3.2.4.1).
 */
export function unclaimed(m: Parts, completer: FunctionState | undefined, posted: boolean): void {
  if (completer === undefined) return;
  // Nobody asserted DEVSEL# on its bus.
  if (isConventional(completer)) noteSecondaryStatus(completer.config, 'receivedMasterAbort');
  reportError(m, completer, 'unsupported-request', !posted);
  const root = completer.path.at(-1) ?? completer;
  if (!posted) noteSecondaryStatus(root.config, 'receivedMasterAbort');
}

/** Who completes a request that the bridge passed down and nobody took: the device at the end of its link, or the bridge. */
export function completerBelow(m: Parts, bridge: TopologyFunction): FunctionState | undefined {
  const port = m.functions.get(bridge.bdf);
  if (port === undefined || !hasLinkBelow(port)) return port;
  const device = m.topology.functionsBelow(bridge.bdf)[0];
  const there = device === undefined ? undefined : m.functions.get(device.bdf);
  return there === undefined || there.resetting || isDisconnected(there) ? port : there;
}

function isConventional({ config }: FunctionState): boolean {
  return config.isBridge && (config.portType === PORT_TYPE.none || config.portType === PORT_TYPE.expressToPci);
}
