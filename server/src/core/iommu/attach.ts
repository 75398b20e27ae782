/** Attach, replace and detach with Linux's rules and errnos (`drivers/iommu/iommu.c`), and their rollback. */
import { OK, errno, type Errno, type Pasid } from '../base/index.ts';
import type { Change, Domain, Group, GroupDevice, IommuEffect } from './group.ts';
import { attachPasid, attachRid, movePasid, moveRid, type AttachPorts } from './low-level-attach.ts';

/**
 * Attaches the whole group. 0 at once when it is the current domain; -EBUSY while any member is in a reset window; -EINVAL for a blocking
 * domain where a member has direct regions; an error of one member puts the earlier ones back.
 */
export function attachGroup(ports: AttachPorts, group: Group, domain: Domain): Change {
  if (domain === group.domain) return { error: OK, effects: [] };
  if (group.recoveryCount > 0) return refused('EBUSY');
  if (blocksDirect(group, domain)) return refused('EINVAL');
  return moveGroup(ports, group, domain);
}

/**
 * iommu_deferred_attach(): 0 where nothing is deferred, which the caller has found without the mutex; -EBUSY while this function is blocked, which
 * leaves a deferral only where the window did not move the RID; else the function gets the group's domain.
 */
export function deferredAttach(ports: AttachPorts, device: GroupDevice): Change {
  const effects: IommuEffect[] = [];
  if (!device.attachDeferred) return { error: OK, effects };
  if (device.blocked) return refused('EBUSY');
  return { error: attachRid(ports, device, device.group.domain, effects), effects };
}

/** __iommu_device_set_domain(): what firmware asked to be mapped 1:1 may not be blocked by policy. A reset's own fence is below this. */
function blocksDirect(group: Group, domain: Domain): boolean {
  return (domain.type === 'blocked' || domain === group.blockingDomain) && group.members.some((device) => device.requireDirect);
}

/** Back to where the group rests: its blocking domain when owned, else its default. Must succeed, in a window too. */
export function detachGroup(ports: AttachPorts, group: Group): Change {
  return mustMoveGroup(ports, group, group.owned ? group.blockingDomain : group.defaultDomain);
}

/**
 * Takes the group for an owner: -EPERM when owned, -EBUSY in a window or with another domain or PASIDs attached, -EINVAL when a member has direct
 * regions.
 */
export function claimOwner(ports: AttachPorts, group: Group): Change {
  if (group.owned) return refused('EPERM');
  if (group.domain !== group.blockingDomain) {
    if (group.recoveryCount > 0 || group.domain !== group.defaultDomain || group.pasids.size > 0) return refused('EBUSY');
    if (blocksDirect(group, group.blockingDomain)) return refused('EINVAL');
    const change = moveGroup(ports, group, group.blockingDomain);
    if (change.error !== OK) return change;
    group.owned = true;
    return change;
  }
  group.owned = true;
  return { error: OK, effects: [] };
}

/** -EINVAL when not owned, -EBUSY with PASIDs attached; else back to the default domain, in a window too. */
export function releaseOwner(ports: AttachPorts, group: Group): Change {
  if (!group.owned) return refused('EINVAL');
  if (group.pasids.size > 0) return refused('EBUSY');
  group.owned = false;
  return mustMoveGroup(ports, group, group.defaultDomain);
}

/**
 * iommu_attach_device_pasid / iommu_replace_device_pasid, for every member that has PASIDs.
 * -EOPNOTSUPP when none has; -EINVAL for PASID 0, one too large, or a domain that is not paging; -EBUSY in a window, or when occupied (attach);
 * -EINVAL when nothing is there to replace. A failure puts earlier members back and keeps the table.
 */
export function attachGroupPasid(ports: AttachPorts, group: Group, pasid: Pasid, domain: Domain, replace: boolean): Change {
  const capable = group.members.filter((device) => device.pasidsMax > 0);
  if (capable.length === 0) return refused('EOPNOTSUPP');
  if (pasid === 0 || domain.type !== 'paging' || capable.some((device) => pasid >= device.pasidsMax)) return refused('EINVAL');
  if (group.recoveryCount > 0) return refused('EBUSY');
  const current = group.pasids.get(pasid);
  if (replace && current === undefined) return refused('EINVAL');
  if (!replace && current !== undefined) return refused('EBUSY');
  if (current === domain) return { error: OK, effects: [] };

  const effects: IommuEffect[] = [];
  // A quarantined member gets it when its translation is restored.
  const open = capable.filter((device) => !device.blocked);
  for (const [moved, device] of open.entries()) {
    const error = attachPasid(ports, device, pasid, domain, effects);
    if (error === OK) continue;
    for (const earlier of open.slice(0, moved)) movePasid(ports, earlier, pasid, current, effects);
    return { error, effects };
  }
  group.pasids.set(pasid, domain);
  return { error: OK, effects };
}

/** iommu_detach_device_pasid: must succeed. A blocked member's PASID is blocked already and is not touched (fc3523b16d2b). */
export function detachGroupPasid(ports: AttachPorts, group: Group, pasid: Pasid): Change {
  const effects: IommuEffect[] = [];
  if (!group.pasids.delete(pasid)) return { error: OK, effects };
  for (const device of group.members) {
    if (device.pasidsMax === 0) continue;
    if (!device.blocked) attachPasid(ports, device, pasid, undefined, effects);
    else if (!ports.fixed('fc3523b16d2b')) detachBlocked(ports, device, pasid, effects);
  }
  return { error: OK, effects };
}

/** Without fc3523b16d2b: the PASID is removed from the hardware once more, and the function, which may not answer, is asked to invalidate. */
function detachBlocked(ports: AttachPorts, device: GroupDevice, pasid: Pasid, effects: IommuEffect[]): void {
  const spaces = [device.group.blockingDomain.space];
  movePasid(ports, device, pasid, undefined, effects);
  effects.push({ kind: 'invalidate', device, pasid, firstPage: 0, pages: Infinity, spaces });
}

function moveGroup(ports: AttachPorts, group: Group, domain: Domain): Change {
  const effects: IommuEffect[] = [];
  const moved: GroupDevice[] = [];
  for (const device of group.members) {
    const error = device.blocked ? OK : attachRid(ports, device, domain, effects);
    if (error === OK) {
      moved.push(device);
      continue;
    }
    for (const earlier of moved) if (!earlier.blocked) moveRid(ports, earlier, group.domain, effects);
    return { error, effects };
  }
  group.domain = domain;
  return { error: OK, effects };
}

/** Blocked members stay; one that the hardware refuses is parked on blocking and reported. */
function mustMoveGroup(ports: AttachPorts, group: Group, domain: Domain): Change {
  const effects: IommuEffect[] = [];
  if (group.domain === domain) return { error: OK, effects };
  if (group.recoveryCount > 0 && !ports.fixed('5474e6e17a26')) {
    const [device] = group.members;
    const text = 'detach: a move that must succeed was refused in a reset window (-EBUSY); the group keeps its domain';
    if (device !== undefined) effects.push({ kind: 'warning', device, text });
    return { error: OK, effects };
  }
  group.domain = domain;
  for (const device of group.members) {
    if (device.blocked) continue;
    if (attachRid(ports, device, domain, effects) === OK) continue;
    moveRid(ports, device, group.blockingDomain, effects);
    effects.push({ kind: 'warning', device, text: 'detach: the hardware refused the new domain; the function is parked on blocking' });
  }
  return { error: OK, effects };
}

function refused(code: 'EBUSY' | 'EPERM' | 'EINVAL' | 'EOPNOTSUPP'): { error: Errno; effects: [] } {
  return { error: errno(code), effects: [] };
}
