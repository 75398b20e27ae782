import type { Bdf } from '../../base/index.ts';
import { mayTurn, type Topology } from '../../pci/index.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState } from '../state.ts';

/** Notes for every function the bridges above it. */
export function routePaths(functions: ReadonlyMap<Bdf, FunctionState>, topology: Topology): void {
  for (const fn of functions.values()) {
    fn.path = topology
      .pathUp(fn.bdf)
      .map((bridge) => functions.get(bridge))
      .filter((bridge) => bridge !== undefined);
    fn.turns = fn.path.some(mayTurn);
  }
}

/** Functions below a bridge, as bus numbers route now. */
export function functionsBelow({ functionList }: Pick<Parts, 'functionList'>, bridge: FunctionState): readonly FunctionState[] {
  return functionList.filter((fn) => fn.path.includes(bridge));
}
