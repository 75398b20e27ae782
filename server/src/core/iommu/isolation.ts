/** What a function has in its reset window in place of its domain: a choice of the machine, which no kernel has. */
import { PAGE_BYTES } from '../base/index.ts';
import type { Domain, GroupDevice } from './group.ts';

/** `blocked`: nothing, as in Linux. `direct-regions`: a paging domain of its own that maps its direct regions 1:1, and nothing else. */
export const ISOLATIONS = ['blocked', 'direct-regions'] as const;
export type Isolation = (typeof ISOLATIONS)[number];

const PAGE = BigInt(PAGE_BYTES);

/** Where a window moves the RID. It opens nothing that was shut: a group that rests on blocking, or has no domain, and a function in quarantine. */
export function domainInWindow({ group, quarantined, windowDomain }: GroupDevice): Domain {
  const { domain, blockingDomain } = group;
  const isShut = quarantined || domain === undefined || domain.type === 'blocked' || domain === blockingDomain;
  return isShut ? blockingDomain : windowDomain;
}

/**
 * Whether the function's window leaves it all of these bytes, for requests without PASID. Not before the RID has been moved: what its own domain maps
 * there may be something else.
 */
export function isOpenInWindow({ physical, windowDomain, group }: GroupDevice, iova: bigint, bytes: number): boolean {
  if (physical !== windowDomain || windowDomain === group.blockingDomain) return false;
  const { tables } = windowDomain.space;
  for (let at = iova - (iova % PAGE); at < iova + BigInt(bytes); at += PAGE) if (tables?.lookup(at) === undefined) return false;
  return true;
}
