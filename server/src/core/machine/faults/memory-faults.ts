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
  const { memory } = m.injected;
  const { address, bytes } = rangeOf(request);
  for (const fault of memory) {
    const { id, bdf, range } = fault;
    if (id <= request.stalledBy || range === undefined || (bdf !== undefined && bdf !== request.fn.bdf)) continue;
    if (address >= range.address + range.bytes || range.address >= address + BigInt(bytes)) continue;
    if (!counts(fault)) continue;
    if (fault.count <= 0) memory.splice(memory.indexOf(fault), 1);
    return fault;
  }
  return undefined;
}
