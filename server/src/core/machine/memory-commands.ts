/** Guest memory as hosts and owners see it. */
import { ModelError, OK, errno, hex, physicalAddress } from '../base/index.ts';
import { meetsEcam } from './bus/config-requests.ts';
import type { MemoryAlloc, MemoryClaim, MemoryFree, MemoryRead, MemoryRelease, MemoryWrite } from './command.ts';
import { rangeOf } from './dma/dma-range.ts';
import { memoryFaultOnHost } from './faults/memory-faults.ts';
import type { PeerCall, PeerId } from './outgoing.ts';
import type { Parts } from './parts.ts';
import { absentText, claimAbsent, isAbsent, tellMemory } from './remote/absent-memory.ts';
import type { HostAccessTask, Origin, PeerAccessTask } from './state.ts';

/** One call moves at most this much; the same bound as a DMA's on the wire. */
export const ACCESS_BYTES_MAX = 1 << 20;
/** Accesses that an owner may have outstanding: bounds what a slow one piles up. */
export const OWNER_DEPTH_MAX = 1024;
/** Ranges of a machine that peers own: bounds the logs of what is written in them. */
const OWNED_RANGES_MAX = 256;

export function memoryAlloc(m: Parts, origin: Origin, command: MemoryAlloc): void {
  if (command.bytes <= 0n) throw new ModelError('EINVAL', 'an allocation has at least one byte', 'bytes');
  const address = m.memory.alloc(command.bytes);
  if (address === undefined) m.outbox.refuse(origin, 'ENOMEM', `no ${command.bytes} contiguous bytes of memory are free`, 'bytes');
  else m.outbox.reply(origin, { kind: 'memory-alloc', address, bytes: m.memory.allocatedBytes(address) ?? command.bytes });
}

/** Refused with EBUSY while a request that was translated to these pages has not been performed. */
export function memoryFree(m: Parts, origin: Origin, command: MemoryFree): void {
  const { address } = command;
  const bytes = m.memory.allocatedBytes(address);
  if (bytes === undefined) {
    m.outbox.refuse(origin, 'ENOENT', `nothing was allocated at ${hex(address)}`, 'address');
    return;
  }
  const inFlight = touching(m, address, bytes);
  if (inFlight > 0) {
    m.outbox.refuse(origin, 'EBUSY', `${inFlight} requests in flight touch the ${bytes} bytes at ${hex(address)}; unmap first`, 'address');
    return;
  }
  m.memory.free(address);
  m.outbox.ok(origin);
}

function touching(m: Parts, address: bigint, bytes: bigint): number {
  let count = 0;
  for (const fn of m.functionList) {
    for (const request of fn.entries) {
      if (request.page < 0 || request.point === 'performed') continue;
      // One with a translated address counts where it is awaited: in a space, once the translation agent has let it pass.
      if (request.translated && request.spaceId < 0) continue;
      const range = rangeOf(request);
      if (range.address < address + bytes && range.address + BigInt(range.bytes) > address) count++;
    }
  }
  return count;
}

export function memoryRead(m: Parts, origin: Origin, command: MemoryRead, stalledBy = 0): void {
  const address = physicalAddress(command.address);
  const { bytes } = command;
  checkLength(bytes);
  if (m.injected.memory.length > 0 && goesWrong(m, origin, command, bytes, stalledBy)) return;
  if (m.memory.holds(address, BigInt(bytes))) {
    m.outbox.reply(origin, { kind: 'memory-read', data: m.memory.readBytes(address, bytes) });
  } else {
    askOwner(m, origin, address, bytes, { kind: 'memory-read', address, bytes, epoch: 0 });
  }
}

export function memoryWrite(m: Parts, origin: Origin, command: MemoryWrite, stalledBy = 0): void {
  const address = physicalAddress(command.address);
  const { data } = command;
  checkLength(data.byteLength);
  if (m.injected.memory.length > 0 && goesWrong(m, origin, command, data.byteLength, stalledBy)) return;
  if (m.memory.holds(address, BigInt(data.byteLength))) {
    m.memory.writeBytes(address, data);
    m.outbox.ok(origin);
  } else {
    askOwner(m, origin, address, data.byteLength, { kind: 'memory-write', address, data, epoch: 0 });
  }
}

/** What faults on purpose make of it: true when it is not performed, or not yet. */
function goesWrong(m: Parts, origin: Origin, command: MemoryRead | MemoryWrite, bytes: number, stalledBy: number): boolean {
  const fault = memoryFaultOnHost(m, command.address, bytes, stalledBy);
  if (fault === undefined) return false;
  if (fault.kind === 'memory-stalls') {
    const task = m.operations.start<HostAccessTask>(origin, { kind: 'host-access', command, stalledBy: fault.id });
    if (fault.delayNs > 0) task.alarm = m.clock.set(fault.delayNs, 'operation', task.id);
  } else {
    m.outbox.refuse(origin, 'EIO', `memory at ${hex(command.address)} errs on purpose (fault ${fault.id}, ${fault.error})`, 'address');
  }
  return true;
}

/** Its time is over, or the fault that stalls it. */
export function resumeHostAccess(m: Parts, task: HostAccessTask): void {
  m.clock.cancel(task.alarm);
  m.operations.end(task);
  const { origin, command, stalledBy } = task;
  if (command.kind === 'memory-read') memoryRead(m, origin, command, stalledBy);
  else memoryWrite(m, origin, command, stalledBy);
}

/** `reply`: absent, as the call says. EFAULT where nobody owns the memory, EIO where its owner is absent. */
export function askOwner(
  m: Parts,
  origin: Origin,
  address: bigint,
  bytes: number,
  call: PeerCall,
  reply: PeerAccessTask['reply'] = call.kind === 'memory-read' ? 'memory-read' : 'ok',
): void {
  const owner = m.memory.ownerOf(Number(address >> 12n));
  const last = m.memory.ownerOf(Number((address + BigInt(bytes) - 1n) >> 12n));
  const peer = m.peers.get(owner);
  if (last === owner && isAbsent(m, owner)) {
    const range = m.memory.ownedWithin(address, 1n);
    m.outbox.refuse(origin, 'EIO', range === undefined ? 'its owner is gone' : absentText(range), 'address');
    return;
  }
  if (peer === undefined || last !== owner) {
    m.outbox.refuse(origin, 'EFAULT', `${bytes} bytes at ${hex(address)} are not in one range of memory`, 'address');
    return;
  }
  const reads = call.kind === 'memory-read';
  const task = m.operations.start<PeerAccessTask>(origin, {
    kind: 'peer-access',
    reply,
    index: -1,
    bytes,
    owner,
    region: -1,
    offset: 0,
    parts: 1,
    data: undefined,
  });
  const owed = { kind: 'access', operation: task.id, expects: reads ? 'data' : 'ok', bytes } as const;
  m.peers.call(peer, call, reads ? owed : { ...owed, writes: address });
}

function checkLength(bytes: number): void {
  if (!Number.isInteger(bytes) || bytes < 1 || bytes > ACCESS_BYTES_MAX) {
    throw new ModelError('EINVAL', `an access has 1 to ${ACCESS_BYTES_MAX} bytes, not ${bytes}`, 'bytes');
  }
}

export function memoryClaim(m: Parts, origin: Origin, peerId: PeerId, command: MemoryClaim): void {
  const { address, bytes, depth } = command;
  if (!Number.isInteger(depth) || depth < 1 || depth > OWNER_DEPTH_MAX) {
    throw new ModelError('EINVAL', `depth ${depth} is not from 1 to ${OWNER_DEPTH_MAX}`, 'depth');
  }
  const peer = m.peers.get(peerId);
  if (peer === undefined) throw new ModelError('EPERM', 'only a connected peer can own memory');
  if (m.memory.owned().length >= OWNED_RANGES_MAX && m.memory.ownedWithin(address, 1n) === undefined) {
    m.outbox.refuse(origin, 'ENOSPC', `peers own ${OWNED_RANGES_MAX} ranges of memory already`, 'address');
    return;
  }
  const error = meetsEcam(m.spec, address, bytes) ? errno('EINVAL') : m.memory.claim(peerId, address, bytes);
  if (error === OK) {
    tellMemory(m, command, 'owned', peerId);
  } else {
    const found = error === errno('EADDRINUSE') ? m.memory.ownedWithin(address, bytes) : undefined;
    if (found === undefined || !isAbsent(m, found.owner)) {
      m.outbox.refuse(origin, error, `${hex(bytes)} bytes at ${hex(address)} are misaligned, or overlap memory that exists`, 'address');
      return;
    }
    if (!claimAbsent(m, origin, command, found, peerId)) return;
  }
  peer.memoryDepth = depth;
  m.outbox.ok(origin);
}

/** -EBUSY while requests with the owner are unanswered. */
export function memoryRelease(m: Parts, origin: Origin, peerId: PeerId, command: MemoryRelease): void {
  const peer = m.peers.get(peerId);
  if (peer !== undefined && peer.owed.size > 0) {
    m.outbox.refuse(origin, 'EBUSY', `${peer.owed.size} accesses are unanswered; answer them first`, 'address');
    return;
  }
  const range = m.memory.ownedWithin(command.address, 1n);
  const error = m.memory.release(peerId, command.address);
  if (error === OK && range !== undefined) {
    tellMemory(m, range, 'released', peerId);
    m.outbox.ok(origin);
  } else m.outbox.refuse(origin, error, `no range of this peer begins at ${hex(command.address)}`, 'address');
}
