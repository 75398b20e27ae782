/** region-write-multi: several writes of one call, as vfio-user's REGION_WRITE_MULTI. */
import { ModelError, REGION } from '../../base/index.ts';
import type { RegionWriteItem, RegionWriteMulti } from '../command.ts';
import type { Parts } from '../parts.ts';
import { checkRegionWrite, isForwarded, regionWrite } from '../region-access.ts';
import type { Reply } from '../reply.ts';
import type { FunctionState, Origin, WriteMultiTask } from '../state.ts';
import { forwardWrites } from './accesses.ts';

/** One after the other, and one reply when all are done. ModelError naming the one that cannot be, before any was. */
export function regionWriteMulti(m: Parts, origin: Origin, fn: FunctionState, { bdf, writes }: RegionWriteMulti): void {
  if (writes.length === 0) throw new ModelError('EINVAL', 'no writes', 'writes');
  for (const [i, write] of writes.entries()) check(m, fn, write, i);
  const task = m.operations.start<WriteMultiTask>(origin, { kind: 'write-multi', parts: 1, error: undefined });
  const part = { operation: task.id, sinceNs: m.clock.nowNs };
  let batch: RegionWriteItem[] = [];
  const flush = (): void => {
    const peer = m.peers.get(fn.claimedBy);
    if (peer !== undefined && batch.length > 0) task.parts += forwardWrites(m, part, fn, peer, batch);
    batch = [];
  };
  for (const write of writes) {
    if (fn.claim?.writeMulti === true && write.region !== REGION.config && isForwarded(m, fn, write)) {
      batch.push(write);
      continue;
    }
    // What it does may reach the emulator by another call: that must not come before the writes that were made before.
    flush();
    task.parts++;
    regionWrite(m, part, fn, { kind: 'region-write', bdf, ...write });
  }
  flush();
  writePartAnswered(m, task, { kind: 'ok', elapsedNs: 0 });
}

export function writePartAnswered(m: Parts, task: WriteMultiTask, reply: Reply): void {
  if (reply.kind === 'refused') task.error ??= { code: reply.code, message: reply.message };
  if (--task.parts > 0) return;
  m.operations.end(task);
  if (task.error === undefined) m.outbox.ok(task.origin);
  else m.outbox.refuse(task.origin, task.error.code, task.error.message);
}

function check(m: Parts, fn: FunctionState, write: RegionWriteItem, at: number): void {
  try {
    checkRegionWrite(m, fn, write);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    throw new ModelError(error.code, `write ${at}: ${error.message}`, `writes[${at}].${error.field ?? ''}`);
  }
}
