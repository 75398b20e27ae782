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
      /** Who completes it; undefined: the root complex. Of a violation: the port that blocks it. */
      readonly by: FunctionState | undefined;
      readonly violation: boolean;
    }
  | { readonly kind: 'unexpected-completion' | 'malformed'; readonly task: DmaTask }
  | { readonly kind: 'surprise-down'; readonly fn: FunctionState };

/** Ends that are no error on the bus: the request was never sent, or was dropped with its function. */
const QUIET = new Set<number>([STATUS.performed, STATUS['gate-closed'], STATUS.aborted, STATUS.indeterminate, STATUS['no-access']]);

export function noteFailedRequest(m: Parts, request: Request, status: number): void {
  const { task, iovaLow, iovaHigh, bytes, translated, id, stoppedBy: by } = request;
  if (task === undefined || QUIET.has(status)) return;
  // What a function below makes of a request is no violation: only ports have Access Control Services here.
  const violation = by?.config.isBridge === true && status === STATUS['completer-abort'];
  m.errors.push({ kind: 'request', task, status, iovaLow, iovaHigh, bytes, translated, id, by, violation });
}

/** A port blocks all of the operation. */
export function noteViolation(m: Parts, task: DmaTask, by: FunctionState): void {
  const { iovaLow, iovaHigh, bytes, translated, id } = task;
  m.errors.push({
    kind: 'request',
    task,
    status: STATUS['completer-abort'],
    iovaLow,
    iovaHigh,
    bytes,
    translated,
    id,
    by,
    violation: true,
  });
}

/** The same of one that failed before it was a request in the ledger. */
export function noteFailedTask(m: Parts, task: DmaTask, status: number, iova: bigint): void {
  if (QUIET.has(status)) return;
  const iovaLow = Number(BigInt.asIntN(32, iova));
  const iovaHigh = Number(BigInt.asIntN(32, iova >> 32n));
  const { bytes, translated, id } = task;
  m.errors.push({ kind: 'request', task, status, iovaLow, iovaHigh, bytes, translated, id, by: undefined, violation: false });
}
