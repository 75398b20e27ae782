/** Invariants 23 and 24: what blocks where the driver has no blocked domain, and a group that has no domain to go back to. */
import type { Defect } from '../defect.ts';

const IOMMU = 'iommu/iommu.ts';
const LOW_LEVEL = 'iommu/low-level-attach.ts';
const ATTACH = 'iommu/attach.ts';
const DONE = 'machine/reset/done.ts';

export const blockingDomainDefects: readonly Defect[] = [
  {
    invariant: 23,
    file: IOMMU,
    find: "this.#domains.make('blocked') : this.#domains.makeOwn();",
    replace: "this.#domains.make('blocked') : this.#domains.make('identity');",
    why: 'without a blocked domain an identity domain serves, and every address is reached',
  },
  {
    invariant: 23,
    file: IOMMU,
    find: "this.#domains.make('blocked') : this.#domains.makeOwn();",
    replace: "this.#domains.make('blocked') : this.#domains.make('paging');",
    why: 'a host maps into the empty paging domain that blocks',
  },
  {
    invariant: 23,
    file: LOW_LEVEL,
    find: "domain.type === 'paging' && domain !== device.group.blockingDomain && device.atsWanted",
    replace: "domain.type === 'paging' && device.atsWanted",
    why: 'ATS is on in the empty paging domain, as in any other',
  },
  {
    invariant: 23,
    file: ATTACH,
    find: "capable.length === 0 || group.blockingDomain.type !== 'blocked'",
    replace: 'capable.length === 0',
    why: 'a PASID is attached that no window could block',
  },
  {
    invariant: 24,
    file: DONE,
    find: 'const expected = device.group.domain ?? device.group.blockingDomain;',
    replace: 'const expected = device.group.domain;',
    why: 'done takes a group without a domain for one whose domain could not be given back',
  },
  {
    invariant: 24,
    file: IOMMU,
    find: 'this.#ports.policy.restsOnBlocking ? blockingDomain : undefined',
    replace: 'this.#ports.policy.restsOnBlocking ? undefined : blockingDomain',
    why: 'in strict, a detach leaves the function on the domain that its host is about to free',
  },
  {
    invariant: 24,
    file: ATTACH,
    find: 'moveRid(earlier, group.domain ?? group.blockingDomain, true)',
    replace: 'moveRid(earlier, group.domain ?? domain, true)',
    why: 'a first attach that fails leaves the members that it has moved on the domain',
  },
];
