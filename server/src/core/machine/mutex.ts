/** The group mutex as commands see it: one holder, and the commands that wait in arrival order. */
import type { Group } from '../iommu/index.ts';
import type { Command } from './command.ts';
import type { OperationTable } from './operation-table.ts';
import type { Parts } from './parts.ts';
import type { Deferred, Operation, Origin } from './state.ts';

/** Commands that wait for one group, and resets that wait for one function: posted ones take no credit. */
export const QUEUED_MAX = 1024;

/** True when the mutex is free; otherwise the command has been queued, or refused where too many are. */
export function mutexFree(m: Parts, group: Group, origin: Origin, command: Command): boolean {
  const mutex = m.operations.mutexes.get(group.id);
  if (mutex === undefined || mutex.holder === 0) return true;
  enqueue(m, mutex.queue, `group ${group.id}`, { origin, command });
  return false;
}

/** Puts the command behind those that wait for `what`; with {@link QUEUED_MAX} of them it is EAGAIN. */
export function enqueue(m: Parts, queue: Deferred[], what: string, deferred: Deferred): void {
  if (queue.length < QUEUED_MAX) queue.push(deferred);
  else m.outbox.refuse(deferred.origin, 'EAGAIN', `${QUEUED_MAX} commands wait for ${what} already; try again later`);
}

export function takeMutex(operations: OperationTable, group: Group, holder: Operation): void {
  const mutex = operations.mutexes.get(group.id);
  if (mutex === undefined) operations.mutexes.set(group.id, { holder: holder.id, queue: [] });
  else mutex.holder = holder.id;
}

export function releaseMutex(operations: OperationTable, group: Group): void {
  const mutex = operations.mutexes.get(group.id);
  if (mutex !== undefined) mutex.holder = 0;
}

/** The next command whose mutex is free, if any waits. */
export function takeDeferred(operations: OperationTable): Deferred | undefined {
  for (const mutex of operations.mutexes.values()) {
    if (mutex.holder === 0 && mutex.queue.length > 0) return mutex.queue.shift();
  }
  return undefined;
}
