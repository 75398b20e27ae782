/** A message of an interrupt: a posted write of one DWORD, in issue order with the function's other writes, through the IOMMU. */
import { NO_PASID } from '../../base/index.ts';
import { issueDma } from '../dma/dma-issue.ts';
import type { Parts } from '../parts.ts';
import type { DmaTask, FunctionState } from '../state.ts';

export interface InterruptMessage {
  /** Of the function, from 0. */
  readonly vector: number;
  /** int32 halves. */
  readonly addressLow: number;
  readonly addressHigh: number;
  /** Unsigned. */
  readonly data: number;
}

const MESSAGE_BYTES = 4;

/** Posted: nobody is told of its end but by an interrupt or a fault record. */
export function sendMessage(m: Parts, fn: FunctionState, { vector, addressLow, addressHigh, data }: InterruptMessage): void {
  const bytes = new Uint8Array(MESSAGE_BYTES);
  new DataView(bytes.buffer).setUint32(0, data, true);
  const task: DmaTask = {
    id: m.operations.nextId(),
    origin: { peer: 0, token: 0, sinceNs: m.clock.nowNs },
    pending: 0,
    completed: 0,
    timedOut: 0,
    alarm: 0,
    kind: 'dma',
    fn,
    operation: 'write',
    vector,
    bytes: MESSAGE_BYTES,
    data: bytes,
    translated: false,
    privileged: false,
    execute: false,
    write: false,
    hold: undefined,
    holdNs: 0,
    iovaLow: addressLow,
    iovaHigh: addressHigh,
    pasid: NO_PASID,
    context: fn.context,
    requests: 0,
    failedAt: MESSAGE_BYTES,
    absentOwner: 0,
    outcome: 0,
    translations: 1,
    injected: 0,
    life: fn.modelLife,
    completion: undefined,
  };
  m.operations.add(task);
  issueDma(m, task);
}
