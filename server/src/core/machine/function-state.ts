/** What a machine keeps of a function, made from its spec, and what the IOMMU core is told of it. */
import { ModelError, NO_PASID, busOf, formatBdf, type Bdf } from '../base/index.ts';
import { directAmong, type Iommu } from '../iommu/index.ts';
import { ConfigSpace, MsixVectors, isSlotOff, type ConfigSpaceOptions, type Topology } from '../pci/index.ts';
import type { Translation } from '../translation/index.ts';
import type { ModelWiring } from './model-ports.ts';
import type { Parts } from './parts.ts';
import type { FunctionSpec } from './spec.ts';
import type { FunctionState } from './state.ts';

/** A process hosts thousands of machines; one of them is no data centre. */
export const FUNCTIONS_MAX = 4096;

export function configOf(fn: FunctionSpec, virtual?: ConfigSpaceOptions['virtual']): ConfigSpace {
  const name = formatBdf(fn.bdf);
  const options = fn.barBytes === undefined ? { name } : { name, barBytes: fn.barBytes };
  return new ConfigSpace(fn.config, virtual === undefined ? options : { ...options, virtual });
}

/** Of all that a machine has at power-up. EINVAL: a virtual function whose physical one is not there. */
export function configsOf(specs: readonly FunctionSpec[]): Map<Bdf, ConfigSpace> {
  const configs = new Map<Bdf, ConfigSpace>();
  for (const spec of specs) if (spec.virtual === undefined) configs.set(spec.bdf, configOf(spec));
  for (const spec of specs) {
    if (spec.virtual === undefined) continue;
    const physical = configs.get(spec.virtual.physical);
    if (physical === undefined) {
      const text = `${formatBdf(spec.bdf)} is a virtual function of ${formatBdf(spec.virtual.physical)}, which is not there`;
      throw new ModelError('EINVAL', text, 'functions');
    }
    configs.set(spec.bdf, configOf(spec, { physical, index: spec.virtual.index }));
  }
  return configs;
}

export function newFunction(
  index: number,
  fn: FunctionSpec,
  config: ConfigSpace,
  translation: Translation,
  wiring: ModelWiring,
): FunctionState {
  return {
    index,
    bdf: fn.bdf,
    spec: fn,
    config,
    model: wiring.modelOf(fn.model, index),
    modelLife: 0,
    modelAlarms: [],
    path: [],
    context: translation.contextHandle(fn.bdf, NO_PASID),
    device: undefined,
    entries: [],
    gateOpen: true,
    epoch: 0,
    resetting: false,
    heldInReset: false,
    holdsInReset: [],
    resetMethods: undefined,
    saved: undefined,
    readyAtNs: 0,
    peerResets: 0,
    neverReady: false,
    atcKept: false,
    needsReset: false,
    claimedBy: 0,
    absentOf: 0,
    comesWithClaim: false,
    claim: undefined,
    warnedDirect: false,
    armed: new Map(),
    votes: new Map(),
    savedConfig: undefined,
    contained: undefined,
    unpowered: config.isBridge && isSlotOff(config) ? [] : undefined,
    linkDown: 0,
    physical: undefined,
    suspended: undefined,
    leaving: 0,
    gathered: undefined,
    closedWindows: new Map(),
    vitalProductData: fn.vitalProductData?.slice(),
    turns: false,
    capturedBus: busOf(fn.bdf),
    resetHolder: 0,
    interrupts: { vectors: vectorsOf(config), savedTable: undefined, cause: false, asserted: false, line: undefined, portCauses: 0 },
  };
}

function vectorsOf({ msix }: ConfigSpace): MsixVectors | undefined {
  return msix === undefined ? undefined : new MsixVectors(msix.vectors);
}

/** By the number that alarms name it by; undefined for one that is gone. Most often no function has come or gone, and it is where its number says. */
export function functionNumbered({ functionList }: Parts, index: number): FunctionState | undefined {
  const there = functionList[index];
  return there?.index === index ? there : functionList.find((fn) => fn.index === index);
}

export function probed(fn: FunctionState, topology: Topology): Parameters<Iommu['addGroup']>[0][number] {
  const { config, spec } = fn;
  const untrusted = spec.untrusted ?? false;
  // pci_ats_supported(): of a function that is not trusted nobody uses it.
  const atsSupported = config.atsSupported && !untrusted;
  return {
    bdf: fn.bdf,
    dmaAliases: topology.dmaAliases(fn.bdf),
    pasidsMax: config.pasidSupported ? 1 << config.pasidWidth : 0,
    atsSupported,
    // A dump's function keeps the ATS Enable that its dump has: no driver runs here that would set it.
    atsWanted: atsSupported && fn.model.atc !== undefined,
    invalidateQueueDepth: config.atsQueueDepth,
    directRegions: [...(spec.directRegions ?? []), ...directAmong(spec.reservedRegions ?? [])],
    reservedRegions: spec.reservedRegions ?? [],
    deferAttach: spec.deferAttach ?? false,
    noDefaultDomain: spec.defaultDomain === 'none',
    wish: { bdf: fn.bdf, wants: wishOf(spec.defaultDomain), untrusted },
  };
}

function wishOf(asked: FunctionSpec['defaultDomain']): 'identity' | 'dma' | undefined {
  return asked === 'paging' ? 'dma' : asked === 'identity' ? asked : undefined;
}
