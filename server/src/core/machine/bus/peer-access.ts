/** A request of a function that comes to registers of another one: word by word, each as a host's access, and an emulator may play the other. */
import { STATUS } from '../../translation/index.ts';
import { failed } from '../dma/dma-failure.ts';
import { advance, performed } from '../dma/dma-ledger.ts';
import { functionNumbered } from '../function-state.ts';
import { hasVectorsAt } from '../interrupts/vector-access.ts';
import type { Parts } from '../parts.ts';
import { regionRead, regionWrite, takesAccess } from '../region-access.ts';
import type { Reply } from '../reply.ts';
import type { FunctionState, PeerAccess, PeerDmaTask } from '../state.ts';
import { bytesOf, valueReply } from './ram-value.ts';

const WIDTHS = [4, 8, 2, 1] as const;
const ALL_WIDTHS = 0xf;

/** The next word; the last one answered, the request has been performed. */
export function resumePeerAccess(m: Parts, task: PeerDmaTask): void {
  const { request, target, at } = task;
  const dma = request.task;
  if (request.dead || request.point !== 'sent' || dma === undefined) {
    m.operations.end(task);
    return;
  }
  const fn = functionNumbered(m, target.index);
  const isAtomic = request.operation !== 'read' && request.operation !== 'write';
  // No function here completes AtomicOps.
  if (fn === undefined || isAtomic || !takesAccess(m, fn, target.region)) {
    finish(m, task, STATUS['unsupported-request']);
    return;
  }
  const offset = target.offset + at;
  const bytes = widthAt(fn, target.region, offset, request.bytes - at);
  if (bytes === 0) {
    finish(m, task, STATUS['completer-abort']);
    return;
  }
  task.word = bytes;
  const origin = { operation: task.id, sinceNs: m.clock.nowNs };
  const access: PeerAccess = { bdf: fn.bdf, region: target.region, offset, bytes };
  if (request.operation === 'read') {
    regionRead(m, origin, fn, { kind: 'region-read', ...access });
  } else {
    const from = request.dataOffset + at;
    const { valueLow, valueHigh } = valueReply(dma.data.subarray(from, from + bytes));
    regionWrite(m, origin, fn, { kind: 'region-write', ...access, valueLow: valueLow | 0, valueHigh });
  }
}

/** Of the widths that its emulator takes, all 8 bytes at once only where it takes no less; 0: none fits. */
function widthAt(fn: FunctionState, region: number, offset: number, left: number): number {
  const taken = hasVectorsAt(fn, region, offset) ? ALL_WIDTHS : (fn.claim?.widths ?? ALL_WIDTHS);
  return WIDTHS.find((bytes) => (taken & bytes) !== 0 && bytes <= left && offset % bytes === 0) ?? 0;
}

export function peerPartAnswered(m: Parts, task: PeerDmaTask, reply: Reply): void {
  const { request, at, word } = task;
  if (reply.kind === 'refused') {
    finish(m, task, STATUS['completer-abort']);
    return;
  }
  if (reply.kind === 'region-read') request.task?.data.set(bytesOf(word, reply.valueLow, reply.valueHigh), request.dataOffset + at);
  task.at += word;
  if (task.at < request.bytes) resumePeerAccess(m, task);
  else finish(m, task, STATUS.performed);
}

function finish(m: Parts, task: PeerDmaTask, status: number): void {
  const { request } = task;
  m.operations.end(task);
  if (request.dead) return;
  if (status !== STATUS.performed) {
    request.stoppedBy = functionNumbered(m, task.target.index);
    failed(m, request, status);
  }
  performed(m, request);
  advance(m, request.fn);
}
