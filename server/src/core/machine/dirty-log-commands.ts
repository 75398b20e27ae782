/**
 * The log of memory that was written, whoever wrote it: functions by DMA, hosts, hardware that sets flags in page tables, and owners by themselves, who say so.
 * A domain's dirty tracking (`domains/dirty-commands.ts`) is what page tables note, by IOVA; this one is by physical address, as KVM's dirty log.
 */
import { ModelError, PAGE_BYTES, hex, pageOf, physicalAddress } from '../base/index.ts';
import { setBits } from '../memory/index.ts';
import type { DirtyLogRead, DirtyLogSet, MemoryDirty } from './command.ts';
import { rangeOf } from './dma/dma-range.ts';
import { ACCESS_BYTES_MAX } from './memory-commands.ts';
import type { PeerId } from './outgoing.ts';
import type { Parts } from './parts.ts';
import type { Owed } from './peers.ts';
import { rangeText } from './remote/absent-memory.ts';
import type { Origin } from './state.ts';

/** Ranges that an owner tells of in one call. As many as one list of DMA has. */
const DIRTY_RANGES_MAX = 256;

/** Nothing is awaited: whatever is performed from now on is noted. */
export function dirtyLogSet(m: Parts, origin: Origin, { on }: DirtyLogSet): void {
  m.memory.setLogging(on);
  m.outbox.ok(origin);
}

/** Pages where there is no memory are clean. Where a log of wide ranges has several pages together, all of them. */
export function dirtyLogRead(m: Parts, origin: Origin, { address, bytes, pageBytes, clear }: DirtyLogRead): void {
  checkBitmap(pageBytes, address, bytes, 'address');
  const first = pageOf(physicalAddress(address));
  const pages = pageOf(physicalAddress(address + bytes - 1n)) + 1 - first;
  if (!m.memory.logging) {
    m.outbox.refuse(origin, 'EINVAL', 'no log of memory that is written is kept; switch it on', 'address');
    return;
  }
  const bitmap = new Uint8Array(Math.ceil(Number(bytes / pageBytes) / 8));
  const perBit = Number(pageBytes) / PAGE_BYTES;
  m.memory.readLog(first, first + pages, clear, (from, end) => {
    const low = Math.max(from - first, 0);
    const high = Math.min(end - first, pages) - 1;
    setBits(bitmap, Math.floor(low / perBit), Math.floor(high / perBit));
  });
  m.outbox.reply(origin, { kind: 'memory-read', data: bitmap });
}

/** EFAULT, and nothing is noted, where one of the ranges is not all in one that this peer owns. */
export function memoryDirty(m: Parts, origin: Origin, peer: PeerId, { ranges }: MemoryDirty): void {
  if (ranges.length < 1 || ranges.length > DIRTY_RANGES_MAX) {
    throw new ModelError('EINVAL', `an owner tells of 1 to ${DIRTY_RANGES_MAX} ranges at a time, not ${ranges.length}`, 'ranges');
  }
  for (const range of ranges) {
    if (range.bytes <= 0n) throw new ModelError('EINVAL', `a range at ${hex(range.address)} has no bytes`, 'ranges');
    physicalAddress(range.address);
    physicalAddress(range.address + range.bytes - 1n);
    const owned = m.memory.ownedWithin(range.address, 1n);
    if (owned?.owner !== peer || range.address + range.bytes > owned.address + owned.bytes) {
      m.outbox.refuse(origin, 'EFAULT', `${rangeText(range)} is not in one range that this peer owns`, 'ranges');
      return;
    }
  }
  for (const { address, bytes } of ranges) m.memory.noteWritten(address, bytes);
  m.outbox.reply(origin, { kind: 'memory-dirty', logging: m.memory.logging });
}

/**
 * What an owner was asked has been answered, or never will be. A write shows from then on: before, it may not have landed when a host reads the page, and a log
 * that was read and cleared would have lost it. Whether it has landed an error does not say.
 */
export function noteOwnersWrite(m: Parts, owed: Owed): void {
  if (!m.memory.logging) return;
  if (owed.kind === 'request' && owed.request.operation === 'write') {
    const { address, bytes } = rangeOf(owed.request);
    m.memory.noteWritten(address, BigInt(bytes));
  } else if (owed.kind === 'table-update' && owed.update.writes) {
    m.memory.noteWritten(owed.update.address, 1n);
  } else if (owed.kind === 'access' && owed.writes !== undefined) {
    m.memory.noteWritten(owed.writes, BigInt(owed.bytes));
  }
}

/** `iommufd_check_iova_range`: what is wrong whatever the memory or domain. `what`: the field of the address. */
export function checkBitmap(pageBytes: bigint, address: bigint, bytes: bigint, what: 'iova' | 'address'): void {
  const isPower = pageBytes >= BigInt(PAGE_BYTES) && (pageBytes & (pageBytes - 1n)) === 0n;
  if (!isPower) throw new ModelError('EINVAL', `a bit for ${hex(pageBytes)} bytes: a power of two from 4 KiB`, 'page_bytes');
  if (bytes === 0n || (address | bytes) % pageBytes !== 0n) {
    const at = what === 'iova' ? 'IOVA' : 'address';
    throw new ModelError('EINVAL', `${hex(bytes)} bytes at ${at} ${hex(address)}: multiples of ${hex(pageBytes)}, and not 0 bytes`, what);
  }
  if (bytes / pageBytes > BigInt(ACCESS_BYTES_MAX * 8)) {
    throw new ModelError('EINVAL', `a bitmap has at most ${ACCESS_BYTES_MAX} bytes: ask for less at a time`, 'bytes');
  }
}
