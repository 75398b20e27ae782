/** Invalidate Requests that an ATC has done and completes together with others. */
import type { Parts } from '../parts.ts';
import type { FunctionState } from '../state.ts';

/** A reset takes them: the function has forgotten the requests. */
export function forgetGathered(m: Parts, fn: FunctionState): void {
  m.clock.cancel(fn.gathered?.alarm ?? 0);
  fn.gathered = undefined;
}
