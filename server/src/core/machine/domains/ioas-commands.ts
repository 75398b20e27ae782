/** I/O address spaces: made, filled, looked at and freed (`drivers/iommu/iommufd/ioas.c`). */
import { ACCESS, ModelError, OK, errno, hex, physicalAddress, type Errno } from '../../base/index.ts';
import {
  AREAS_MAX,
  IOVA_LAST,
  Ioas,
  constraintsOf,
  gaps,
  mapEverywhere,
  unmapEverywhere,
  type Constraints,
  type IoasArea,
} from '../../iommu/index.ts';
import type { IoasAlloc, IoasAllow, IoasCopy, IoasFree, IoasMap, IoasRanges, IoasUnmap } from '../command.ts';
import type { Parts } from '../parts.ts';
import type { Reply } from '../reply.ts';
import type { IoasUnmapTask, Origin } from '../state.ts';
import { ioasOf, dropUnused } from './ioas-domains.ts';
import { iommuOf } from './iommu-commands.ts';
import { startUnmap } from './mappings.ts';

/** I/O address spaces that one machine may have. */
export const IOASES_MAX = 4096;

const READ_WRITE = ACCESS.readWrite;

export function ioasAlloc(m: Parts, origin: Origin, _command: IoasAlloc): void {
  iommuOf(m);
  if (m.ioases.size >= IOASES_MAX) {
    m.outbox.refuse(origin, 'ENOMEM', `this machine has ${IOASES_MAX} I/O address spaces; free one`);
    return;
  }
  const ioas = new Ioas(m.nextIoas++);
  m.ioases.set(ioas.id, ioas);
  m.outbox.reply(origin, { kind: 'ioas-alloc', ioas: ioas.id });
}

/** Its areas go with it; -EBUSY while a domain stands for it. */
export function ioasFree(m: Parts, origin: Origin, command: IoasFree): void {
  const ioas = ioasOf(m, command.ioas);
  if (ioas.domains.size > 0 || ioas.areas.some((area) => area.leaving)) {
    m.outbox.refuse(origin, 'EBUSY', `I/O address space ${ioas.id} has ${ioas.domains.size} domains`, 'ioas');
    return;
  }
  m.ioases.delete(ioas.id);
  m.outbox.ok(origin);
}

/** IOMMU_IOAS_MAP, of physical memory: at the address that is named, or at one that is chosen. */
export function ioasMap(m: Parts, origin: Origin, command: IoasMap): void {
  const ioas = ioasOf(m, command.ioas);
  const { bytes, access, iova } = command;
  const address = physicalAddress(command.address);
  const piece = { first: 0n, last: bytes - 1n, address, access, writable: (access & ACCESS.write) !== 0, leaving: false };
  enter(m, origin, ioas, { pieces: [piece], iova, bytes, access });
}

/** IOMMU_IOAS_COPY: the same memory once more, in this or another address space. -ENOENT where not all of it is mapped, -EPERM to write what was not mapped for it. */
export function ioasCopy(m: Parts, origin: Origin, command: IoasCopy): void {
  const { iova, bytes, access, fromIova } = command;
  const from = ioasOf(m, command.from, 'from');
  const ioas = ioasOf(m, command.ioas);
  const text = `copy of ${hex(bytes)} bytes at IOVA ${hex(fromIova)} of I/O address space ${from.id}`;
  const last = fromIova + bytes - 1n;
  if (bytes === 0n) {
    m.outbox.refuse(origin, 'EINVAL', `${text}: has no bytes`, 'bytes');
    return;
  }
  if (last > IOVA_LAST) {
    m.outbox.refuse(origin, 'EOVERFLOW', `${text}: goes beyond 64 bits`, 'from_iova');
    return;
  }
  const pieces = from.covering({ first: fromIova, last });
  if (pieces === undefined) m.outbox.refuse(origin, 'ENOENT', `${text}: not all of it is mapped`, 'from_iova');
  else if ((access & ACCESS.write) !== 0 && pieces.some((piece) => !piece.writable))
    m.outbox.refuse(origin, 'EPERM', `${text}: was not mapped to be written`, 'access');
  else enter(m, origin, ioas, { pieces, iova, bytes, access });
}

interface Entry {
  /** In order, without holes; their addresses are where they come from. */
  readonly pieces: readonly IoasArea[];
  /** Undefined: chosen. */
  readonly iova: bigint | undefined;
  readonly bytes: bigint;
  readonly access: number;
}

/** iopt_map_pages(): one area for each piece, in the tables of every domain; all of them, or none. */
function enter(m: Parts, origin: Origin, ioas: Ioas, entry: Entry): void {
  const placed = placeOf(ioas, entry, constraintsOf(ioas, iommuOf(m).groups));
  const areas = typeof placed === 'number' ? [] : areasAt(entry, placed);
  const error = typeof placed === 'number' ? placed : mapAll(ioas, areas);
  if (typeof placed === 'number' || error !== OK) {
    const at = entry.iova === undefined ? '' : ` at IOVA ${hex(entry.iova)}`;
    m.outbox.refuse(origin, error, `map of ${hex(entry.bytes)} bytes${at} in I/O address space ${ioas.id}`, 'iova');
    return;
  }
  m.outbox.reply(origin, { kind: 'mapped', iova: placed, elapsedNs: m.outbox.elapsed(origin) });
}

/** The address, or why there is none. */
function placeOf(ioas: Ioas, { pieces, iova, bytes, access }: Entry, constraints: Constraints): bigint | Errno {
  if (bytes === 0n || (access & READ_WRITE) === 0) return errno('EINVAL');
  if (bytes > IOVA_LAST / 2n) return errno('EOVERFLOW');
  if (ioas.areas.length + pieces.length > AREAS_MAX) return errno('ENOMEM');
  // Areas of domains are made of whole pages of memory.
  if (pieces.some(({ address, first, last }) => (address | (last - first + 1n)) % constraints.alignment !== 0n)) return errno('EINVAL');
  if (iova !== undefined) {
    const error = ioas.check(iova, bytes, constraints);
    return error === OK ? iova : error;
  }
  return ioas.place(bytes, pieces[0]!.address, constraints) ?? errno('ENOSPC');
}

function areasAt({ pieces, access }: Entry, iova: bigint): readonly IoasArea[] {
  const start = pieces[0]!.first;
  return pieces.map((piece) => ({ ...piece, first: piece.first - start + iova, last: piece.last - start + iova, access, leaving: false }));
}

function mapAll(ioas: Ioas, areas: readonly IoasArea[]): Errno {
  for (const [i, area] of areas.entries()) {
    const error = mapEverywhere(ioas, area);
    if (error === OK) continue;
    for (const done of areas.slice(0, i)) unmapEverywhere(ioas, done);
    return error;
  }
  for (const area of areas) ioas.insert(area);
  return OK;
}

/** IOMMU_IOAS_UNMAP: whole areas only. What stands before one that is in the way is unmapped all the same, as in Linux. Replies as unmap does. */
export function ioasUnmap(m: Parts, origin: Origin, command: IoasUnmap): void {
  const ioas = ioasOf(m, command.ioas);
  const { iova, bytes } = command;
  const everything = iova === undefined;
  const first = iova ?? 0n;
  const last = everything ? IOVA_LAST : first + (bytes ?? 0n) - 1n;
  if (!everything && (bytes ?? 0n) === 0n) throw new ModelError('EINVAL', `unmap at IOVA ${hex(first)} has no bytes`, 'bytes');
  if (last > IOVA_LAST) {
    m.outbox.refuse(origin, 'EOVERFLOW', `unmap at IOVA ${hex(first)} goes beyond 64 bits`, 'bytes');
    return;
  }
  const { areas, error } = ioas.within({ first, last });
  const total = areas.reduce((sum, area) => sum + (area.last - area.first + 1n), 0n);
  // All of nothing is no error.
  const code = everything && areas.length === 0 && error === errno('ENOENT') ? OK : error;
  const task = m.operations.start<IoasUnmapTask>(origin, { kind: 'ioas-unmap', ioas, areas, bytes: total, error: code, parts: 0 });
  for (const area of areas) area.leaving = true;
  const part = { operation: task.id, sinceNs: m.clock.nowNs };
  for (const run of runsOf(areas)) {
    for (const domain of ioas.domains) {
      task.parts++;
      startUnmap(m, part, domain, run.first, run.last - run.first + 1n);
    }
  }
  if (task.parts === 0) finishUnmap(m, task);
}

/** Areas that follow each other are one unmap. */
function runsOf(areas: readonly IoasArea[]): readonly { readonly first: bigint; readonly last: bigint }[] {
  const runs: { first: bigint; last: bigint }[] = [];
  for (const { first, last } of areas) {
    const run = runs.at(-1);
    if (run !== undefined && run.last + 1n === first) run.last = last;
    else runs.push({ first, last });
  }
  return runs;
}

/** The unmap of one domain has replied. */
export function ioasPartUnmapped(m: Parts, task: IoasUnmapTask, reply: Reply): void {
  if (reply.kind === 'unmap') task.timedOut += reply.timedOut;
  if (--task.parts === 0) finishUnmap(m, task);
}

function finishUnmap(m: Parts, task: IoasUnmapTask): void {
  const { ioas, areas, bytes, timedOut, error, origin } = task;
  m.operations.end(task);
  ioas.remove(new Set(areas));
  dropUnused(m);
  if (error === OK) m.outbox.reply(origin, { kind: 'unmap', bytes, timedOut, elapsedNs: m.outbox.elapsed(origin) });
  else
    m.outbox.refuse(
      origin,
      error,
      error === errno('EBUSY')
        ? `unmap in I/O address space ${ioas.id}: an area is being unmapped`
        : `unmap in I/O address space ${ioas.id}: there is no area, or one that is not wholly in the range; ${hex(bytes)} bytes were unmapped`,
      'iova',
    );
}

/** IOMMU_IOAS_IOVA_RANGES: what is not reserved; or what is neither reserved nor mapped. -EMSGSIZE where there are more than `max`. */
export function ioasRanges(m: Parts, origin: Origin, command: IoasRanges): void {
  const ioas = ioasOf(m, command.ioas);
  const { reserved, alignment } = constraintsOf(ioas, iommuOf(m).groups);
  const ranges = gaps(command.unmapped ? [...reserved, ...ioas.areas] : reserved, { first: 0n, last: IOVA_LAST });
  const { max = ranges.length } = command;
  m.outbox.reply(origin, { kind: 'ioas-ranges', ranges: ranges.slice(0, max), count: ranges.length, alignment });
}

export function ioasAllow(m: Parts, origin: Origin, command: IoasAllow): void {
  const ioas = ioasOf(m, command.ioas);
  const error = ioas.allow(command.ranges, constraintsOf(ioas, iommuOf(m).groups));
  if (error === OK) m.outbox.ok(origin);
  else m.outbox.refuse(origin, error, `allowed ranges of I/O address space ${ioas.id}`, 'ranges');
}
