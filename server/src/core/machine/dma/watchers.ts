/** Who waits for a request: most often nobody or one operation, and a reset makes one of each request in flight. */
import type { OperationTable } from '../calls/operation-table.ts';

/** An operation by its number, several, or {@link NOBODY}. */
export type Watchers = number | readonly number[];
export const NOBODY = 0;

export function withWatcher(watchers: Watchers, id: number): Watchers {
  if (typeof watchers !== 'number') return [...watchers, id];
  return watchers === NOBODY ? id : [watchers, id];
}

export function wake(operations: OperationTable, watchers: Watchers): void {
  if (watchers === NOBODY) return;
  if (typeof watchers === 'number') operations.settle(watchers);
  else for (const id of watchers) operations.settle(id);
}
