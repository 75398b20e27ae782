/** function-plug: functions that come while the machine runs, into a slot or anywhere. */
import { ModelError, NO_PASID, busOf, formatBdf, segmentOf, type Bdf } from '../../base/index.ts';
import { applyEffects } from '../ats/invalidation.ts';
import { captureBus } from '../bus/captured-bus.ts';
import type { FunctionPlug } from '../command.ts';
import { FUNCTIONS_MAX, configOf, newFunction, probed } from '../function-state.ts';
import type { Parts } from '../parts.ts';
import { setGate } from '../reset/window.ts';
import type { FunctionSpec } from '../spec.ts';
import type { FunctionState, Origin, PlugTask } from '../state.ts';
import { placeOf, portAt } from './plug-place.ts';
import { routePaths } from './routing.ts';
import { slotsFilled } from './slots.ts';
import { topologyOf } from './topology-of.ts';

/** From the link's being up until configuration requests are answered (PCIe Base r6.0 §6.6.1). */
const LINK_NS = 100_000_000;

/**
 * `port`: whose slot they come into; it has room for one device, and all of them are on its secondary bus or below. The reply comes when they answer. EINVAL
 * names what cannot be.
 */
export function functionPlug(m: Parts, origin: Origin, command: FunctionPlug): void {
  const { port } = command;
  const specs = typeof command.functions === 'string' ? readFunctions(m, port, command.functions) : command.functions;
  if (specs.length === 0) throw new ModelError('EINVAL', 'no functions to plug in', 'functions');
  if (port !== undefined) {
    const refusal = slotRefusal(m, port, specs);
    if (refusal !== undefined) {
      m.outbox.refuse(origin, 'EBUSY', refusal, 'port');
      return;
    }
  }
  addFunctions(m, specs, { reason: 'plugged', readyNs: LINK_NS });
  const task = m.operations.start<PlugTask>(origin, { kind: 'plug', functions: specs.map(({ bdf }) => bdf) });
  task.alarm = m.clock.set(LINK_NS, 'operation', task.id);
}

/** They answer from now on. */
export function resumePlug(m: Parts, task: PlugTask): void {
  m.operations.end(task);
  m.outbox.reply(task.origin, { kind: 'function-plug', functions: task.functions, elapsedNs: m.outbox.elapsed(task.origin) });
}

function readFunctions(m: Parts, port: Bdf | undefined, text: string): readonly FunctionSpec[] {
  if (m.readFunctions === undefined) throw new ModelError('EOPNOTSUPP', 'this machine reads no topology', 'topology');
  return m.readFunctions(text, placeOf(m, port));
}

/** Why the slot cannot take them now; EINVAL for what never can be. */
export function slotRefusal(m: Parts, port: Bdf, specs: readonly FunctionSpec[]): string | undefined {
  const fn = portAt(m, port);
  const name = formatBdf(port);
  // Names are as functions are wired, whatever bus numbers software has given.
  const { secondary, subordinate } = m.topology.busesAt(port) ?? { secondary: 0, subordinate: 0 };
  for (const { bdf } of specs) {
    const bus = busOf(bdf);
    if (segmentOf(bdf) === segmentOf(port) && bus >= secondary && bus <= subordinate) continue;
    const range = `${secondary.toString(16)} to ${subordinate.toString(16)}`;
    throw new ModelError('EINVAL', `${formatBdf(bdf)} is not below ${name}, whose buses are ${range}`, 'functions');
  }
  const there = m.functionList.find((one) => one.path.includes(fn));
  if (there !== undefined) return `the slot of ${name} has ${formatBdf(there.bdf)}; take it out first`;
  return fn.leaving === 0 && fn.linkDown === 0 ? undefined : `${name} is being taken out`;
}

export interface Coming {
  readonly reason: 'plugged' | 'vf-enabled';
  /** Until they answer. */
  readonly readyNs: number;
  /** Of virtual functions. */
  readonly physical?: FunctionState;
}

/** Probes them too: each is in a group when this returns. ModelError before anything has changed. */
export function addFunctions(m: Parts, specs: readonly FunctionSpec[], coming: Coming): readonly FunctionState[] {
  if (m.functionList.length + specs.length > FUNCTIONS_MAX) {
    const sum = m.functionList.length + specs.length;
    throw new ModelError('EINVAL', `${sum} functions; a machine has at most ${FUNCTIONS_MAX}`, 'functions');
  }
  const configs = specs.map((spec, i) =>
    configOf(spec, coming.physical === undefined ? undefined : { physical: coming.physical.config, index: i }),
  );
  const added = specs.map((spec, i): FunctionState => ({
    ...newFunction(m.nextFunction + i, spec, configs[i]!, m.translation, m.wiring),
    physical: coming.physical,
  }));
  const list = [...m.functionList, ...added].toSorted((a, b) => a.bdf - b.bdf);
  // Two functions at one address are refused here.
  const topology = topologyOf(list, m.topology);
  m.topology = topology;
  m.nextFunction += added.length;
  m.functionList.splice(0, Infinity, ...list);
  for (const fn of added) {
    m.functions.set(fn.bdf, fn);
    fn.context = m.translation.contextHandle(topology.requesterId(fn.bdf), NO_PASID);
    fn.resetting = coming.readyNs > 0;
    fn.readyAtNs = m.clock.nowNs + coming.readyNs;
    if (fn.resetting) m.clock.set(coming.readyNs, 'function', fn.index);
  }
  routePaths(m.functions, m.topology);
  // They come as software would have left them, with Bus Master Enable: it has written their configuration space.
  for (const fn of added) captureBus(m, fn);
  slotsFilled(m, added);
  probeAll(m, added);
  for (const { bdf, path } of added) {
    m.outbox.event({ kind: 'hotplug', port: path[0]?.bdf, bdf, present: true, reason: coming.reason, timeNs: m.clock.nowNs });
  }
  return added;
}

/**
 * pci_device_group() of functions that come later: one that cannot be kept apart from functions that are there joins their group, of several the one whose
 * first member has the lowest address, as Linux meets it on its way up; the others make groups of their own.
 */
function probeAll(m: Parts, added: readonly FunctionState[]): void {
  const { iommu, translation } = m;
  if (iommu === undefined) {
    const identity = translation.createSpace('identity');
    for (const fn of added) translation.setContext(m.topology.requesterId(fn.bdf), NO_PASID, identity, false);
    return;
  }
  for (const members of m.topology.isolationGroups()) {
    const states = members.map((bdf) => m.functions.get(bdf)).filter((fn) => fn !== undefined);
    const fresh = states.filter((fn) => fn.device === undefined);
    if (fresh.length === 0) continue;
    const group = states.find((fn) => fn.device !== undefined)?.device?.group;
    const effects =
      group === undefined
        ? iommu.addGroup(fresh.map((fn) => probed(fn, m.topology)))
        : fresh.flatMap((fn) => iommu.join(group, probed(fn, m.topology)));
    for (const fn of fresh) {
      fn.device = iommu.device(fn.bdf);
      if (fn.device?.joining === true) setGate(m, fn, false);
    }
    applyEffects(m, undefined, effects);
  }
}
