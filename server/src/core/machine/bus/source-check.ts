/** What downstream ports check of requests from below before anything else: Source Validation and Translation Blocking (PCIe Base r6.0 §6.12.1.1). */
import { ACS, PORT_TYPE } from '../../pci/index.ts';
import type { DmaTask, FunctionState } from '../state.ts';
import { requesterBus } from './captured-bus.ts';

/** The port that blocks the operation as an ACS Violation; undefined: none does. */
export function blockingPort(fn: FunctionState, task: Pick<DmaTask, 'operation' | 'translated'>): FunctionState | undefined {
  const { path } = fn;
  for (let i = 0; i < path.length; i++) {
    const port = path[i]!;
    const { acsControl, portType, secondaryBus, subordinateBus } = port.config;
    if ((acsControl & (ACS.sourceValidation | ACS.translationBlocking)) === 0) continue;
    if (portType !== PORT_TYPE.downstreamPort && portType !== PORT_TYPE.rootPort) continue;
    if ((acsControl & ACS.translationBlocking) !== 0 && (task.translated || task.operation === 'translate')) return port;
    if ((acsControl & ACS.sourceValidation) === 0) continue;
    const bus = requesterBus(fn, i);
    if (bus < secondaryBus || bus > subordinateBus) return port;
  }
  return undefined;
}
