/**
 * iommu_report_device_broken() as proposed for Linux ("Quarantine device upon ATC invalidation timeout"): what finds that a function no longer behaves
 * says so, and the function is blocked at once, with no window and no help of its own. It takes no mutex, so it comes between any two steps of a call.
 */
import { waitsForBroken } from './alias-siblings.ts';
import { movePasid } from './attach.ts';
import type { GroupDevice } from './group.ts';
import { atsSteps } from './low-level-attach.ts';
import type { GroupStep } from './steps.ts';

/**
 * Blocks the function in every context. One that is so already, in a window or reported before, has nothing to be done. It is asked to invalidate
 * nothing: its translated requests are refused from now on, whatever its ATC holds.
 */
export function planBroken(device: GroupDevice): readonly GroupStep[] {
  if (isBlockedEverywhere(device)) return [];
  const { group } = device;
  const steps: GroupStep[] = [{ kind: 'fence', device, domain: group.blockingDomain, ats: false }, ...atsSteps(device, false)];
  if (!device.blocked) steps.push({ kind: 'blocked', device, on: true });
  // An attach under way has given it a PASID that is not in the table yet.
  const pasids = new Set([...group.pasids.keys(), ...device.pasidPhysical.keys()]);
  for (const pasid of pasids) if (device.pasidsMax > 0) steps.push(movePasid(device, pasid, group.blockingDomain, true));
  return steps;
}

/** A done that is giving it its domains back has it blocked still. */
function isBlockedEverywhere({ blocked, physical, pasidPhysical, group }: GroupDevice): boolean {
  return blocked && physical === group.blockingDomain && [...pasidPhysical.values()].every((domain) => domain === group.blockingDomain);
}

/**
 * Afterwards: a quarantine that a successful reset ends. In an open window the window's end will be one. A prepare that is under way goes on, and one
 * that gives up leaves the function in quarantine.
 */
export function noteBroken(device: GroupDevice): void {
  if (device.resetDepth > 0) return;
  const { window } = device;
  device.broken = true;
  device.quarantined = true;
  if (window.at === 'open') device.window = { at: 'quarantined' };
  else if (window.at === 'draining' || window.at === 'aborting' || window.at === 'fencing')
    device.window = { ...window, from: 'quarantined' };
}

/** A done was giving one its domains back whose requester ID the function shares: it waits on, blocked in every context. */
export function noteWaitsOn(waiter: GroupDevice): void {
  waiter.quarantined = true;
  waiter.window = { at: 'quarantined' };
}

/** What a call had planned before the report, and the report overrules. */
export function isOverruled(step: GroupStep): boolean {
  switch (step.kind) {
    case 'rid':
    case 'atc-sent':
      return isShut(step.device);
    case 'pasid':
      return step.domain !== step.device.group.blockingDomain && isShut(step.device);
    case 'ats-enable':
      return step.on && isShut(step.device);
    case 'blocked':
      return !step.on && isShut(step.device);
    default:
      return false;
  }
}

function isShut(device: GroupDevice): boolean {
  return device.broken || waitsForBroken(device);
}
