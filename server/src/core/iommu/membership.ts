/**
 * Members that come to a group and leave it while the machine runs: iommu_group_add_device() as hot plug reaches it, and iommu_release_device()
 * (`drivers/iommu/iommu.c`).
 */
import { ACCESS, NO_PASID, OK, PAGE_BYTES } from '../base/index.ts';
import type { PageTables, Translation } from '../translation/index.ts';
import { waitersOf } from './alias-siblings.ts';
import { movePasid, moveRid } from './attach.ts';
import type { DirectRegion } from './direct-regions.ts';
import type { Group, GroupDevice } from './group.ts';
import { domainInWindow } from './isolation.ts';
import { atsSteps } from './low-level-attach.ts';
import type { GroupStep } from './steps.ts';

const PAGE = BigInt(PAGE_BYTES);

/**
 * A function that joins a group gets the group's domain, whatever that is now, and no PASID: Linux gives it those only when they are attached again.
 * `fenced`: a member is in a window, and this one blocks until {@link planJoined}.
 */
export function planJoin(device: GroupDevice, fenced: boolean): readonly GroupStep[] {
  const { group, attachDeferred } = device;
  if (fenced) return [moveRid(device, group.blockingDomain, true), { kind: 'blocked', device, on: true }];
  return group.domain === undefined || attachDeferred ? [] : [moveRid(device, group.domain, true)];
}

/** What is said of a member that blocks because others were in a window when it came. */
export function noteJoining(device: GroupDevice): void {
  device.joining = true;
  device.quarantined = true;
  device.window = { at: 'quarantined' };
}

/** A function that comes while windows are open of what its resets come with: it is in them from the start. It has cached nothing that would be asked back. */
export function planBornBlocked(device: GroupDevice): readonly GroupStep[] {
  return [
    { kind: 'fence', device, domain: domainInWindow(device), ats: false },
    ...atsSteps(device, false),
    { kind: 'blocked', device, on: true },
  ];
}

export function noteBornBlocked(device: GroupDevice, windows: readonly string[]): void {
  device.joining = false;
  device.quarantined = false;
  device.window = { at: 'blocked' };
  device.windows = [...windows];
  device.resetDepth = windows.length;
  device.group.recoveryCount++;
}

/** The last window of the group closes: its new members get what they came for. One in a window of its own has its domain from that. */
export function planJoined(device: GroupDevice): readonly GroupStep[] {
  const { group } = device;
  return [moveRid(device, group.domain ?? group.blockingDomain, true), { kind: 'blocked', device, on: false }];
}

/** Members that are released as this one's last window closes, or as it leaves: they came in the meantime, or share a requester ID with it. */
export function releasedBy(device: GroupDevice): readonly GroupDevice[] {
  return [...joinersOf(device), ...waitersOf(device)];
}

/** Of a group whose last window closes with this member's: those that then join in earnest. */
function joinersOf({ group, ...leaving }: GroupDevice): readonly GroupDevice[] {
  if (group.recoveryCount !== 1 || leaving.resetDepth > 1) return [];
  return group.members.filter((device) => device.joining && device.resetDepth === 0 && device.bdf !== leaving.bdf);
}

/** What it was blocked for has ended. */
export function noteReleased(device: GroupDevice): void {
  device.joining = false;
  device.waitsForAlias = false;
  device.quarantined = false;
  device.window = { at: 'open' };
}

/** The function is leaving: RID to blocking, and its whole ATC invalidated where it is asked. Then {@link planGone}. */
export function planLeave(device: GroupDevice, asks: boolean): readonly GroupStep[] {
  return [{ kind: 'fence', device, domain: device.group.blockingDomain, ats: asks && device.atsEnabled }];
}

/** The invalidations have settled: nothing of it translates any more. The group's PASID table stays, for the members that stay. */
export function planGone(device: GroupDevice): readonly GroupStep[] {
  const steps: GroupStep[] = [...atsSteps(device, false), { kind: 'blocked', device, on: true }];
  for (const pasid of device.pasidPhysical.keys()) steps.push(movePasid(device, pasid, undefined, true));
  return steps;
}

/** Its contexts point nowhere. */
export function dropContexts(translation: Translation, { bdf, pasidPhysical }: GroupDevice): void {
  translation.setContext(bdf, NO_PASID, undefined, false);
  for (const pasid of pasidPhysical.keys()) translation.setContext(bdf, pasid, undefined, false);
  pasidPhysical.clear();
}

/** Takes it out of its group: a window that it was in no longer counts. */
export function takeOut(device: GroupDevice): void {
  const { group } = device;
  if (device.resetDepth > 0) group.recoveryCount--;
  device.resetDepth = 0;
  device.windows = [];
  device.blocked = false;
  device.quarantined = false;
  device.joining = false;
  device.waitsForAlias = false;
  device.window = { at: 'open' };
  group.members.splice(group.members.indexOf(device), 1);
}

/** A group without members has no owner, and nothing rests on the domains that it had (__iommu_group_remove_device warns of what drivers have left). */
export function emptied(group: Group): void {
  group.owned = false;
  group.pasids.clear();
  group.domain = undefined;
}

/** iommu_create_device_direct_mappings() of one that comes later: pages that are mapped already stay as they are. */
export function mapMissingDirect(tables: PageTables, regions: readonly DirectRegion[]): void {
  for (const { address, bytes } of regions) {
    for (let at = address; at < address + bytes; at += PAGE) {
      if (tables.lookup(at) === undefined && tables.map(at, at, PAGE, ACCESS.readWrite) !== OK) return;
    }
  }
}
