import { Topology } from '../../pci/index.ts';
import type { FunctionState } from '../state.ts';

/** Who is below whom, of functions that are there now; bridges that were there `before` are wired as they were. */
export function topologyOf(functions: readonly FunctionState[], before: Topology): Topology {
  const all = functions.map(({ bdf, config, spec }) => ({ bdf, config, dmaAliases: spec.dmaAliases ?? [] }));
  return new Topology(all, before);
}
