import { Atc } from './atc.ts';
import { DmaProbe } from './dma-probe/index.ts';
import { Edu } from './edu/index.ts';
import type { FunctionModel } from './model.ts';
import { PageRequester } from './page-requester.ts';
import { passiveFunction } from './passive.ts';
import type { ModelPorts } from './ports.ts';

const CATALOGUE = {
  replay: () => passiveFunction('replay'),
  bridge: () => passiveFunction('bridge'),
  remote: () => passiveFunction('remote', { atc: new Atc(), pageRequester: new PageRequester() }),
  'dma-probe': (ports) => new DmaProbe(ports),
  edu: (ports) => new Edu(ports),
} as const satisfies Record<string, (ports: ModelPorts) => FunctionModel>;

/**
 * The catalogue of function models. `replay`: a dump's bytes with the write masks that its capabilities imply. `dma-probe`: every
 * kind of DMA and ATS traffic. `remote`: a device role claims it. `bridge`: host bridges, root ports, switch ports.
 */
export type ModelName = keyof typeof CATALOGUE;

/** All that there are. */
export const MODEL_NAMES = Object.keys(CATALOGUE) as readonly ModelName[];

export function createModel(name: ModelName, ports: ModelPorts): FunctionModel {
  const create: (ports: ModelPorts) => FunctionModel = CATALOGUE[name];
  return create(ports);
}
