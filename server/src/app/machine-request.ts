/** A creation request made into what a machine is built from. */
import type { MachineSpec } from '../core/machine/index.ts';
import { Refusal } from './refusal.ts';
import type { CreateMachine } from './schemas.ts';
import { fromLspci, parseTopology, preset, topologyFromValue, type TopologySpec } from './topology/index.ts';

const SOURCES = ['topology', 'lspci', 'preset'] as const;

/** What machines get that are asked for without it. The seed is fixed, so that the same request makes the same machine. */
const DEFAULTS = { seed: 1, clock: 'auto', behaviour: 'strict' } as const;

export interface MachineRequest {
  /** Without a name: the registry gives one. */
  readonly spec: Omit<MachineSpec, 'name'>;
  /** The request's, or else a topology document's own. */
  readonly name: string | undefined;
  /** `topology`, `lspci` or `preset basic`. */
  readonly source: string;
  /** Empty when from a topology or a dump. */
  readonly preset: string;
  readonly warnings: readonly string[];
}

/** Throws `EINVAL` for none or several sources, and what the source's own reader throws. */
export function machineRequest(body: CreateMachine): MachineRequest {
  const given = SOURCES.filter((source) => body[source] !== undefined);
  if (given.length !== 1) {
    const found = given.length === 0 ? 'none of them' : given.join(' and ');
    throw new Refusal('EINVAL', `give one of topology, lspci and preset, not ${found}`, given[1] ?? 'topology');
  }
  const { topology, documentName, warnings } = read(body);
  return {
    spec: {
      seed: body.seed ?? DEFAULTS.seed,
      clock: body.clock ?? DEFAULTS.clock,
      behaviour: body.behaviour ?? DEFAULTS.behaviour,
      ...(body.withoutFixes === undefined ? {} : { withoutFixes: body.withoutFixes }),
      memory: topology.memory,
      functions: topology.functions,
      ...(topology.ecam === undefined ? {} : { ecam: topology.ecam }),
      ...(topology.iommu === undefined ? {} : { iommu: topology.iommu }),
    },
    name: body.name ?? documentName,
    source: body.preset === undefined ? String(given[0]) : `preset ${body.preset}`,
    preset: body.preset ?? '',
    warnings,
  };
}

interface Read {
  readonly topology: TopologySpec;
  readonly documentName: string | undefined;
  readonly warnings: readonly string[];
}

function read({ topology, lspci, preset: presetName }: CreateMachine): Read {
  if (lspci !== undefined) {
    const dump = fromLspci(lspci);
    return { topology: dump, documentName: undefined, warnings: dump.warnings };
  }
  // A preset's own name is not taken, or it could be made only once.
  if (presetName !== undefined) return { topology: preset(presetName), documentName: undefined, warnings: [] };
  const document = typeof topology === 'string' ? parseTopology(topology) : topologyFromValue(topology);
  return { topology: document, documentName: document.name, warnings: [] };
}
