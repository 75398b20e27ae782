/** Invariant 50: what shares a group follows from the topology, not from the order in which functions were found. */
import { expect, it } from 'vitest';
import { bdf } from '../../server/src/core/base/index.ts';
import type { FunctionSpec } from '../../server/src/core/machine/index.ts';
import { bridgeConfig } from '../../server/src/core/pci/index.ts';
import { CoreMachine, FIRST, PROBE, SECOND, SIBLINGS, probe } from '../kit/core-machine.ts';

const PORT = bdf(0, 0, 6, 0);
const BELOW = bdf(0, 1, 0, 0);

/** Two siblings, one function alone, and one below a root port that isolates nothing. */
const FUNCTIONS: readonly FunctionSpec[] = [
  probe(PROBE),
  ...SIBLINGS,
  {
    bdf: PORT,
    model: 'bridge',
    config: bridgeConfig({ kind: 'root-port', primary: 0, secondary: 1, subordinate: 1, acs: false }),
    label: '',
    latencyNs: 0,
  },
  probe(BELOW),
];

function orders<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, i) => orders(items.filter((_, other) => other !== i)).map((rest) => [item, ...rest]));
}

it('50 groups, their numbers and the order of their members are the same for every order of discovery', () => {
  for (const functions of orders(FUNCTIONS)) {
    const m = new CoreMachine({ functions });
    const groups = [PROBE, FIRST, PORT].map((at) => m.group(at));
    expect(groups).toMatchObject([
      { group: 0, members: [PROBE] },
      { group: 1, members: [FIRST, SECOND] },
      { group: 2, members: [PORT, BELOW] },
    ]);
  }
});
