/** Requests that end without success: what their operation, the bus and the IOMMU's fault queue learn. */
import { join64 } from '../../base/index.ts';
import { noteFailedRequest } from '../errors/error-queue.ts';
import { isRecorded, recordFault } from '../faults/faults.ts';
import type { Parts } from '../parts.ts';
import type { Request } from '../state.ts';
import { noteFailure } from './dma-task.ts';

/** The same of one whose completer is not the root complex: the IOMMU writes no record. */
export function failed(m: Parts, request: Request, status: number): void {
  if (request.task === undefined) return;
  noteFailure(request.task, request.dataOffset, status);
  noteFailedRequest(m, request, status);
}

/** Ends the request towards its task with a failure, and records it. The ledger entry goes on to `performed` and out. */
export function fault(m: Parts, request: Request, status: number): void {
  const { task } = request;
  if (task === undefined) return;
  noteFailure(task, request.dataOffset, status);
  noteFailedRequest(m, request, status);
  // An abort ends thousands at once and records none: its addresses are not made.
  if (!isRecorded(status) || request.stoppedBy !== undefined) return;
  const iova = join64(request.iovaLow, request.iovaHigh);
  recordFault(m, request.fn, { pasid: request.pasid, iova, access: request.access, privileged: task.privileged }, status);
}
