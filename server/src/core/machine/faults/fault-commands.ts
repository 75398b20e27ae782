/** Faults on purpose, armed, listed and disarmed by a host. */
import { HOLD_POINTS, ModelError, PHYSICAL_BITS, formatBdf, hex, type Bdf } from '../../base/index.ts';
import { sendGathered } from '../ats/invalidation.ts';
import { FAULT_KINDS, MEMORY_ERRORS, type FaultArm, type FaultDisarm, type FaultKind } from '../command.ts';
import { unhold } from '../dma/dma-hold.ts';
import { advance } from '../dma/dma-ledger.ts';
import { comeBack, dropOff, hasLinkBelow } from '../errors/link.ts';
import { resumeHostAccess } from '../memory-commands.ts';
import type { Parts } from '../parts.ts';
import type { ArmedFaultSummary } from '../reply.ts';
import { functionMayBeReady } from '../reset/hardware-reset.ts';
import type { ArmedFault, Origin } from '../state.ts';

/** Faults of memory that a machine has at most: each request of a DMA looks at all of them. */
export const MEMORY_FAULTS_MAX = 64;

export function faultArm(m: Parts, origin: Origin, command: FaultArm): void {
  const {
    bdf,
    fault: kind,
    first,
    count,
    point,
    delayNs,
    fromNs = 0,
    untilNs = Infinity,
    range,
    error = 'completer-abort',
    hosts = false,
  } = command;
  checkCounts(command);
  checkTimes(m, command);
  checkMemory(m, command);
  if (kind === 'hold' && point === undefined) throw new ModelError('EINVAL', `a hold says where: ${HOLD_POINTS.join(', ')}`, 'point');
  if (kind === 'coalesced-completions' && count === 0 && delayNs === 0) {
    throw new ModelError('EINVAL', 'completions that are gathered without end need a delay after which they are sent', 'delay_ns');
  }
  const armed: ArmedFault = {
    id: m.injected.next++,
    kind,
    bdf,
    first,
    count: count === 0 ? Infinity : count,
    acted: 0,
    point: point ?? 'issued',
    delayNs,
    fromNs,
    untilNs,
    inForce: fromNs <= m.clock.nowNs,
    range,
    error,
    hosts,
    victims: undefined,
  };
  if (isOfMemory(kind)) {
    m.injected.memory.push(armed);
  } else {
    const fn = fnOf(m, bdf);
    const before = fn.armed.get(kind);
    // The new one takes the old one's place: what that keeps down comes up, or goes down anew.
    if (before !== undefined) disarm(m, before);
    fn.armed.set(kind, armed);
  }
  if (fromNs > m.clock.nowNs) addEdge(m, fromNs, armed);
  if (untilNs !== Infinity) addEdge(m, untilNs, armed);
  if (armed.inForce) comesIntoForce(m, armed);
  m.outbox.reply(origin, { kind: 'fault-armed', armed: armed.id, elapsedNs: m.outbox.elapsed(origin) });
}

function isOfMemory(kind: FaultKind): boolean {
  return kind === 'memory-errors' || kind === 'memory-stalls';
}

function fnOf(m: Parts, bdf: Bdf | undefined): NonNullable<ReturnType<Parts['functions']['get']>> {
  const fn = bdf === undefined ? undefined : m.functions.get(bdf);
  if (fn === undefined) {
    if (bdf === undefined) throw new ModelError('EINVAL', 'only a fault of memory is of no one function', 'function');
    throw new ModelError('ENODEV', `no function at ${formatBdf(bdf)} in machine "${m.spec.name}"`, 'function');
  }
  return fn;
}

function checkCounts({ fault, first, count }: FaultArm): void {
  if (!FAULT_KINDS.includes(fault)) throw new ModelError('EINVAL', `unknown fault "${String(fault)}"`, 'fault');
  if (!Number.isInteger(first) || first < 1) throw new ModelError('EINVAL', `first ${first} is not 1 or more`, 'first');
  if (!Number.isInteger(count) || count < 0) throw new ModelError('EINVAL', `count ${count} is not 0 (without end) or more`, 'count');
}

function checkTimes(m: Parts, { fromNs = 0, untilNs = Infinity }: FaultArm): void {
  if (untilNs <= Math.max(fromNs, m.clock.nowNs)) {
    const text = `it would end at ${untilNs} ns, not after ${Math.max(fromNs, m.clock.nowNs)} ns, when it begins`;
    throw new ModelError('EINVAL', text, 'until_ns');
  }
}

function checkMemory(m: Parts, { bdf, fault, range, error, count, hosts }: FaultArm): void {
  if (hosts === true && (bdf !== undefined || !isOfMemory(fault))) {
    throw new ModelError('EINVAL', 'only a fault of memory that is of no one function acts on accesses of hosts', 'hosts');
  }
  if (!isOfMemory(fault)) {
    if (range !== undefined) throw new ModelError('EINVAL', `a ${fault} is of a function, not of a range of memory`, 'address');
    const fn = fnOf(m, bdf);
    if (fault === 'surprise-down' && count !== 0 && hasLinkBelow(fn)) {
      throw new ModelError(
        'EINVAL',
        `the link below the port ${formatBdf(fn.bdf)} is down without end (count 0), or until a time`,
        'count',
      );
    }
    return;
  }
  if (bdf !== undefined) fnOf(m, bdf);
  if (range === undefined) throw new ModelError('EINVAL', `${fault} says of which memory: an address and a number of bytes`, 'address');
  if (range.bytes < 1n || range.address + range.bytes > 1n << BigInt(PHYSICAL_BITS)) {
    const text = `${hex(range.bytes)} bytes at ${hex(range.address)} are nothing, or beyond ${PHYSICAL_BITS} bits`;
    throw new ModelError('EINVAL', text, 'bytes');
  }
  if (error !== undefined && !MEMORY_ERRORS.includes(error)) throw new ModelError('EINVAL', `unknown error "${String(error)}"`, 'error');
  if (m.injected.memory.length >= MEMORY_FAULTS_MAX) {
    throw new ModelError('EINVAL', `a machine has at most ${MEMORY_FAULTS_MAX} faults of memory; disarm some`, 'fault');
  }
}

export function faultDisarm(m: Parts, origin: Origin, command: FaultDisarm): void {
  if ('armed' in command) {
    const armed = everyFault(m).find(({ id }) => id === command.armed);
    if (armed === undefined) {
      m.outbox.refuse(origin, 'ENOENT', `no fault ${command.armed} is armed`, 'armed');
      return;
    }
    disarm(m, armed);
  } else if (isOfMemory(command.fault)) {
    fnOf(m, command.bdf);
    for (const armed of m.injected.memory.filter(({ bdf, kind }) => bdf === command.bdf && kind === command.fault)) disarm(m, armed);
  } else {
    const armed = fnOf(m, command.bdf).armed.get(command.fault);
    if (armed !== undefined) disarm(m, armed);
    else undo(m, command.bdf, command.fault);
  }
  m.outbox.ok(origin);
}

/** Takes it away, and what it still keeps from going on goes on. */
function disarm(m: Parts, armed: ArmedFault): void {
  const { bdf, kind } = armed;
  if (isOfMemory(kind)) {
    const { memory } = m.injected;
    if (memory.includes(armed)) memory.splice(memory.indexOf(armed), 1);
    if (kind === 'memory-stalls') letGo(m, armed.id);
    return;
  }
  const fn = fnOf(m, bdf);
  fn.armed.delete(kind);
  if (armed.victims !== undefined) comeBack(m, armed);
  undo(m, fn.bdf, kind);
}

/** What a fault that has acted leaves behind, also when all its occurrences are over. */
function undo(m: Parts, bdf: Bdf, kind: FaultKind): void {
  const fn = fnOf(m, bdf);
  if (kind === 'coalesced-completions') sendGathered(m, fn);
  if (kind === 'never-ready') {
    fn.neverReady = false;
    functionMayBeReady(m, fn);
  }
}

/** Requests that it has stalled reach memory. */
function letGo(m: Parts, id: number): void {
  for (const fn of m.functionList) {
    const stalled = fn.entries.filter((request) => request.stalledBy === id && request.held);
    for (const request of stalled) unhold(m, request);
    if (stalled.length > 0) advance(m, fn);
  }
  for (const task of m.operations.values()) if (task.kind === 'host-access' && task.stalledBy === id) resumeHostAccess(m, task);
}

function addEdge(m: Parts, atNs: number, fault: ArmedFault): void {
  const { edges } = m.injected;
  const later = edges.findIndex((edge) => edge.atNs > atNs);
  edges.splice(later < 0 ? edges.length : later, 0, { atNs, fault });
}

/** The clock has come to the next edge: a fault comes into force, or ends. */
export function passEdge(m: Parts): void {
  const edge = m.injected.edges.shift();
  if (edge === undefined) return;
  const { fault, atNs } = edge;
  if (!everyFault(m).includes(fault)) return;
  if (atNs === fault.untilNs) {
    disarm(m, fault);
  } else {
    fault.inForce = true;
    comesIntoForce(m, fault);
  }
}

/** A link that is to be down without end needs nothing that is sent over it. */
function comesIntoForce(m: Parts, fault: ArmedFault): void {
  if (fault.kind !== 'surprise-down' || fault.count !== Infinity || fault.first > 1) return;
  fault.acted++;
  dropOff(m, fnOf(m, fault.bdf), fault);
}

function everyFault(m: Parts): readonly ArmedFault[] {
  return [...m.functionList.flatMap((fn) => [...fn.armed.values()]), ...m.injected.memory].toSorted((a, b) => a.id - b.id);
}

export function armedFaults(m: Parts): readonly ArmedFaultSummary[] {
  return everyFault(m).map((fault) => ({
    armed: fault.id,
    fault: fault.kind,
    bdf: fault.bdf,
    range: fault.range,
    error: fault.kind === 'memory-errors' ? fault.error : undefined,
    passes: fault.first - 1,
    acted: fault.acted,
    left: fault.count === Infinity ? undefined : fault.count,
    point: fault.kind === 'hold' ? fault.point : undefined,
    delayNs: fault.delayNs,
    fromNs: fault.fromNs,
    untilNs: fault.untilNs === Infinity ? undefined : fault.untilNs,
    inForce: fault.inForce,
    hosts: fault.hosts,
    text: faultText(fault),
  }));
}

function faultText({ kind, bdf, hosts, range, error, first, acted, count, point, delayNs, fromNs, untilNs, inForce }: ArmedFault): string {
  const words = [
    bdf === undefined ? (hosts ? 'any function and host' : 'any function') : formatBdf(bdf),
    kind,
    ...(kind === 'hold' ? [`at ${point}`] : []),
    ...(kind === 'memory-errors' ? [error] : []),
    ...(range === undefined ? [] : [`${hex(range.address)}+${hex(range.bytes)}`]),
    ...(delayNs > 0 ? [`by ${delayNs} ns`] : []),
    ...(inForce ? [] : [`from ${fromNs} ns`]),
    ...(untilNs === Infinity ? [] : [`until ${untilNs} ns`]),
  ];
  const left = count === Infinity ? 'without end' : `${count} left`;
  return `${words.join(' ')}: acted ${acted}, ${first > 1 ? `passes ${first - 1} more, ` : ''}${left}`;
}
