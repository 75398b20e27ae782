/** Dirty tracking of a domain: on, off, and what was written. */
import { OK, errno, hex } from '../../base/index.ts';
import type { Domain } from '../../iommu/index.ts';
import { setBits } from '../../memory/index.ts';
import type { DirtyRead, DirtyTrackingSet } from '../command.ts';
import { checkBitmap } from '../dirty-log-commands.ts';
import type { Parts } from '../parts.ts';
import type { DirtyTask, Origin } from '../state.ts';
import { iommuOf, targetOf } from './iommu-commands.ts';
import { awaitMappings } from './mapping-wait.ts';

/** Replies when every write from now on shows: translations from before that allow one without asking are gone. */
export function dirtyTrackingSet(m: Parts, origin: Origin, command: DirtyTrackingSet): void {
  const domain = targetOf(m, command.target);
  const cleared = iommuOf(m).setDirtyTracking(domain, command.on);
  if (cleared === undefined) {
    refuseUntracked(m, origin, domain);
    return;
  }
  const task = m.operations.start<DirtyTask>(origin, { kind: 'dirty', bitmap: undefined });
  awaitMappings(m, task, domain, cleared, cleared.effects);
  if (task.pending === 0) resumeDirty(m, task);
}

/**
 * Replies at once unless it clears; then when a write that is not in the bitmap will be in the next: in-flight writes that were translated before have
 * been performed, and the functions' ATCs have answered or timed out.
 */
export function dirtyRead(m: Parts, origin: Origin, command: DirtyRead): void {
  const domain = targetOf(m, command.target);
  const { iova, bytes, pageBytes, clear } = command;
  checkBitmap(pageBytes, iova, bytes, 'iova');
  const bitmap = new Uint8Array(Math.ceil(Number(bytes / pageBytes) / 8));
  const cleared = iommuOf(m).readDirty(domain, iova, bytes, clear, (from, size) => {
    const first = from <= iova ? 0 : Number((from - iova) / pageBytes);
    const last = from + size >= iova + bytes ? bytes - 1n : from + size - 1n - iova;
    setBits(bitmap, first, Number(last / pageBytes));
  });
  if (cleared === undefined) {
    refuseUntracked(m, origin, domain);
  } else if (cleared.error !== OK) {
    const why = 'tracking is on, and the range is one of the format in multiples of its smallest page';
    m.outbox.refuse(
      origin,
      cleared.error,
      `dirty pages of ${hex(bytes)} bytes at IOVA ${hex(iova)} in domain ${domain.id}: ${why}`,
      'iova',
    );
  } else {
    const task = m.operations.start<DirtyTask>(origin, { kind: 'dirty', bitmap });
    if (cleared.bytes > 0n) awaitMappings(m, task, domain, cleared, cleared.effects);
    if (task.pending === 0) resumeDirty(m, task);
  }
}

export function resumeDirty(m: Parts, task: DirtyTask): void {
  m.operations.end(task);
  const { bitmap, timedOut, origin } = task;
  const waited = { timedOut, elapsedNs: m.outbox.elapsed(origin) };
  if (bitmap === undefined) m.outbox.reply(origin, { kind: 'dirty-tracking-set', ...waited });
  else m.outbox.reply(origin, { kind: 'dirty-read', data: bitmap, ...waited });
}

function refuseUntracked(m: Parts, origin: Origin, domain: Domain): void {
  m.outbox.refuse(origin, errno('EOPNOTSUPP'), `domain ${domain.id} was not made for dirty tracking`, 'domain');
}
