/**
 * Moves of device contexts with no policy: what __iommu_group_set_domain() and its PASID sisters do below the rules.
 * Every move ends with the ATC invalidation and the settling that make the old domain's translations unusable.
 */
import { NO_PASID, OK, errno, type Errno, type Pasid } from '../base/index.ts';
import type { AddressSpace, Translation } from '../translation/index.ts';
import type { Fix } from './fixes.ts';
import type { Domain, GroupDevice, IommuEffect } from './group.ts';

/** What the hardware below may do to a move. */
export interface AttachPorts {
  readonly translation: Translation;
  /** Whether the machine's Linux has this fix. */
  fixed(fix: Fix): boolean;
  /** An armed fault: the hardware refuses this function's next context change. */
  attachFails(device: GroupDevice): boolean;
}

/** Points the function's RID at `domain`. -EIO when the hardware refuses; then nothing has changed. */
export function attachRid(ports: AttachPorts, device: GroupDevice, domain: Domain, effects: IommuEffect[]): Errno {
  if (ports.attachFails(device)) return errno('EIO');
  moveRid(ports, device, domain, effects);
  return OK;
}

/** The same where it must succeed (IOMMU_SET_DOMAIN_MUST_SUCCEED): to what the hardware has had already, or to blocking. */
export function moveRid(ports: AttachPorts, device: GroupDevice, domain: Domain, effects: IommuEffect[]): void {
  const old = device.physical;
  const ats = domain.type === 'paging' && device.atsWanted;
  device.physical = domain;
  device.translatedRefused = false;
  device.attachDeferred = false;
  ports.translation.setContext(device.bdf, NO_PASID, domain.space, ats);
  if (old !== domain) leave(device, NO_PASID, old.space, effects);
  setAtsEnable(device, ats || atsInUseByPasid(device), effects);
}

/** Points one PASID of the function at `domain`; undefined removes its context. */
export function attachPasid(
  ports: AttachPorts,
  device: GroupDevice,
  pasid: Pasid,
  domain: Domain | undefined,
  effects: IommuEffect[],
): Errno {
  if (domain !== undefined && ports.attachFails(device)) return errno('EIO');
  movePasid(ports, device, pasid, domain, effects);
  return OK;
}

/** The same where it must succeed. */
export function movePasid(ports: AttachPorts, device: GroupDevice, pasid: Pasid, domain: Domain | undefined, effects: IommuEffect[]): void {
  const old = device.pasidPhysical.get(pasid);
  const ats = domain?.type === 'paging' && device.atsWanted && !device.blocked;
  ports.translation.setContext(device.bdf, pasid, domain?.space, ats);
  if (domain === undefined) device.pasidPhysical.delete(pasid);
  else device.pasidPhysical.set(pasid, domain);
  if (old !== undefined && old !== domain && !device.blocked) leave(device, pasid, old.space, effects);
  if (ats) setAtsEnable(device, true, effects);
}

/** In `strict`, after a timeout: the function's translated requests are refused in every context it has. */
export function refuseTranslated(translation: Translation, device: GroupDevice): void {
  device.translatedRefused = true;
  translation.setContext(device.bdf, NO_PASID, device.physical.space, false);
  for (const [pasid, domain] of device.pasidPhysical) translation.setContext(device.bdf, pasid, domain.space, false);
}

export function setAtsEnable(device: GroupDevice, on: boolean, effects: IommuEffect[]): void {
  if (!device.atsSupported || !device.atsWanted || device.atsEnabled === on) return;
  device.atsEnabled = on;
  effects.push({ kind: 'ats-enable', device, on });
}

function leave(device: GroupDevice, pasid: Pasid, space: AddressSpace, effects: IommuEffect[]): void {
  effects.push({ kind: 'settle', device, space });
  if (device.atsEnabled && space.type === 'paging') {
    effects.push({ kind: 'invalidate', device, pasid, firstPage: 0, pages: Infinity, spaces: [space] });
  }
}

function atsInUseByPasid(device: GroupDevice): boolean {
  for (const domain of device.pasidPhysical.values()) if (domain.type === 'paging') return true;
  return false;
}
