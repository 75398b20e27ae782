/**
 * The steps of pci_dev_reset_iommu_prepare() and pci_dev_reset_iommu_done() on one function, in the parts between which the caller
 * waits: fence, then commit when the invalidations have settled; restore when the last window closes.
 */
import { OK, errno } from '../base/index.ts';
import { movePasid, type Fixed } from './attach.ts';
import type { Fix } from './fixes.ts';
import type { GroupDevice } from './group.ts';
import { domainInWindow } from './isolation.ts';
import { atsSteps, type AttachPorts } from './low-level-attach.ts';
import type { GroupStep, Plan, Refused } from './steps.ts';

/** Where the behaviours differ. */
export interface FencePolicy {
  /** SMMUv3's driver clears ATS Enable before it changes the context; `strict` after the invalidations were answered. */
  readonly atsOffFirst: boolean;
  /** `strict` keeps a function blocked whose domain could not be restored; Linux drops the flag and the hardware still blocks. */
  readonly staysBlockedOnFailure: boolean;
  /** In `strict` a group without a default domain goes back to blocking; in Linux it keeps the domain that was detached. */
  readonly restsOnBlocking: boolean;
  /** `strict` looks again, under the mutex, whether an attach is still deferred. */
  readonly looksAgain: boolean;
  /** `strict` keeps a function blocked that joins a group in a reset window, until the last window of the group closes. */
  readonly fencesNewMembers: boolean;
  readonly fixes: ReadonlySet<Fix>;
}

/**
 * Moves the RID to the domain of its window, and asks for the whole-ATC invalidation where ATS is in use. The logical domain stays. -EIO where the
 * hardware refuses the move; a function that is on that domain already has none to be refused.
 */
export function planFence(ports: AttachPorts, device: GroupDevice, policy: FencePolicy): Plan {
  const domain = domainInWindow(device);
  if (device.physical !== domain && ports.attachFails(device)) return { error: errno('EIO'), steps: [] };
  const fence: GroupStep = { kind: 'fence', device, domain, ats: device.atsEnabled };
  return { error: OK, steps: policy.atsOffFirst ? [...atsSteps(device, false), fence] : [fence] };
}

/** The invalidations have settled: `blocked`, then the PASIDs of this function. The PASID table stays. */
export function planCommit(device: GroupDevice): readonly GroupStep[] {
  const { group, pasidsMax } = device;
  const steps: GroupStep[] = [...atsSteps(device, false), { kind: 'blocked', device, on: true }];
  for (const pasid of group.pasids.keys()) {
    if (pasidsMax === 0) break;
    const refused = reported(`prepare: PASID ${pasid} could not be moved to blocking`);
    steps.push({ kind: 'pasid', device, pasid, domain: group.blockingDomain, must: false, refused });
  }
  return steps;
}

/** The last window closes, and the function stays blocked: its direct regions too. */
export function planQuarantine(device: GroupDevice): readonly GroupStep[] {
  return device.physical === device.group.blockingDomain ? [] : [{ kind: 'park', device }];
}

/**
 * The last window closes: the RID goes to the domain that is current NOW, then the PASIDs that are current now, of this function
 * only. A refusal of the RID is reported, and is the call's error.
 */
export function planRestore(device: GroupDevice, policy: FencePolicy): readonly GroupStep[] {
  const { group } = device;
  const steps: GroupStep[] = [];
  const { domain, blockingDomain } = group;
  // A group that never had a domain has none to be given back (d769711fcddd); one that rests on blocking has it, unless a detach moved it there meanwhile.
  if (domain !== undefined && (domain !== blockingDomain || device.physical !== blockingDomain)) {
    const warning = 'done: the current domain could not be attached; the hardware still blocks';
    const refused: Refused = { steps: planQuarantine(device), goesOn: !policy.staysBlockedOnFailure, warning };
    steps.push({ kind: 'rid', device, domain, must: domain === blockingDomain, refused });
  }
  steps.push({ kind: 'blocked', device, on: false });
  const detached = [...device.pasidPhysical.keys()].filter((pasid) => !group.pasids.has(pasid));
  for (const pasid of detached) steps.push(movePasid(device, pasid, undefined, true));
  steps.push(...restorePasids(device, (fix) => policy.fixes.has(fix)));
  return steps;
}

function restorePasids(reset: GroupDevice, fixed: Fixed): readonly GroupStep[] {
  const perDevice = fixed('1615e8896a8f');
  const steps: GroupStep[] = [];
  for (const [pasid, domain] of reset.group.pasids) {
    const refused = reported(`done: PASID ${pasid} could not be restored`);
    for (const device of perDevice ? [reset] : reset.group.members) {
      if (perDevice && device.pasidsMax === 0) continue;
      steps.push({ kind: 'pasid', device, pasid, domain, must: false, refused });
    }
  }
  return steps;
}

function reported(warning: string): Refused {
  return { steps: [], goesOn: true, warning };
}
