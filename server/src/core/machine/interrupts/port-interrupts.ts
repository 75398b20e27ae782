/** Interrupts of ports: for what happens in their slots, for errors that they are told of, for containment, as their registers say. */
import { PORT_CAUSES, hasPortCauses, messageNumber, portCauses } from '../../pci/index.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState } from '../state.ts';
import { raiseInterrupt } from './interrupts.ts';
import { setInterruptCause } from './intx.ts';

/** A message for each cause that was not there before; INTx as long as there is one. */
export function followCauses(m: Parts, port: FunctionState): void {
  if (!hasPortCauses(port.config)) return;
  const { config, interrupts } = port;
  const before = interrupts.portCauses;
  const now = portCauses(config);
  if (now === before) return;
  interrupts.portCauses = now;
  if (config.msi?.enabled === true || config.msix?.enabled === true) {
    for (const cause of PORT_CAUSES) {
      if ((now & ~before & cause) !== 0) raiseInterrupt(m, port, messageNumber(config, cause));
      else if ((before & ~now & cause) !== 0) forget(port, messageNumber(config, cause));
    }
  }
  setInterruptCause(m, port, now !== 0);
}

/** What its masked vector was pending for has been dealt with, and for nothing else (PCIe Base r6.0 §6.1.4.5). */
function forget({ config, interrupts }: FunctionState, vector: number): void {
  if (PORT_CAUSES.some((cause) => (interrupts.portCauses & cause) !== 0 && messageNumber(config, cause) === vector)) return;
  const { msi } = config;
  if (config.msix?.enabled === true) interrupts.vectors?.setPending(vector, false);
  else if (msi !== undefined) msi.setPending(msi.pending & ~(1 << vector));
}
