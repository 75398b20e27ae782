import { fromLspci, parseTopology, preset, topologyFromValue } from '../../server/src/app/topology/index.ts';
import type { MachineSpec } from '../../server/src/core/machine/index.ts';
import type { MachineRequest } from './driver.ts';

/** What a service with no settings gives a machine that is asked for without it, as far as scenarios go; and a seed of their own. */
export function machineSpec(request: MachineRequest): MachineSpec {
  const { memory, ecam, iommu, functions } = topologyOf(request);
  return {
    name: 'scenario',
    seed: request.seed ?? 1,
    clock: request.clock ?? 'auto',
    behaviour: request.behaviour ?? 'strict',
    ...(request.withoutFixes === undefined ? {} : { withoutFixes: request.withoutFixes }),
    memory,
    functions,
    ...(ecam === undefined ? {} : { ecam }),
    ...(iommu === undefined ? {} : { iommu }),
  };
}

function topologyOf({
  topology,
  lspci,
  preset: name = 'basic',
}: MachineRequest): Pick<MachineSpec, 'memory' | 'ecam' | 'iommu' | 'functions'> {
  if (lspci !== undefined) return fromLspci(lspci);
  if (topology === undefined) return preset(name);
  return typeof topology === 'string' ? parseTopology(topology) : topologyFromValue(topology);
}
