/** Makes a machine's parts from its spec and wires them: the only place that knows every room. */
import { Clock, ModelError, NO_PASID, Trace, hex, pageOf, physicalAddress, type Bdf } from '../base/index.ts';
import type { createModel } from '../devices/index.ts';
import { INTERRUPT_REGION, Iommu } from '../iommu/index.ts';
import { GuestMemory } from '../memory/index.ts';
import { Topology, type ConfigSpace } from '../pci/index.ts';
import { FaultQueue, InterruptRemapping, InvalidationQueue, Translation } from '../translation/index.ts';
import { applyEffects } from './ats/invalidation.ts';
import { newPageRequestState } from './ats/page-request-state.ts';
import { checkEcam } from './bus/config-requests.ts';
import { OperationTable } from './calls/operation-table.ts';
import { faultActs } from './dma/gate.ts';
import { FUNCTIONS_MAX, configsOf, newFunction, probed } from './function-state.ts';
import { hostWindows } from './hierarchy/host-windows.ts';
import { routePaths } from './hierarchy/routing.ts';
import { ModelWiring } from './model-ports.ts';
import { Outbox } from './outbox.ts';
import type { Outgoing } from './outgoing.ts';
import type { Parts } from './parts.ts';
import { Peers } from './peers.ts';
import { BEHAVIOURS, fixesOf, type MachineSpec } from './spec.ts';
import type { FunctionState } from './state.ts';
import type { TraceHash } from './trace-hash.ts';

/** Records kept for hosts that ask; more are counted as overflow. */
export const FAULT_RECORDS_MAX = 1024;

/** EINVAL names what in the spec cannot be. */
// long: one part a line
export function assemble(
  spec: MachineSpec,
  hash: TraceHash,
  given: Pick<Parts, 'readBuffers' | 'readFunctions'> & { readonly models: typeof createModel },
  onItem: (item: Outgoing) => void,
): Parts {
  checkSpec(spec);
  const clock = new Clock();
  const now = () => clock.nowNs;
  const trace = new Trace(now);
  const memory = new GuestMemory(spec.memory);
  const interrupts = interruptsOf(spec, memory);
  const translation = new Translation({ trace, now, memory, takesInterrupts: interrupts.doorbellPage < 0 });
  const configs = configsOf(spec.functions);
  const topology = new Topology(
    spec.functions.map((fn) => ({ bdf: fn.bdf, config: configs.get(fn.bdf)!, dmaAliases: fn.dmaAliases ?? [] })),
  );
  const wiring = new ModelWiring(given.models);
  const functions = makeFunctions(spec, configs, translation, wiring);
  for (const fn of functions.values()) fn.context = translation.contextHandle(topology.requesterId(fn.bdf), NO_PASID);
  routePaths(functions, topology);
  const outbox = new Outbox(now, onItem, (peer, reply) => parts.peers.noteReply(peer, reply));
  const strict = spec.behaviour === 'strict';
  const iommu = makeIommu(spec, translation, configs.values(), functions, interrupts.doorbellPage < 0 ? 'x86' : 'translated');
  const parts: Parts = {
    spec,
    strict,
    fixes: fixesOf(spec),
    clock,
    trace,
    memory,
    readBuffers: given.readBuffers,
    readFunctions: given.readFunctions,
    translation,
    invalidations: new InvalidationQueue({ trace, now, grantsMade: () => translation.grantsMade }),
    faultQueue: new FaultQueue(FAULT_RECORDS_MAX, now),
    pageRequests: newPageRequestState(trace, now, spec.iommu),
    topology,
    iommu,
    functions,
    functionList: [...functions.values()],
    nextFunction: functions.size,
    leaving: new Set(),
    operations: new OperationTable(),
    peers: new Peers(outbox),
    outbox,
    wiring,
    hash,
    timedHolds: new Map(),
    tableReads: new Map(),
    tableUpdates: new Map(),
    invalidationAlarms: new Map(),
    windowReports: new Map(),
    callHolds: new Map(),
    stoppedCalls: new Map(),
    ioases: new Map(),
    changedPorts: new Set(),
    errors: [],
    injected: { memory: [], edges: [], next: 1 },
    nextIoas: 1,
    ownConfigs: new Set(),
    ...interrupts,
    nextRequest: 1,
    configAddress: 0,
  };
  wiring.parts = parts;
  attachAll(parts);
  return parts;
}

function checkSpec(spec: MachineSpec): void {
  if (!BEHAVIOURS.includes(spec.behaviour)) throw new ModelError('EINVAL', `unknown behaviour "${String(spec.behaviour)}"`, 'behaviour');
  if (spec.functions.length > FUNCTIONS_MAX) {
    throw new ModelError('EINVAL', `${spec.functions.length} functions; a machine has at most ${FUNCTIONS_MAX}`, 'functions');
  }
  checkEcam(spec);
}

function makeIommu(
  spec: MachineSpec,
  translation: Translation,
  configs: Iterable<ConfigSpace>,
  functions: ReadonlyMap<Bdf, FunctionState>,
  interrupts: keyof typeof INTERRUPT_REGION,
): Iommu | undefined {
  if (spec.iommu === undefined) return undefined;
  const strict = spec.behaviour === 'strict';
  const fixes = fixesOf(spec);
  return new Iommu({
    translation,
    policy: {
      atsOffFirst: !strict,
      staysBlockedOnFailure: strict,
      restsOnBlocking: strict,
      looksAgain: strict,
      fencesNewMembers: strict,
      fixes,
    },
    defaultType: spec.iommu.defaultDomain === 'identity' ? 'identity' : spec.iommu.dmaFlush === 'lazy' ? 'dma-fq' : 'dma',
    blockedDomain: spec.iommu.blockedDomain ?? true,
    isolation: spec.iommu.isolation ?? 'blocked',
    hostWindows: hostWindows(configs),
    interruptRegion: INTERRUPT_REGION[interrupts],
    attachFails: (bdf) => {
      const fn = functions.get(bdf);
      return fn !== undefined && faultActs(fn, 'attach-fails') !== undefined;
    },
  });
}

/** Without an IOMMU messages go as on an x86 machine whose interrupts are not remapped. */
function interruptsOf({ iommu }: MachineSpec, memory: GuestMemory): Pick<Parts, 'doorbellPage' | 'remapping' | 'intxSources'> {
  const spec = iommu?.interrupts ?? { at: 'x86', remapping: 'off' };
  if (spec.at === 'x86') {
    const remapping = spec.remapping === 'off' ? undefined : new InterruptRemapping(spec.remapping === 'compatibility');
    return { doorbellPage: -1, remapping, intxSources: new Map() };
  }
  const page = pageOf(physicalAddress(spec.doorbell));
  if (memory.ownerOf(page) >= 0) throw new ModelError('EINVAL', `the doorbell ${hex(spec.doorbell)} is in memory`, 'doorbell');
  return { doorbellPage: page, remapping: undefined, intxSources: new Map() };
}

function makeFunctions(
  spec: MachineSpec,
  configs: ReadonlyMap<Bdf, ConfigSpace>,
  translation: Translation,
  wiring: ModelWiring,
): Map<Bdf, FunctionState> {
  const functions = new Map<Bdf, FunctionState>();
  const inOrder = spec.functions.toSorted((a, b) => a.bdf - b.bdf);
  for (const [index, fn] of inOrder.entries()) {
    const made = newFunction(index, fn, configs.get(fn.bdf)!, translation, wiring);
    // A physical function is before its virtual ones: their routing IDs follow its own.
    functions.set(fn.bdf, fn.virtual === undefined ? made : { ...made, physical: functions.get(fn.virtual.physical) });
  }
  return functions;
}

/** Every function that can be a DMA's source is in a group, on its default domain; without an IOMMU, addresses pass as they are. */
function attachAll(m: Parts): void {
  const { iommu, translation } = m;
  if (iommu === undefined) {
    const identity = translation.createSpace('identity');
    for (const fn of m.functionList) translation.setContext(m.topology.requesterId(fn.bdf), NO_PASID, identity, false);
    return;
  }
  for (const members of m.topology.isolationGroups()) {
    const states = members.map((bdf) => m.functions.get(bdf)).filter((fn) => fn !== undefined);
    const effects = iommu.addGroup(states.map((fn) => probed(fn, m.topology)));
    for (const fn of states) fn.device = iommu.device(fn.bdf);
    applyEffects(m, undefined, effects);
  }
}
