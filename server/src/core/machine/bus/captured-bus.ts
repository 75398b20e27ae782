/**
 * Bus numbers that functions capture from configuration writes (PCIe Base r6.0 §2.2.6.2). They are for Source Validation only: the IOMMU knows functions by
 * how they are wired, whatever numbers software gives.
 */
import { busOf } from '../../base/index.ts';
import { PORT_TYPE } from '../../pci/index.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState } from '../state.ts';

/** Configuration space of the function is being written: it captures the number of its bus. */
export function captureBus(m: Pick<Parts, 'topology'>, fn: FunctionState): void {
  const [bridge] = fn.path;
  const wired = busOf(fn.bdf);
  if (bridge === undefined) return;
  fn.capturedBus = bridge.config.secondaryBus + wired - (m.topology.busesAt(bridge.bdf)?.secondary ?? wired);
}

/** The bus number of the requester ID that its requests bear when they come to the i-th bridge above it. */
export function requesterBus(fn: FunctionState, i: number): number {
  // A virtual function captures none: its routing ID is counted from its physical one's.
  let bus = fn.physical === undefined ? fn.capturedBus : fn.physical.capturedBus + busOf(fn.bdf) - busOf(fn.physical.bdf);
  for (const bridge of fn.path.slice(0, i)) {
    const { portType, secondaryBus } = bridge.config;
    if (portType === PORT_TYPE.expressToPci) bus = secondaryBus;
    else if (portType === PORT_TYPE.none || portType === PORT_TYPE.pciToExpress) bus = bridge.capturedBus;
  }
  return bus;
}
