import { formatBdf } from '../../base/index.ts';
import type { Parts } from '../parts.ts';
import type { Request } from '../state.ts';

/** One that nothing waits for, or that says another count than the one before it, is its peer's mistake, of which no reply can tell: the message is posted. */
export function completionArrived(m: Parts, { fn, itags, completions }: Request): void {
  const { lateCompletions, miscountedCompletions } = m.invalidations;
  m.invalidations.complete(fn.bdf, itags, completions);
  const what = `an Invalidate Completion of ${formatBdf(fn.bdf)}`;
  if (m.invalidations.lateCompletions > lateCompletions) m.peers.noteUnserved(fn.claimedBy, `${what} that no request waited for`);
  else if (m.invalidations.miscountedCompletions > miscountedCompletions) m.peers.noteUnserved(fn.claimedBy, `${what} with another count`);
  else m.peers.noteServed(fn.claimedBy);
}
