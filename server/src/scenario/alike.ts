/**
 * Why the orders of some sets of kinds all end alike. A set of three ends alike where each two of them do. A set that ends alike without a reason here, or
 * with one and ends differently, is a finding of `iommud explore`.
 */
import type { KindName } from './kinds.ts';

const PASSES = 'what must succeed passes the window, and done restores what is current then';
const DEFERRAL =
  "the deferral ends with the first move of the RID, by a window, an attach or the driver's first use, and the group's domain is the same after each";
const APART = 'they work on different contexts of the function, under one mutex';
const SETTLES = 'whoever sent it awaits it, and the end is the same whenever it is answered';

/** By two kinds in the order of the table of kinds. */
const PAIRS: Readonly<Record<string, string>> = {
  'reset+detach': PASSES,
  'reset+pasid-detach': PASSES,
  'reset+deferred-attach': DEFERRAL,
  'reset+unmap': 'map and unmap of the retained domain pass the window',
  'reset+invalidation': SETTLES,
  'sibling-reset+detach': PASSES,
  'sibling-reset+pasid-detach': PASSES,
  'sibling-reset+deferred-attach': DEFERRAL,
  'sibling-reset+unmap': 'map and unmap of the retained domain pass the window',
  'sibling-reset+invalidation': SETTLES,
  'attach+attach': 'both attach the same domain, and the second finds it attached',
  'attach+pasid-attach': APART,
  'attach+pasid-detach': APART,
  'attach+deferred-attach': DEFERRAL,
  'attach+unmap': 'the domain that is left loses the range whether or not the function is still in it',
  'attach+invalidation': SETTLES,
  'detach+detach': 'the second finds the default domain attached',
  'detach+pasid-attach': APART,
  'detach+pasid-detach': APART,
  'detach+deferred-attach': 'a function that was attached has nothing deferred',
  'detach+unmap': 'the domain that is left loses the range whether or not the function is still in it',
  'detach+invalidation': SETTLES,
  'pasid-attach+pasid-detach': 'they are of different PASIDs',
  'pasid-attach+deferred-attach': APART,
  'pasid-attach+unmap': 'the unmap is in the domain of the RID',
  'pasid-attach+dma': 'the DMA has no PASID',
  'pasid-attach+ats': 'the requests have no PASID',
  'pasid-attach+invalidation': SETTLES,
  'pasid-attach+death': 'attaching a PASID that is free invalidates nothing that a dead function would have to answer',
  'pasid-detach+pasid-detach': 'the second finds nothing attached',
  'pasid-detach+deferred-attach': APART,
  'pasid-detach+unmap': 'the unmap is in the domain of the RID',
  'pasid-detach+dma': 'the DMA has no PASID',
  'pasid-detach+ats': 'the requests have no PASID',
  'pasid-detach+invalidation': SETTLES,
  'pasid-detach+death': 'a detach must succeed, whether its invalidation is answered or times out',
  'deferred-attach+deferred-attach': 'the second finds nothing deferred',
  'deferred-attach+unmap': 'the unmap is of the domain, whether or not the function is in it',
  'deferred-attach+invalidation': SETTLES,
  'unmap+invalidation': SETTLES,
  'unmap+death': 'an unmap succeeds, whether its invalidation is answered or times out',
  'dma+invalidation': 'the DMA needs no translation of the ATC',
  'ats+invalidation': 'the invalidation is of the domain of a PASID, and the requests have none',
  'invalidation+invalidation': SETTLES,
};

/** Undefined where an order may matter. */
export function alikeReason(kinds: readonly KindName[]): string | undefined {
  const reasons = new Set<string>();
  for (const [i, one] of kinds.entries()) {
    for (const two of kinds.slice(i + 1)) {
      const reason = PAIRS[`${one}+${two}`];
      if (reason === undefined) return undefined;
      reasons.add(reason);
    }
  }
  return [...reasons].join('; ');
}
