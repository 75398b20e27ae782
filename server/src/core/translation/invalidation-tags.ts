/** The ITags of each function that Invalidate Requests go to. */
import type { Invalidation } from './invalidation-queue.ts';

export interface Tag {
  /** The request in flight; undefined when the tag is free. */
  inFlight: Invalidation | undefined;
  /** Completions that have come for the oldest request that is not complete. */
  completions: number;
  /** How many the first of these said that there are. */
  count: number;
  /** Requests that timed out and may still be completed. */
  debt: number;
  /** The request in flight was lost in a reset: its timeout makes no debt. */
  lost: boolean;
}

export interface Destination {
  readonly tags: readonly Tag[];
  /** Tags with a request in flight. */
  busy: number;
  readonly waiting: Invalidation[];
  depth: number;
}

/** The lowest free tag without debt; the one with the least debt when every tag is in debt; -1 when the next request must wait. */
export function freeTag({ tags, busy, depth }: Destination): number {
  if (busy >= depth) return -1;
  let clean = false;
  let best = -1;
  let leastDebt = Infinity;
  for (let itag = 0; itag < tags.length; itag++) {
    const { debt, inFlight } = tags[itag]!;
    if (debt === 0) clean = true;
    if (inFlight === undefined && debt < leastDebt) {
      leastDebt = debt;
      best = itag;
    }
    if (leastDebt === 0) break;
  }
  return clean && leastDebt > 0 ? -1 : best;
}
