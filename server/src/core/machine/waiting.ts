/** What a machine waits for: its calls that are not answered, who holds its clock, and what each call lacks. For people who wonder why nothing goes on. */
import { formatBdf } from '../base/index.ts';
import type { PeerId } from './outgoing.ts';
import type { Parts } from './parts.ts';
import { isAbsent } from './remote/absent-memory.ts';
import type { MachineStatus, WaitingCall } from './reply.ts';
import type { FunctionState, Operation } from './state.ts';

export function machineStatus(m: Parts): MachineStatus {
  const waiting: WaitingCall[] = [];
  for (const operation of m.operations.values()) {
    // What a part of another call waits for that one says too.
    if (!('peer' in operation.origin)) continue;
    const { sinceNs } = operation.origin;
    waiting.push({ call: operation.kind, bdf: functionOf(m, operation)?.bdf, sinceNs, waitsFor: lacks(m, operation) });
  }
  for (const { origin, request } of m.operations.waitingResets) {
    waiting.push({ call: 'reset', bdf: request.bdf, sinceNs: origin.sinceNs, waitsFor: 'the reset locks of its functions' });
  }
  const holders = m.peers.all().filter(({ clockUntilNs }) => clockUntilNs !== Infinity);
  return {
    nowNs: m.clock.nowNs,
    nextAlarmNs: m.clock.nextNs(),
    clock: m.spec.clock,
    clockWaitsFor: m.peers.all().flatMap(({ id, owed, silent }) => (owed.size > 0 && !silent ? [id] : [])),
    clockHeldBy: holders.map(({ id, clockUntilNs }) => ({ peer: id, untilNs: clockUntilNs })),
    peers: m.peers.all().map(({ id, owed, silent }) => ({
      peer: id,
      owes: owed.size,
      silent,
      plays: m.functionList.flatMap(({ bdf, claimedBy }) => (claimedBy === id ? [bdf] : [])),
    })),
    memory: m.memory.owned().map(({ owner, address, bytes }) => ({ address, bytes, peer: owner, absent: isAbsent(m, owner) })),
    waiting,
  };
}

function functionOf(m: Parts, operation: Operation): FunctionState | undefined {
  switch (operation.kind) {
    case 'dma':
    case 'prepare':
    case 'done':
    case 'leave':
    case 'reset':
    case 'recover':
    case 'bar-read':
    case 'page-request':
      return operation.fn;
    case 'change':
      return m.functions.get(operation.device.bdf);
    case 'peer-dma':
      return operation.request.fn;
    case 'unplug':
      return m.functions.get(operation.bdf);
    case 'peer-access':
      return operation.index < 0 ? undefined : m.functionList.find(({ index }) => index === operation.index);
    default:
      return undefined;
  }
}

/** In words. */
function lacks(m: Parts, operation: Operation): string {
  const held = m.stoppedCalls.get(operation.id);
  if (held !== undefined) return `hold ${held.hold} to let it go on, before step ${held.step}`;
  for (const [group, { holder, queue }] of m.operations.mutexes) {
    if (queue.includes(operation.id)) return `the mutex of group ${group}, which ${nameOf(m, holder)} has`;
  }
  switch (operation.kind) {
    case 'peer-access':
      return `the answer of peer ${operation.owner}`;
    case 'claim':
      return 'what stands in its slot to go';
    case 'advance':
      return clockLacks(m, operation.targetNs);
    case 'peer-dma':
      return 'the registers of another function, which its DMA goes to';
    case 'dma-list':
      return 'the ends of its ranges';
    case 'write-multi':
      return 'the answers to its writes';
    case 'lookup':
      return 'an entry of page tables, of the owner of their memory';
    case 'page-request':
      return 'the answer of a host to its page requests';
    default:
      return work(m, functionOf(m, operation), operation);
  }
}

function nameOf(m: Parts, id: number): string {
  const operation = m.operations.get(id);
  const fn = operation === undefined ? undefined : functionOf(m, operation);
  return `${operation?.kind ?? 'a call'}${fn === undefined ? '' : ` of ${formatBdf(fn.bdf)}`}`;
}

/** What it has begun and awaits. */
function work(m: Parts, fn: FunctionState | undefined, { pending, alarm }: Operation): string {
  const parts: string[] = [];
  const invalidations = fn === undefined ? 0 : m.invalidations.outstanding(fn.bdf) + m.invalidations.waiting(fn.bdf);
  const requests = fn?.entries.length ?? 0;
  if (invalidations > 0) parts.push(`${invalidations} invalidations of ${formatBdf(fn!.bdf)}`);
  if (requests > 0) parts.push(`${requests} requests in flight of ${formatBdf(fn!.bdf)}`);
  if (fn !== undefined && fn.peerResets > 0) parts.push(`peer ${fn.claimedBy}, which resets ${formatBdf(fn.bdf)}`);
  if (parts.length === 0 && pending > 0) parts.push(`${pending} invalidations or requests of its functions`);
  if (alarm !== 0 || parts.length === 0) parts.push('its time on the clock');
  return parts.join(', ');
}

function clockLacks(m: Parts, targetNs: number): string {
  const owing: PeerId[] = m.peers.all().flatMap(({ id, owed, silent }) => (owed.size > 0 && !silent ? [id] : []));
  if (owing.length > 0) return `the answers of peer ${owing.join(' and ')}`;
  const holder = m.peers.all().find(({ clockUntilNs }) => clockUntilNs < targetNs);
  return holder === undefined
    ? 'the clock'
    : `peer ${holder.id}, which holds the clock, to grant ${targetNs - holder.clockUntilNs} ns more`;
}
