/**
 * pci_dev_reset_iommu_prepare() and pci_dev_reset_iommu_done() on one function, in the parts between which the caller
 * waits: fence, then commit when the invalidations have settled; restore when the last window closes.
 */
import { NO_PASID, OK, errno, type Errno, type Pasid } from '../base/index.ts';
import type { Fix } from './fixes.ts';
import type { Change, Domain, GroupDevice, IommuEffect } from './group.ts';
import { attachPasid, attachRid, setAtsEnable, type AttachPorts } from './low-level-attach.ts';

/** Where the behaviours differ. */
export interface FencePolicy {
  /** SMMUv3's driver clears ATS Enable before it changes the context; `strict` after the invalidations were answered. */
  readonly atsOffFirst: boolean;
  /** `strict` keeps a function blocked whose domain could not be restored; Linux drops the flag and the hardware still blocks. */
  readonly staysBlockedOnFailure: boolean;
  readonly fixes: ReadonlySet<Fix>;
}

/** Whether the hardware lets the RID be moved to the blocking domain, and what goes before the move. On an error nothing has changed. */
export function startFence(ports: AttachPorts, device: GroupDevice, policy: FencePolicy): Change {
  const effects: IommuEffect[] = [];
  if (device.physical !== device.group.blockingDomain && ports.attachFails(device)) return { error: errno('EIO'), effects };
  if (policy.atsOffFirst) setAtsEnable(device, false, effects);
  return { error: OK, effects };
}

/**
 * Moves the RID to the blocking domain and, where `ats` was in use, asks for the whole-ATC invalidation. The logical domain stays.
 */
export function fence(ports: AttachPorts, device: GroupDevice, ats: boolean): readonly IommuEffect[] {
  const effects: IommuEffect[] = [];
  const { group } = device;
  const old = device.physical;
  device.physical = group.blockingDomain;
  // Linux does not move a RID whose group rests on blocking, and then leaves the deferral.
  if (group.domain !== group.blockingDomain) device.attachDeferred = false;
  ports.translation.setContext(device.bdf, NO_PASID, group.blockingDomain.space, false);
  for (const [pasid, domain] of device.pasidPhysical) ports.translation.setContext(device.bdf, pasid, domain.space, false);
  const spaces = [old.space, ...[...device.pasidPhysical.values()].map((domain) => domain.space)];
  for (const space of spaces) effects.push({ kind: 'settle', device, space });
  if (ats) effects.push({ kind: 'invalidate', device, pasid: NO_PASID, firstPage: 0, pages: Infinity, spaces });
  return effects;
}

/** The invalidations have settled: `blocked`, the PASIDs of this function, and the group's count. The PASID table stays. */
export function commit(ports: AttachPorts, device: GroupDevice): readonly IommuEffect[] {
  const effects: IommuEffect[] = [];
  setAtsEnable(device, false, effects);
  device.blocked = true;
  device.quarantined = false;
  for (const pasid of device.group.pasids.keys()) {
    if (device.pasidsMax === 0) break;
    if (attachPasid(ports, device, pasid, device.group.blockingDomain, effects) === OK) continue;
    effects.push({ kind: 'warning', device, text: `prepare: PASID ${pasid} could not be moved to blocking` });
  }
  device.group.recoveryCount++;
  return effects;
}

/**
 * The last window closes: the RID goes to the domain that is current NOW, then the PASIDs that are current now, of this function
 * only. A refusal is reported in `effects`; `error` is the RID's.
 */
export function restore(ports: AttachPorts, device: GroupDevice, policy: FencePolicy): Change {
  const effects: IommuEffect[] = [];
  const { group } = device;
  let error: Errno = OK;
  if (group.domain !== group.blockingDomain) error = attachRid(ports, device, group.domain, effects);
  if (error !== OK) {
    effects.push({ kind: 'warning', device, text: 'done: the current domain could not be attached; the hardware still blocks' });
    if (policy.staysBlockedOnFailure) return { error, effects };
  }
  device.blocked = false;
  const detached = [...device.pasidPhysical.keys()].filter((pasid) => !group.pasids.has(pasid));
  for (const pasid of detached) attachPasid(ports, device, pasid, undefined, effects);
  for (const [pasid, domain] of group.pasids) restorePasid(ports, device, pasid, domain, effects);
  return { error, effects };
}

function restorePasid(ports: AttachPorts, reset: GroupDevice, pasid: Pasid, domain: Domain, effects: IommuEffect[]): void {
  const fixed = ports.fixed('1615e8896a8f');
  for (const device of fixed ? [reset] : reset.group.members) {
    if (fixed && device.pasidsMax === 0) continue;
    if (attachPasid(ports, device, pasid, domain, effects) === OK) continue;
    effects.push({ kind: 'warning', device, text: `done: PASID ${pasid} could not be restored` });
  }
}
