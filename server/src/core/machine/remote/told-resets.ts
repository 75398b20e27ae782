/** What the peer that plays a function is told of its resets. */
import type { ResetMethod } from '../../base/index.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState } from '../state.ts';

/** It is reset: its peer answers when it is ready. `cold`: its power was off. Nothing where nobody plays it. */
export function tellReset(m: Parts, fn: FunctionState, method: ResetMethod, cold: boolean): void {
  const peer = m.peers.get(fn.claimedBy);
  if (peer === undefined) return;
  fn.peerResets++;
  const deadlineMs = fn.claim?.resetDeadlineMs;
  m.peers.call(
    peer,
    { kind: 'device-reset', bdf: fn.bdf, method, ...(cold ? { cold } : {}), ...(deadlineMs === undefined ? {} : { deadlineMs }) },
    { kind: 'device-reset', bdf: fn.bdf, index: fn.index },
  );
}
