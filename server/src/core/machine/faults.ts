import { OUTCOMES, type Pasid } from '../base/index.ts';
import { STATUS } from '../translation/index.ts';
import type { Parts } from './parts.ts';
import type { FunctionState } from './state.ts';

/** Outcomes of which the IOMMU writes no record: the request never reached it, or was dropped on purpose. */
const UNRECORDED = new Set<number>([
  STATUS.performed,
  STATUS['gate-closed'],
  STATUS.aborted,
  STATUS.indeterminate,
  STATUS['completer-abort'],
  STATUS['no-access'],
]);

/** Whether the IOMMU writes a record of this outcome. */
export function isRecorded(status: number): boolean {
  return !UNRECORDED.has(status);
}

/** Writes a fault record and sends it to the hosts. */
export function recordFault(m: Parts, fn: FunctionState, pasid: Pasid, iova: bigint, access: number, status: number): void {
  if (!isRecorded(status)) return;
  const record = m.faultQueue.record(fn.bdf, pasid, iova, access, OUTCOMES[status]!);
  m.trace.emit('fault', fn.bdf, status, Number(iova >> 12n), access);
  m.outbox.event({ kind: 'fault', ...record });
}
