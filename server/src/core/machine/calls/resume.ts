import { resumePageRequest } from '../ats/page-request-commands.ts';
import { peerPartAnswered, resumePeerAccess } from '../bus/peer-access.ts';
import { runModelDma } from '../dma/dma-commands.ts';
import { dmaPartAnswered } from '../dma/dma-list.ts';
/** What each kind of operation does when what it awaited has come: a kind without a row does not compile. */
import { resumeDirty } from '../domains/dirty-commands.ts';
import { resumeFlush } from '../domains/dma-flush.ts';
import { resumeInvalidate } from '../domains/domain-invalidate.ts';
import { resumeChange } from '../domains/group-changes.ts';
import { ioasPartUnmapped } from '../domains/ioas-commands.ts';
import { resumeUnmap } from '../domains/mappings.ts';
import { recoverPartAnswered, resumeRecover } from '../errors/recover.ts';
import { resumeLeave } from '../hierarchy/leave.ts';
import { unplugPartAnswered } from '../hierarchy/unplug.ts';
import { modelDmaEnded } from '../model-ports.ts';
import type { Parts } from '../parts.ts';
import { resumeBarRead } from '../region-access.ts';
import { claimPartAnswered } from '../remote/claims.ts';
import { writePartAnswered } from '../remote/write-multi.ts';
import type { Reply } from '../reply.ts';
import { resumeDone } from '../reset/done.ts';
import { resumePrepare } from '../reset/prepare.ts';
import { resetPartAnswered, resumeReset } from '../reset/reset.ts';
import { virtualAnswered } from '../reset/virtual-windows.ts';
import type { Operation, Origin } from '../state.ts';

type Kind = Operation['kind'];
type Resume<K extends Kind> = (m: Parts, operation: Extract<Operation, { kind: K }>) => void;

/** It is answered by what it awaits itself. */
const nothing = (): void => undefined;

const RESUME: { readonly [K in Kind]: Resume<K> } = {
  // It has a list of its own (OperationTable.takeReadyDma).
  dma: nothing,
  unmap: resumeUnmap,
  flush: resumeFlush,
  dirty: resumeDirty,
  'domain-invalidate': resumeInvalidate,
  change: resumeChange,
  prepare: resumePrepare,
  done: resumeDone,
  leave: resumeLeave,
  reset: resumeReset,
  recover: resumeRecover,
  'bar-read': resumeBarRead,
  'page-request': (m, operation) => {
    const dma = resumePageRequest(m, operation);
    if (dma !== undefined) runModelDma(m, operation.origin, operation.fn, dma);
  },
  'ioas-unmap': nothing,
  unplug: nothing,
  plug: nothing,
  'peer-access': nothing,
  'host-access': nothing,
  'write-multi': nothing,
  claim: nothing,
  'dma-list': nothing,
  'peer-dma': resumePeerAccess,
  lookup: nothing,
  advance: nothing,
};

/** Nothing for one that has ended meanwhile. */
export function resume(m: Parts, operation: Operation): void {
  if (m.operations.get(operation.id) !== operation) return;
  // A call that was let go may have steps before the one that waits.
  if (operation.pending > 0 && !('heldBy' in operation)) return;
  (RESUME[operation.kind] as Resume<Kind>)(m, operation);
}

type InnerOrigin = Exclude<Origin, { readonly peer: number }>;

/** The reply to a part of an operation, which may have ended meanwhile, or to a model. */
export function partAnswered(m: Parts, origin: InnerOrigin, reply: Reply): void {
  if ('model' in origin) {
    modelDmaEnded(m, origin, reply);
    return;
  }
  const whole = m.operations.get(origin.operation);
  if (whole?.kind === 'reset') resetPartAnswered(m, whole, reply);
  else if (whole?.kind === 'prepare') virtualAnswered(m, whole, reply);
  else if (whole?.kind === 'recover') recoverPartAnswered(m, whole, reply);
  else if (whole?.kind === 'ioas-unmap') ioasPartUnmapped(m, whole, reply);
  else if (whole?.kind === 'unplug') unplugPartAnswered(m, whole, reply);
  else if (whole?.kind === 'dma-list') dmaPartAnswered(m, whole, origin.part ?? 0, reply);
  else if (whole?.kind === 'claim') claimPartAnswered(m, whole, reply);
  else if (whole?.kind === 'write-multi') writePartAnswered(m, whole, reply);
  else if (whole?.kind === 'peer-dma') peerPartAnswered(m, whole, reply);
}
