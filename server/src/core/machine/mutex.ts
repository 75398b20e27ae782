/** The group mutex as commands see it: one holder, and the commands that wait in arrival order. */
import type { Group } from '../iommu/index.ts';
import type { Command } from './command.ts';
import type { OperationTable } from './operation-table.ts';
import type { Deferred, Operation, Origin } from './state.ts';

/** True when the mutex is free; otherwise the command has been queued. */
export function mutexFree(operations: OperationTable, group: Group, origin: Origin, command: Command): boolean {
  const mutex = operations.mutexes.get(group.id);
  if (mutex === undefined || mutex.holder === 0) return true;
  mutex.queue.push({ origin, command });
  return false;
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
