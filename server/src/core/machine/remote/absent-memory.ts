/**
 * Memory whose owner has vanished. For a grace time (wall clock, whose end is an input of the machine) the range stays in the memory map, and so do mappings to
 * it: a request that meets it completes at once without its bytes, as of memory that does not answer. A peer that claims the same range owns it from then on.
 * Afterwards it is gone, and nobody decodes its addresses.
 */
import { hex } from '../../base/index.ts';
import type { OwnedRange } from '../../memory/index.ts';
import type { MemoryClaim } from '../command.ts';
import type { MemoryChange, PeerId } from '../outgoing.ts';
import type { Parts } from '../parts.ts';
import type { Origin } from '../state.ts';

/** Numbers of peers are not used again: one that nobody has was that of a peer which has vanished. */
export function isAbsent(m: Parts, owner: PeerId): boolean {
  return owner > 0 && m.peers.get(owner) === undefined;
}

/** By address. */
export function absentMemory(m: Parts): readonly OwnedRange[] {
  return m.memory.owned().filter(({ owner }) => isAbsent(m, owner));
}

/** The peer is gone already. */
export function memoryVanished(m: Parts, peer: PeerId): void {
  for (const range of m.memory.owned()) {
    if (range.owner !== peer) continue;
    m.outbox.log('warn', undefined, `memory ${rangeText(range)} is absent: its owner, peer ${peer}, is gone`);
    tellMemory(m, range, 'absent', peer);
  }
}

/** The range that is claimed is absent, and this peer's now. */
export function takeOver(m: Parts, range: OwnedRange, peer: PeerId): void {
  m.memory.hand(range.owner, range.address, peer);
  m.outbox.log('info', undefined, `memory ${rangeText(range)} is back: peer ${peer} owns it`);
  tellMemory(m, range, 'back', peer);
}

/** What a claim meets is absent: it may be the same, and nothing else. False: it is refused. */
export function claimAbsent(m: Parts, origin: Origin, { address, bytes }: MemoryClaim, found: OwnedRange, peer: PeerId): boolean {
  if (found.address === address && found.bytes === bytes) {
    takeOver(m, found, peer);
    return true;
  }
  const wanted = rangeText({ address, bytes });
  const why = `it overlaps ${rangeText(found)}, whose owner, peer ${found.owner}, is absent and may come back`;
  m.outbox.refuse(
    origin,
    'EBUSY',
    `${wanted} cannot be owned: ${why}; claim that very range, or wait until its grace time is over`,
    'address',
  );
  return false;
}

/** grace-over: nobody has claimed these in time. */
export function memoryGone(m: Parts, addresses: readonly bigint[]): void {
  for (const range of absentMemory(m)) {
    if (!addresses.includes(range.address)) continue;
    m.memory.release(range.owner, range.address);
    m.outbox.log('warn', undefined, `memory ${rangeText(range)} is gone: nobody came back for it`);
    tellMemory(m, range, 'gone', range.owner);
  }
}

export function tellMemory(m: Parts, { address, bytes }: Pick<OwnedRange, 'address' | 'bytes'>, change: MemoryChange, peer: PeerId): void {
  m.outbox.event({ kind: 'memory', address, bytes, change, peer, timeNs: m.clock.nowNs });
}

export function absentText({ owner, ...range }: OwnedRange): string {
  return `memory ${rangeText(range)} is absent: its owner, peer ${owner}, is gone`;
}

export function rangeText({ address, bytes }: Pick<OwnedRange, 'address' | 'bytes'>): string {
  return `${hex(address)}+${hex(bytes)}`;
}
