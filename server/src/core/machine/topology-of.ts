import { Topology } from '../pci/index.ts';
import type { FunctionState } from './state.ts';

/** Who is below whom, of functions that are there now. */
export function topologyOf(functions: readonly FunctionState[]): Topology {
  return new Topology(functions.map(({ bdf, config }) => ({ bdf, config })));
}
