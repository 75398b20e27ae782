/**
 * iommu_report_device_broken() as proposed for Linux ("Quarantine device upon ATC invalidation timeout"): what finds that a function no longer behaves
 * says so, and the function is blocked at once, with no window and no help of its own.
 */
import { movePasid } from './attach.ts';
import type { GroupDevice, IommuEffect } from './group.ts';
import { atsSteps, performStep, type AttachPorts } from './low-level-attach.ts';
import type { GroupStep } from './steps.ts';

/**
 * Blocks the function in every context, as a quarantine that a successful reset ends. A function in a window, or reported before, is blocked already. It
 * is asked to invalidate nothing: its translated requests are refused from now on, whatever its ATC holds. It takes no mutex: a call on the group that is
 * between two steps goes on, and moves this function no more.
 */
export function reportBroken(ports: AttachPorts, device: GroupDevice): readonly IommuEffect[] {
  if (device.blocked) return [];
  const steps: GroupStep[] = [{ kind: 'fence', device, ats: false }, ...atsSteps(device, false), { kind: 'blocked', device, on: true }];
  for (const pasid of device.pasidsMax > 0 ? device.group.pasids.keys() : []) {
    steps.push(movePasid(device, pasid, device.group.blockingDomain, true));
  }
  const effects: IommuEffect[] = [];
  for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
    const performed = performStep(ports, step);
    effects.push(...performed.effects);
    steps.unshift(...performed.steps);
  }
  device.quarantined = true;
  // A prepare that is under way goes on, and one that gives up leaves the function in quarantine.
  const { window } = device;
  if (window.at === 'open') device.window = { at: 'quarantined' };
  else if (window.at === 'draining' || window.at === 'aborting' || window.at === 'fencing')
    device.window = { ...window, from: 'quarantined' };
  return effects;
}
