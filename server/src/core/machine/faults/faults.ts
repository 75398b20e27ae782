import { OUTCOMES } from '../../base/index.ts';
import { STATUS } from '../../translation/index.ts';
import type { Parts } from '../parts.ts';
import type { FaultRecord } from '../reply.ts';
import type { FunctionState } from '../state.ts';

/** Outcomes of which the IOMMU writes no record: the request never reached it, or was dropped on purpose. */
const UNRECORDED = new Set<number>([
  STATUS.performed,
  STATUS['gate-closed'],
  STATUS.aborted,
  STATUS.indeterminate,
  STATUS['completer-abort'],
  STATUS['no-access'],
  STATUS.poisoned,
  STATUS['completion-timeout'],
]);

/** Whether the IOMMU writes a record of this outcome. */
export function isRecorded(status: number): boolean {
  return !UNRECORDED.has(status);
}

/** Outcomes of which a walk knows the stage. */
const OF_A_STAGE = new Set<number>(
  (
    ['not-present', 'not-permitted', 'not-canonical', 'too-wide', 'reserved-bits', 'external-abort', 'access-flag', 'address-size'] as const
  ).map((name) => STATUS[name]),
);

/** What a request asked for that was refused. */
type Asked = Pick<FaultRecord, 'pasid' | 'iova' | 'access' | 'privileged'>;

/** Writes a fault record and sends it to the hosts; in the step of the translation that failed, which still knows the stage. */
export function recordFault(m: Parts, fn: FunctionState, asked: Asked, status: number): void {
  if (!isRecorded(status)) return;
  const stage = OF_A_STAGE.has(status) ? m.translation.faultStage : 0;
  const record = m.faultQueue.record({ bdf: fn.bdf, ...asked, stage, cause: OUTCOMES[status]! });
  m.trace.emit('fault', fn.bdf, status, Number(asked.iova >> 12n), asked.access);
  m.outbox.event({ kind: 'fault', ...record });
}
