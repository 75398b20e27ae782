/** The group mutex as calls see it: one holder, and the calls that wait in arrival order. */
import type { Group } from '../../iommu/index.ts';
import type { Parts } from '../parts.ts';
import type { Operation, SteppedCall } from '../state.ts';
import type { OperationTable } from './operation-table.ts';

/** Calls that wait for one group, and resets that wait for one function: posted ones take no credit. */
export const QUEUED_MAX = 1024;

/** True when the call has the mutex; otherwise it stands in line, or was refused with EAGAIN where too many do. */
export function tryLock(m: Parts, group: Group, call: SteppedCall): boolean {
  let mutex = m.operations.mutexes.get(group.id);
  if (mutex === undefined) m.operations.mutexes.set(group.id, (mutex = { holder: 0, queue: [] }));
  if (mutex.holder === 0 && mutex.queue.length === 0) mutex.holder = call.id;
  if (mutex.holder === call.id) return true;
  if (mutex.queue.includes(call.id)) return false;
  if (mutex.queue.length < QUEUED_MAX) {
    mutex.queue.push(call.id);
  } else {
    m.operations.end(call);
    m.outbox.refuse(call.origin, 'EAGAIN', tooMany(`group ${group.id}`));
  }
  return false;
}

export function unlock(m: Parts, group: Group): void {
  const mutex = m.operations.mutexes.get(group.id);
  if (mutex !== undefined) mutex.holder = 0;
}

/** The next call in line for a mutex that is free, which has it now. */
export function takeLocked(operations: OperationTable): Operation | undefined {
  for (const mutex of operations.mutexes.values()) {
    if (mutex.holder !== 0) continue;
    for (let id = mutex.queue.shift(); id !== undefined; id = mutex.queue.shift()) {
      const call = operations.get(id);
      if (call === undefined) continue;
      mutex.holder = id;
      return call;
    }
  }
  return undefined;
}

export function tooMany(what: string): string {
  return `${QUEUED_MAX} commands wait for ${what} already; try again later`;
}
