/** Attach, replace and detach with Linux's rules and errnos (`drivers/iommu/iommu.c`), and their rollback, as the steps that each call takes. */
import { OK, errno, type Pasid } from '../base/index.ts';
import type { Fix } from './fixes.ts';
import type { Domain, Group, GroupDevice } from './group.ts';
import type { GroupStep, Plan } from './steps.ts';

/** Whether the machine's Linux has this fix. */
export type Fixed = (fix: Fix) => boolean;

const NOTHING: Plan = { error: OK, steps: [] };

/**
 * Attaches the whole group. 0 at once when it is the current domain; -EBUSY while any member is in a reset window; -EINVAL for a blocking
 * domain where a member has direct regions; an error of one member puts the earlier ones back, and does `undo`.
 */
export function planAttach(group: Group, domain: Domain, undo: readonly GroupStep[] = []): Plan {
  if (domain === group.domain) return NOTHING;
  if (group.recoveryCount > 0) return refused('EBUSY');
  if (blocksDirect(group, domain)) return refused('EINVAL');
  return { error: OK, steps: moveGroup(group, domain, undo) };
}

/**
 * iommu_deferred_attach() under the mutex, of a caller that without it has found something deferred: -EBUSY while this function is blocked; else the
 * function gets the group's domain, where there is one. `looksAgain`: 0 where nothing is deferred any more. Linux does not look again, so that a
 * prepare between the two, which ends the deferral, makes it -EBUSY; before b296ca1fb43a also a prepare of any other member.
 */
export function planDeferredAttach(device: GroupDevice, looksAgain: boolean, fixed: Fixed): Plan {
  const { group, attachDeferred } = device;
  if (looksAgain && !attachDeferred) return NOTHING;
  const inWindow = fixed('b296ca1fb43a') ? device.blocked : group.recoveryCount > 0;
  if (inWindow) return refused('EBUSY');
  if (!attachDeferred || group.domain === undefined) return NOTHING;
  return { error: OK, steps: [moveRid(device, group.domain)] };
}

/** __iommu_device_set_domain(): what firmware asked to be mapped 1:1 may not be blocked by policy. A reset's own fence is below this. */
function blocksDirect(group: Group, domain: Domain): boolean {
  return (domain.type === 'blocked' || domain === group.blockingDomain) && group.members.some((device) => device.requireDirect);
}

/** Back to where the group rests: its blocking domain when owned, else its default, where it has one. Must succeed, in a window too. */
export function planDetach(group: Group, fixed: Fixed): Plan {
  return mustMoveGroup(group, group.owned ? group.blockingDomain : group.restDomain, fixed);
}

/**
 * Takes the group for an owner: -EPERM when owned, -EBUSY in a window or with another domain or PASIDs attached, -EINVAL when a member has direct
 * regions.
 */
export function planClaim(group: Group): Plan {
  if (group.owned) return refused('EPERM');
  const owned: GroupStep = { kind: 'owner', group, owned: true };
  if (group.domain === group.blockingDomain) return { error: OK, steps: [owned] };
  if (group.recoveryCount > 0 || group.domain !== group.defaultDomain || group.pasids.size > 0) return refused('EBUSY');
  if (blocksDirect(group, group.blockingDomain)) return refused('EINVAL');
  return { error: OK, steps: [...moveGroup(group, group.blockingDomain), owned] };
}

/** -EINVAL when not owned, -EBUSY with PASIDs attached; else back to the default domain, in a window too. */
export function planRelease(group: Group, fixed: Fixed): Plan {
  if (!group.owned) return refused('EINVAL');
  if (group.pasids.size > 0) return refused('EBUSY');
  const { steps } = mustMoveGroup(group, group.restDomain, fixed);
  return { error: OK, steps: [{ kind: 'owner', group, owned: false }, ...steps] };
}

/**
 * iommu_attach_device_pasid / iommu_replace_device_pasid, for every member that has PASIDs.
 * -EOPNOTSUPP when none has, or the driver has no blocked domain for them to go back to; -EINVAL for PASID 0, one too large, or a domain that is not
 * paging; -EBUSY in a window, or when occupied (attach); -EINVAL when nothing is there to replace. A failure puts earlier members back and keeps the
 * table.
 */
export function planAttachPasid(group: Group, pasid: Pasid, domain: Domain, replace: boolean): Plan {
  const capable = group.members.filter((device) => device.pasidsMax > 0);
  if (capable.length === 0 || group.blockingDomain.type !== 'blocked') return refused('EOPNOTSUPP');
  if (pasid === 0 || domain.type !== 'paging' || capable.some((device) => pasid >= device.pasidsMax)) return refused('EINVAL');
  if (group.recoveryCount > 0) return refused('EBUSY');
  const current = group.pasids.get(pasid);
  if (replace && current === undefined) return refused('EINVAL');
  if (!replace && current !== undefined) return refused('EBUSY');
  if (current === domain) return NOTHING;

  // A quarantined member gets it when its translation is restored.
  const open = capable.filter((device) => !device.blocked);
  const steps = open.map((device, moved): GroupStep => {
    const back = open.slice(0, moved).map((earlier) => movePasid(earlier, pasid, current, true));
    return { kind: 'pasid', device, pasid, domain, must: false, refused: { steps: back, goesOn: false } };
  });
  // Published when every member has it (xa_store after the hardware, so that no handle is found that is not there).
  return { error: OK, steps: [...steps, { kind: 'pasid-table', group, pasid, domain }] };
}

/** iommu_detach_device_pasid: must succeed. A blocked member's PASID is blocked already and is not touched (fc3523b16d2b). */
export function planDetachPasid(group: Group, pasid: Pasid, fixed: Fixed): Plan {
  if (!group.pasids.has(pasid)) return NOTHING;
  const steps: GroupStep[] = [];
  for (const device of group.members) {
    if (device.pasidsMax === 0) continue;
    if (!device.blocked) steps.push(movePasid(device, pasid, undefined, true));
    else if (!fixed('fc3523b16d2b')) steps.push(...detachBlocked(device, pasid));
  }
  return { error: OK, steps: [...steps, { kind: 'pasid-table', group, pasid, domain: undefined }] };
}

/** Without fc3523b16d2b: the PASID is removed from the hardware once more, and the function, which may not answer, is asked to invalidate. */
function detachBlocked(device: GroupDevice, pasid: Pasid): readonly GroupStep[] {
  const spaces = [device.group.blockingDomain.space];
  return [movePasid(device, pasid, undefined, true), { kind: 'atc-sent', device, pasid, spaces }];
}

function moveGroup(group: Group, domain: Domain, undo: readonly GroupStep[] = []): readonly GroupStep[] {
  const open = group.members.filter((device) => !device.blocked);
  const steps = open.map((device, moved): GroupStep => {
    // Linux leaves them where they are if they had none; here they block again.
    const back = open.slice(0, moved).map((earlier) => moveRid(earlier, group.domain ?? group.blockingDomain, true));
    return { kind: 'rid', device, domain, must: false, refused: { steps: [...back, ...undo], goesOn: false } };
  });
  return [...steps, { kind: 'group-domain', group, domain }];
}

/** Blocked members stay; one that the hardware refuses is parked on blocking and reported. */
function mustMoveGroup(group: Group, domain: Domain | undefined, fixed: Fixed): Plan {
  if (group.domain === domain) return NOTHING;
  const [first] = group.members;
  if (domain === undefined) {
    const text = 'detach: its group has no default domain, and keeps the domain that it has';
    return { error: OK, steps: first === undefined ? [] : [{ kind: 'warning', device: first, text }] };
  }
  if (group.recoveryCount > 0 && !fixed('5474e6e17a26') && first !== undefined) {
    const text = 'detach: a move that must succeed was refused in a reset window (-EBUSY); the group keeps its domain';
    return { error: OK, steps: [{ kind: 'warning', device: first, text }] };
  }
  const open = group.members.filter((device) => !device.blocked);
  const warning = 'detach: the hardware refused the new domain; the function is parked on blocking';
  const steps = open.map((device): GroupStep => {
    const parked = [moveRid(device, group.blockingDomain, true)];
    return { kind: 'rid', device, domain, must: false, refused: { steps: parked, goesOn: true, warning } };
  });
  return { error: OK, steps: [...steps, { kind: 'group-domain', group, domain }] };
}

export function moveRid(device: GroupDevice, domain: Domain, must = false): GroupStep {
  return { kind: 'rid', device, domain, must, refused: undefined };
}

export function movePasid(device: GroupDevice, pasid: Pasid, domain: Domain | undefined, must = false): GroupStep {
  return { kind: 'pasid', device, pasid, domain, must, refused: undefined };
}

function refused(code: 'EBUSY' | 'EPERM' | 'EINVAL' | 'EOPNOTSUPP'): Plan {
  return { error: errno(code), steps: [] };
}
