/** What goes on when what an operation awaited has come. */
import { resumeDirty } from './dirty-commands.ts';
import { runModelDma } from './dma-commands.ts';
import { resumeFlush } from './dma-flush.ts';
import { endDma } from './dma-task.ts';
import { resumeDone } from './done.ts';
import { resumeChange } from './group-changes.ts';
import { resumeUnmap } from './mappings.ts';
import { resumePageRequest } from './page-request-commands.ts';
import type { Parts } from './parts.ts';
import { resumePrepare } from './prepare.ts';
import { resumeBarRead } from './region-access.ts';
import { resumeReset } from './reset.ts';
import type { Operation } from './state.ts';

/** Nothing for one that has ended meanwhile. */
export function resume(m: Parts, operation: Operation): void {
  if (m.operations.get(operation.id) !== operation) return;
  // A call that was let go may have steps before the one that waits.
  if (operation.pending > 0 && !('heldBy' in operation)) return;
  switch (operation.kind) {
    case 'dma':
      endDma(m, operation);
      break;
    case 'unmap':
      resumeUnmap(m, operation);
      break;
    case 'flush':
      resumeFlush(m, operation);
      break;
    case 'dirty':
      resumeDirty(m, operation);
      break;
    case 'change':
      resumeChange(m, operation);
      break;
    case 'prepare':
      resumePrepare(m, operation);
      break;
    case 'done':
      resumeDone(m, operation);
      break;
    case 'reset':
      resumeReset(m, operation);
      break;
    case 'bar-read':
      resumeBarRead(m, operation);
      break;
    case 'page-request': {
      const dma = resumePageRequest(m, operation);
      if (dma !== undefined) runModelDma(m, operation.origin, operation.fn, dma);
      break;
    }
    case 'peer-access':
    case 'advance':
      break;
  }
}
