/** The window's invariants where the machine leaves a function its direct regions (isolation `direct-regions`). */
import type { Defect } from '../defect.ts';

const ISOLATION = 'iommu/isolation.ts';
const FENCE = 'iommu/fence.ts';
const DONE = 'machine/reset/done.ts';
const GATE = 'machine/dma/gate.ts';
const BROKEN = 'machine/errors/broken.ts';

export const isolationDefects: readonly Defect[] = [
  {
    invariant: 2,
    file: ISOLATION,
    find: "domain === undefined || domain.type === 'blocked' || domain === blockingDomain",
    replace: 'domain === undefined',
    why: 'a window opens the direct regions of a function that its owner has blocked',
  },
  {
    invariant: 17,
    file: ISOLATION,
    find: 'if (tables?.lookup(at) === undefined) return false;',
    replace: 'if (tables === undefined) return false;',
    machine: 'direct-regions',
    why: 'the gate lets every untranslated request by, outside the direct regions too',
  },
  {
    invariant: 17,
    file: ISOLATION,
    find: 'physical !== windowDomain || windowDomain === group.blockingDomain',
    replace: 'physical === group.blockingDomain || windowDomain === group.blockingDomain',
    machine: 'direct-regions',
    why: 'the gate lets requests to direct regions by while it drains, and the domain that is still there translates them',
  },
  {
    invariant: 17,
    file: GATE,
    find: "translated || operation === 'translate'",
    replace: "(translated && pasid !== NO_PASID) || operation === 'translate'",
    machine: 'direct-regions',
    why: 'the gate lets translated requests to direct regions by',
  },
  {
    invariant: 13,
    file: DONE,
    find: '  LANDED,\n',
    replace: '  { ...LANDED, run: () => true },\n',
    machine: 'direct-regions',
    why: 'done does not await what was let through to direct regions in the window',
  },
  {
    invariant: 25,
    file: FENCE,
    find: '{ steps: planQuarantine(device), goesOn',
    replace: '{ steps: [], goesOn',
    why: 'a function whose domain could not be given back keeps the direct regions of its window',
  },
  {
    invariant: 39,
    file: DONE,
    find: 'remains ? iommu.planQuarantine(device) : ',
    replace: 'remains ? [] : ',
    why: 'a function whose reset failed keeps the direct regions of its window',
  },
  {
    invariant: 39,
    file: ISOLATION,
    find: 'const isShut = quarantined || ',
    replace: 'const isShut = (quarantined && domain === undefined) || ',
    why: 'the window that is to mend a function in quarantine opens its direct regions',
  },
  {
    invariant: 40,
    file: BROKEN,
    find: 'const shut = blocked && physical === group.blockingDomain;',
    replace: 'const shut = blocked && (physical === group.blockingDomain || physical !== undefined);',
    why: 'what was let through to direct regions is performed after the function was reported broken',
  },
];
