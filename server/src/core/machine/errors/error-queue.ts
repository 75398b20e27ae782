/**
 * Errors that have happened on the bus and are not logged yet: the machine's loop logs them before anything is answered, so that what an error leads to (a
 * port that contains) does not happen in the middle of what failed.
 */
import { STATUS } from '../../translation/index.ts';
import type { Parts } from '../parts.ts';
import type { DmaTask, FunctionState, Request } from '../state.ts';

export type NotedError =
  | {
      readonly kind: 'request';
      readonly task: DmaTask;
      readonly status: number;
      /** First byte: int32 halves. */
      readonly iovaLow: number;
      readonly iovaHigh: number;
      readonly bytes: number;
      readonly translated: boolean;
      readonly id: number;
    }
  | { readonly kind: 'unexpected-completion'; readonly task: DmaTask }
  | { readonly kind: 'surprise-down'; readonly fn: FunctionState };

/** Ends that are no error on the bus: the request was never sent, or was dropped with its function. */
const QUIET = new Set<number>([STATUS.performed, STATUS['gate-closed'], STATUS.aborted, STATUS.indeterminate, STATUS['no-access']]);

export function noteFailedRequest(m: Parts, request: Request, status: number): void {
  const { task, iovaLow, iovaHigh, bytes, translated, id } = request;
  if (task === undefined || QUIET.has(status)) return;
  m.errors.push({ kind: 'request', task, status, iovaLow, iovaHigh, bytes, translated, id });
}

/** The same of one that failed before it was a request in the ledger. */
export function noteFailedTask(m: Parts, task: DmaTask, status: number, iova: bigint): void {
  if (QUIET.has(status)) return;
  const iovaLow = Number(BigInt.asIntN(32, iova));
  const iovaHigh = Number(BigInt.asIntN(32, iova >> 32n));
  m.errors.push({ kind: 'request', task, status, iovaLow, iovaHigh, bytes: task.bytes, translated: task.translated, id: task.id });
}
