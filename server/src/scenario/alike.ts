/**
 * Why the orders of some sets of kinds all end alike. A set of three ends alike where each two of them do, and some others. A set of which enough orders were run, and that
 * ends alike without a reason here, is a finding of `iommud explore`.
 */
import type { KindName } from './kinds.ts';
import { isAttached, type SettingName } from './settings.ts';

const PASSES = 'what must succeed passes the window, and done restores what is current then';
const DEFERRAL =
  "the deferral ends with the first move of the RID, by a window, an attach or the driver's first use, and the group's domain is the same after each";
const APART = 'they work on different contexts of the function, under one mutex';
const SETTLES = 'whoever sent it awaits it, and the end is the same whenever it is answered';
const ELSEWHERE = 'the sibling goes, and nothing that the function has is touched';

/** By two kinds in the order of the table of kinds. */
const PAIRS: Readonly<Record<string, string>> = {
  'reset+detach': PASSES,
  'reset+deferred-attach': DEFERRAL,
  'reset+unmap': 'map and unmap of the retained domain pass the window',
  'reset+invalidation': SETTLES,
  'sibling-reset+detach': PASSES,
  'sibling-reset+deferred-attach': DEFERRAL,
  'sibling-reset+unmap': 'map and unmap of the retained domain pass the window',
  'sibling-reset+invalidation': SETTLES,
  'attach+attach': 'both attach the same domain, and the second finds it attached',
  'attach+pasid-attach': APART,
  'attach+deferred-attach': DEFERRAL,
  'attach+unmap': 'the domain that is left loses the range whether or not the function is still in it',
  'attach+invalidation': SETTLES,
  'detach+detach': 'the second finds the default domain attached',
  'detach+pasid-attach': APART,
  'detach+deferred-attach': 'a function that was attached has nothing deferred',
  'detach+unmap': 'the domain that is left loses the range whether or not the function is still in it',
  'detach+invalidation': SETTLES,
  'pasid-attach+deferred-attach': APART,
  'pasid-attach+unmap': 'the unmap is of other domains',
  'pasid-attach+invalidation': SETTLES,
  'pasid-detach+deferred-attach': APART,
  'pasid-detach+invalidation': SETTLES,
  'deferred-attach+deferred-attach': 'the second finds nothing deferred',
  'deferred-attach+unmap': 'the unmap is of the domain, whether or not the function is in it',
  'deferred-attach+invalidation': SETTLES,
  'unmap+unmap': 'the second finds the range unmapped, and each maps ranges of its own',
  'unmap+invalidation': SETTLES,
  'unmap+death': 'an unmap succeeds, whether its invalidation is answered or times out',
  'dma+invalidation': 'the range has left the tables, and the DMA needs nothing of the ATC',
  'ats+invalidation': 'the ATC has dropped the range already, and only the completion is on its way',
  'invalidation+invalidation': SETTLES,
  'attach+removal': ELSEWHERE,
  'detach+removal': ELSEWHERE,
  'pasid-attach+removal': ELSEWHERE,
  'pasid-detach+removal': ELSEWHERE,
  'deferred-attach+removal': ELSEWHERE,
  'unmap+removal': ELSEWHERE,
  'dma+removal': ELSEWHERE,
  'ats+removal': ELSEWHERE,
  'invalidation+removal': ELSEWHERE,
  'death+removal': ELSEWHERE,
};

/** Of which two would end differently, and do not beside a third. */
const LATE =
  'the detach of the PASID awaits a completion that is late too, and comes with its timeout: the clock passes when nobody else can go on, and so the ' +
  "claim after it is everybody's last step";
const EMPTY = "the range has left the PASID's tables already, and the domain that replaces it has nothing there";
const TRIPLES: Readonly<Record<string, string>> = {
  'detach+pasid-detach+invalidation': LATE,
  'pasid-attach+pasid-detach+invalidation': LATE,
  'pasid-detach+unmap+invalidation': LATE,
  'pasid-attach+dma+invalidation': EMPTY,
  'pasid-attach+ats+invalidation': EMPTY,
};

/** Where the function has a domain from the start, whoever acts. */
const UNCLAIMED = 'nobody can claim a group that has been attached, and the PASID goes whatever comes between';
const NOTHING_DEFERRED = 'a function that was attached has nothing deferred';
const ATTACHED: typeof PAIRS = {
  'reset+pasid-detach': UNCLAIMED,
  'sibling-reset+pasid-detach': UNCLAIMED,
  'attach+pasid-detach': UNCLAIMED,
  'pasid-detach+pasid-detach': UNCLAIMED,
  'pasid-detach+unmap': UNCLAIMED,
  'pasid-detach+death': UNCLAIMED,
  'deferred-attach+dma': NOTHING_DEFERRED,
  'deferred-attach+ats': NOTHING_DEFERRED,
  'deferred-attach+death': NOTHING_DEFERRED,
};
const NESTED_TRIPLES: typeof TRIPLES = {
  'unmap+dma+invalidation':
    'what the guest invalidates goes to the sibling too, and nobody delivers that: the second stage is unmapped when the clock passes, after all else',
};

/** Undefined where an order may matter. */
export function alikeReason(kinds: readonly KindName[], on: SettingName = 'plain'): string | undefined {
  const set = kinds.join('+');
  const whole = TRIPLES[set] ?? (on === 'nested' ? NESTED_TRIPLES[set] : undefined);
  if (whole !== undefined) return whole;
  const reasons = new Set<string>();
  for (const [i, one] of kinds.entries()) {
    for (const two of kinds.slice(i + 1)) {
      const pair = `${one}+${two}`;
      const reason = PAIRS[pair] ?? (isAttached(on) ? ATTACHED[pair] : undefined);
      if (reason === undefined) return undefined;
      reasons.add(reason);
    }
  }
  return [...reasons].join('; ');
}
