import { rangeOf } from '../dma/dma-range.ts';
/** Memory that errs or stalls on purpose, by physical range. */
import { counts } from '../dma/gate.ts';
import type { Parts } from '../parts.ts';
import type { ArmedFault, Request } from '../state.ts';

/**
 * The fault that acts on a request which reaches memory now: the oldest whose range it touches and whose turn has come. Those that it has met before it was
 * stalled are not asked again.
 */
export function memoryFaultOn(m: Parts, request: Request): ArmedFault | undefined {
  const { address, bytes } = rangeOf(request);
  return faultAt(m, address, BigInt(bytes), request.stalledBy, ({ bdf }) => bdf === undefined || bdf === request.fn.bdf);
}

/** The same of an access of a host, for faults that say so. */
export function memoryFaultOnHost(m: Parts, address: bigint, bytes: number, stalledBy: number): ArmedFault | undefined {
  return faultAt(m, address, BigInt(bytes), stalledBy, ({ hosts }) => hosts);
}

function faultAt(
  m: Parts,
  address: bigint,
  bytes: bigint,
  stalledBy: number,
  concerns: (fault: ArmedFault) => boolean,
): ArmedFault | undefined {
  const { memory } = m.injected;
  for (const fault of memory) {
    const { id, range } = fault;
    if (id <= stalledBy || range === undefined || !concerns(fault)) continue;
    if (address >= range.address + range.bytes || range.address >= address + bytes) continue;
    if (!counts(fault)) continue;
    if (fault.count <= 0) memory.splice(memory.indexOf(fault), 1);
    return fault;
  }
  return undefined;
}
