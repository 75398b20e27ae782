import {
  ACCESS,
  OUTCOMES,
  PAGE_BYTES,
  TRANSLATION,
  addressOfPage,
  join64,
  translationAccess,
  translationPage,
  translationPagesLg2,
  type DmaOperation,
  type TranslationEntry,
} from '../../base/index.ts';
import { STATUS } from '../../translation/index.ts';
import { corrupt } from '../faults/inject.ts';
import type { PeerId } from '../outgoing.ts';
import type { Parts } from '../parts.ts';
import type { GrantSummary, Reply } from '../reply.ts';
import { INJECTED, type DmaTask, type Request } from '../state.ts';

/** The rights that an operation needs: an atomic reads and writes. `writes`: of `translate`. */
export function accessOf(operation: DmaOperation, writes = false): number {
  if (operation === 'write') return ACCESS.write;
  if (writes) return ACCESS.readWrite;
  return operation === 'read' || operation === 'translate' ? ACCESS.read : ACCESS.readWrite;
}

/** Notes the lowest offset that did not take effect; true when it is the lowest so far. */
export function noteFailure(task: DmaTask, offset: number, status: number): boolean {
  if (offset >= task.failedAt) return false;
  task.failedAt = offset;
  task.outcome = status;
  task.absentOwner = 0;
  return true;
}

/** The failure that was just noted of this request is that of a peer which is not there, whose memory it met. */
export function noteAbsentOwner({ task, dataOffset }: Request, owner: PeerId): void {
  if (task?.failedAt === dataOffset) task.absentOwner = owner;
}

/** Every request has ended: what the operation came to. */
export function endDma(m: Parts, task: DmaTask): void {
  m.operations.end(task);
  if ((task.injected & INJECTED.corrupt) !== 0) corrupt(m, task);
  if ((task.injected & INJECTED.twice) !== 0) m.errors.push({ kind: 'unexpected-completion', task });
  if (task.vector < 0 && task.life === task.fn.modelLife) task.fn.model.operationEnded();
  m.outbox.reply(task.origin, resultOf(m, task));
}

function resultOf(m: Parts, task: DmaTask): Reply {
  const whole = task.failedAt === task.bytes;
  const returnsData = task.operation !== 'write' && task.operation !== 'translate';
  return {
    kind: 'dma',
    outcome: OUTCOMES[whole ? STATUS.performed : task.outcome]!,
    requests: task.requests,
    bytesDone: task.failedAt,
    data: returnsData ? firstBytes(task.data, task.failedAt) : undefined,
    failedIova: whole ? undefined : iovaAt(task, task.failedAt),
    absentOwner: whole || task.absentOwner === 0 ? undefined : task.absentOwner,
    grants: whole ? task.completion?.map(grantOf) : undefined,
    elapsedNs: m.outbox.elapsed(task.origin),
  };
}

function grantOf({ low, high }: TranslationEntry): GrantSummary {
  return {
    address: addressOfPage(translationPage(low, high)),
    bytes: PAGE_BYTES * 2 ** translationPagesLg2(low, high),
    access: translationAccess(low),
    ...((low & TRANSLATION.untranslatedOnly) === 0 ? {} : { untranslatedOnly: true }),
    ...((low & TRANSLATION.privileged) === 0 ? {} : { privileged: true }),
    ...((low & TRANSLATION.global) === 0 ? {} : { global: true }),
    ...((low & TRANSLATION.snooped) === 0 ? {} : { snooped: true }),
  };
}

function iovaAt({ iovaLow, iovaHigh }: DmaTask, offset: number): bigint {
  const iova = join64(iovaLow, iovaHigh);
  return offset === 0 ? iova : BigInt.asUintN(64, iova + BigInt(offset));
}

function firstBytes(data: Uint8Array, bytes: number): Uint8Array {
  return data.byteLength === bytes ? data : data.subarray(0, bytes);
}
