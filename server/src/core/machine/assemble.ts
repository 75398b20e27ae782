/** Makes a machine's parts from its spec and wires them: the only place that knows every room. */
import { Clock, ModelError, NO_PASID, Trace, formatBdf, type Bdf } from '../base/index.ts';
import { createModel } from '../devices/index.ts';
import { Iommu, directAmong } from '../iommu/index.ts';
import { GuestMemory } from '../memory/index.ts';
import { ConfigSpace, Topology } from '../pci/index.ts';
import { FaultQueue, InvalidationQueue, Translation } from '../translation/index.ts';
import { faultActs } from './gate.ts';
import { hostWindows } from './host-windows.ts';
import { applyEffects } from './invalidation.ts';
import { ModelWiring } from './model-ports.ts';
import { OperationTable } from './operation-table.ts';
import { Outbox } from './outbox.ts';
import type { Outgoing } from './outgoing.ts';
import { newPageRequestState } from './page-request-state.ts';
import type { Parts } from './parts.ts';
import { Peers } from './peers.ts';
import type { ReadBuffers } from './read-buffers.ts';
import { routePaths } from './routing.ts';
import { BEHAVIOURS, fixesOf, type FunctionSpec, type MachineSpec } from './spec.ts';
import type { FunctionState } from './state.ts';
import type { TraceHash } from './trace-hash.ts';

/** Records kept for hosts that ask; more are counted as overflow. */
export const FAULT_RECORDS_MAX = 1024;
/** A process hosts thousands of machines; one of them is no data centre. */
export const FUNCTIONS_MAX = 4096;

/** EINVAL names what in the spec cannot be. */
export function assemble(spec: MachineSpec, hash: TraceHash, readBuffers: ReadBuffers, onItem: (item: Outgoing) => void): Parts {
  if (!BEHAVIOURS.includes(spec.behaviour)) throw new ModelError('EINVAL', `unknown behaviour "${String(spec.behaviour)}"`, 'behaviour');
  if (spec.functions.length > FUNCTIONS_MAX) {
    throw new ModelError('EINVAL', `${spec.functions.length} functions; a machine has at most ${FUNCTIONS_MAX}`, 'functions');
  }
  const clock = new Clock();
  const now = () => clock.nowNs;
  const trace = new Trace(now);
  const memory = new GuestMemory(spec.memory);
  const translation = new Translation({ trace, now, memory });
  const configs = new Map(spec.functions.map((fn) => [fn.bdf, configOf(fn)]));
  const topology = new Topology(spec.functions.map((fn) => ({ bdf: fn.bdf, config: configs.get(fn.bdf)! })));
  const wiring = new ModelWiring();
  const functions = makeFunctions(spec, configs, topology, translation, wiring);
  const outbox = new Outbox(now, onItem);
  const strict = spec.behaviour === 'strict';
  const fixes = fixesOf(spec);
  const iommu =
    spec.iommu === undefined
      ? undefined
      : new Iommu({
          translation,
          policy: { atsOffFirst: !strict, staysBlockedOnFailure: strict, restsOnBlocking: strict, looksAgain: strict, fixes },
          defaultType: spec.iommu.defaultDomain === 'identity' ? 'identity' : spec.iommu.dmaFlush === 'lazy' ? 'dma-fq' : 'dma',
          blockedDomain: spec.iommu.blockedDomain ?? true,
          isolation: spec.iommu.isolation ?? 'blocked',
          hostWindows: hostWindows(configs.values()),
          attachFails: (bdf) => {
            const fn = functions.get(bdf);
            return fn !== undefined && faultActs(fn, 'attach-fails') !== undefined;
          },
        });
  const parts: Parts = {
    spec,
    strict,
    fixes,
    clock,
    trace,
    memory,
    readBuffers,
    translation,
    invalidations: new InvalidationQueue({ trace, now, grantsMade: () => translation.grantsMade }),
    faultQueue: new FaultQueue(FAULT_RECORDS_MAX, now),
    pageRequests: newPageRequestState(trace, now, spec.iommu),
    topology,
    iommu,
    functions,
    functionList: [...functions.values()],
    operations: new OperationTable(),
    peers: new Peers(outbox),
    outbox,
    hash,
    timedHolds: new Map(),
    tableReads: new Map(),
    tableUpdates: new Map(),
    invalidationAlarms: new Map(),
    windowReports: new Map(),
    callHolds: new Map(),
    stoppedCalls: new Map(),
    ioases: new Map(),
    injected: { memory: [], edges: [], next: 1 },
    nextIoas: 1,
    nextRequest: 1,
  };
  wiring.parts = parts;
  attachAll(parts);
  return parts;
}

function configOf(fn: FunctionSpec): ConfigSpace {
  const name = formatBdf(fn.bdf);
  return new ConfigSpace(fn.config, fn.barBytes === undefined ? { name } : { name, barBytes: fn.barBytes });
}

function makeFunctions(
  spec: MachineSpec,
  configs: ReadonlyMap<Bdf, ConfigSpace>,
  topology: Topology,
  translation: Translation,
  wiring: ModelWiring,
): ReadonlyMap<Bdf, FunctionState> {
  const functions = new Map<Bdf, FunctionState>();
  const inOrder = spec.functions.toSorted((a, b) => a.bdf - b.bdf);
  for (const [index, fn] of inOrder.entries()) {
    functions.set(fn.bdf, {
      index,
      bdf: fn.bdf,
      spec: fn,
      config: configs.get(fn.bdf)!,
      model: createModel(fn.model, wiring.portsOf(index)),
      modelLife: 0,
      modelAlarms: [],
      path: [],
      context: translation.contextHandle(fn.bdf, NO_PASID),
      device: undefined,
      entries: [],
      gateOpen: true,
      epoch: 0,
      resetting: false,
      readyAtNs: 0,
      peerResets: 0,
      neverReady: false,
      atcKept: false,
      needsReset: false,
      claimedBy: 0,
      warnedDirect: false,
      armed: new Map(),
      linkDown: 0,
      gathered: undefined,
      closedWindows: new Map(),
      resetHolder: 0,
    });
  }
  routePaths(functions, topology);
  return functions;
}

/** Every function that can be a DMA's source is in a group, on its default domain; without an IOMMU, addresses pass as they are. */
function attachAll(m: Parts): void {
  const { iommu, translation } = m;
  if (iommu === undefined) {
    const identity = translation.createSpace('identity');
    for (const fn of m.functionList) translation.setContext(fn.bdf, NO_PASID, identity, false);
    return;
  }
  for (const members of m.topology.isolationGroups()) {
    const states = members.map((bdf) => m.functions.get(bdf)).filter((fn) => fn !== undefined);
    const effects = iommu.addGroup(states.map(probed));
    for (const fn of states) fn.device = iommu.device(fn.bdf);
    applyEffects(m, undefined, effects);
  }
}

function probed(fn: FunctionState): Parameters<Iommu['addGroup']>[0][number] {
  const { config, spec } = fn;
  const untrusted = spec.untrusted ?? false;
  // pci_ats_supported(): of a function that is not trusted nobody uses it.
  const atsSupported = config.atsSupported && !untrusted;
  return {
    bdf: fn.bdf,
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
