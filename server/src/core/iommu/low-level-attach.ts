/**
 * What each step does, with no policy: what __iommu_group_set_domain() and its PASID sisters do below the rules. Every move goes on with the
 * settling and the ATC invalidation that make the old domain's translations unusable.
 */
import { NO_PASID, OK, errno, type Errno, type Pasid } from '../base/index.ts';
import type { Translation } from '../translation/index.ts';
import type { Domain, GroupDevice, IommuEffect } from './group.ts';
import type { GroupStep, Performed, Refused } from './steps.ts';

/** What the hardware below may do to a move. */
export interface AttachPorts {
  readonly translation: Translation;
  /** An armed fault: the hardware refuses this function's next context change. */
  attachFails(device: GroupDevice): boolean;
}

export function performStep(ports: AttachPorts, step: GroupStep): Performed {
  switch (step.kind) {
    case 'rid':
      if (!step.must && ports.attachFails(step.device)) return refusal(step.device, step.refused);
      return went(moveRid(ports, step.device, step.domain));
    case 'pasid':
      if (!step.must && step.domain !== undefined && ports.attachFails(step.device)) return refusal(step.device, step.refused);
      return went(movePasid(ports, step.device, step.pasid, step.domain));
    case 'fence':
      // A report has come between the plan and this: the function has no window to be open in.
      if (step.device.broken) return went(fence(ports, step.device, step.device.group.blockingDomain, false));
      return went(fence(ports, step.device, step.domain, step.ats));
    case 'park':
      return went(park(ports, step.device));
    case 'iotlb':
      return did(step.spaces.map((space) => ({ kind: 'settle', device: step.device, space })));
    case 'atc-sent':
      step.device.leaving = step.device.leaving.filter(({ pasid, domain }) => pasid !== step.pasid || !step.spaces.includes(domain.space));
      return did([invalidateAll(step.device, step.pasid, step.spaces)]);
    case 'whole-atc-sent':
      step.device.leaving = [];
      step.device.atcFenced = true;
      return did(step.spaces.length > 0 && !step.device.broken ? [invalidateAll(step.device, NO_PASID, step.spaces)] : []);
    case 'ats-enable':
      return did(setAtsEnable(step.device, step.on));
    case 'blocked':
      step.device.blocked = step.on;
      if (step.on) step.device.quarantined = false;
      else step.device.atcFenced = false;
      return did([]);
    case 'group-domain':
      step.group.domain = step.domain;
      return did([]);
    case 'default-domain':
      step.group.defaultDomain = step.domain;
      step.group.restDomain = step.domain;
      return did([]);
    case 'pasid-table':
      if (step.domain === undefined) step.group.pasids.delete(step.pasid);
      else step.group.pasids.set(step.pasid, step.domain);
      return did([]);
    case 'owner':
      step.group.owned = step.owned;
      return did([]);
    case 'warning':
      return did([step]);
  }
}

function moveRid(ports: AttachPorts, device: GroupDevice, domain: Domain): readonly GroupStep[] {
  const old = device.physical;
  const ats = domain.type === 'paging' && domain !== device.group.blockingDomain && device.atsWanted;
  device.physical = domain;
  device.translatedRefused = false;
  device.attachDeferred = false;
  device.atcFenced = false;
  setRidContexts(ports.translation, device, domain, ats);
  const steps = old === domain ? [] : leave(device, NO_PASID, old);
  return [...steps, ...atsSteps(device, ats || atsInUseByPasid(device))];
}

function movePasid(ports: AttachPorts, device: GroupDevice, pasid: Pasid, domain: Domain | undefined): readonly GroupStep[] {
  const old = device.pasidPhysical.get(pasid);
  const ats = domain?.type === 'paging' && device.atsWanted && !device.blocked;
  ports.translation.setContext(device.bdf, pasid, domain?.space, ats);
  if (domain === undefined) device.pasidPhysical.delete(pasid);
  else device.pasidPhysical.set(pasid, domain);
  const steps = old === undefined || old === domain ? [] : leave(device, pasid, old);
  return ats ? [...steps, ...atsSteps(device, true)] : steps;
}

/** The RID alone, and no translation request of any PASID from now on: the PASIDs are moved when the ATC is known to be empty. */
function fence(ports: AttachPorts, device: GroupDevice, domain: Domain, ats: boolean): readonly GroupStep[] {
  const old = device.physical;
  device.physical = domain;
  // Linux does not move a RID whose group rests on blocking, and then leaves the deferral.
  if (device.group.domain !== device.group.blockingDomain) device.attachDeferred = false;
  setRidContexts(ports.translation, device, domain, false);
  for (const [pasid, held] of device.pasidPhysical) ports.translation.setContext(device.bdf, pasid, held.space, false);
  const spaces = [old.space, ...[...device.pasidPhysical.values()].map((held) => held.space)];
  if (ats) device.leaving = [...device.leaving, { pasid: NO_PASID, domain: old }];
  return [
    { kind: 'iotlb', device, spaces },
    { kind: 'whole-atc-sent', device, spaces: ats ? spaces : [] },
  ];
}

/** Its ATC is empty and ATS is off: only what is in flight is to be awaited. */
function park(ports: AttachPorts, device: GroupDevice): readonly GroupStep[] {
  const { blockingDomain } = device.group;
  const { space } = device.physical;
  device.physical = blockingDomain;
  setRidContexts(ports.translation, device, blockingDomain, false);
  return [{ kind: 'iotlb', device, spaces: [space] }];
}

/** In `strict`, after a timeout: the function's translated requests are refused in every context it has. */
export function refuseTranslated(translation: Translation, device: GroupDevice): void {
  device.translatedRefused = true;
  setRidContexts(translation, device, device.physical, false);
  for (const [pasid, domain] of device.pasidPhysical) translation.setContext(device.bdf, pasid, domain.space, false);
}

/**
 * Without PASID: of its own requester ID and of each other one that its requests may bear. Translation requests come under these from the
 * function alone whose own ID it is.
 */
function setRidContexts(translation: Translation, device: GroupDevice, domain: Domain, ats: boolean): void {
  translation.setContext(device.bdf, NO_PASID, domain.space, ats);
  for (const alias of device.dmaAliases) {
    const owner = device.group.members.find((member) => member.bdf === alias);
    const keeps = owner?.physical === domain && owner.atsEnabled && !owner.translatedRefused;
    translation.setContext(alias, NO_PASID, domain.space, keeps);
  }
}

/** The step that sets ATS Enable so, where it is not. */
export function atsSteps(device: GroupDevice, on: boolean): readonly GroupStep[] {
  return device.atsSupported && device.atsWanted && device.atsEnabled !== on ? [{ kind: 'ats-enable', device, on }] : [];
}

function setAtsEnable(device: GroupDevice, on: boolean): readonly IommuEffect[] {
  if (!device.atsSupported || !device.atsWanted || device.atsEnabled === on) return [];
  device.atsEnabled = on;
  return [{ kind: 'ats-enable', device, on }];
}

/** The function may hold translations of the space until its ATC invalidation has been sent: whoever unmaps there meanwhile must know it. */
function leave(device: GroupDevice, pasid: Pasid, domain: Domain): GroupStep[] {
  const { space } = domain;
  if (space.type === 'blocked') return [];
  const steps: GroupStep[] = [{ kind: 'iotlb', device, spaces: [space] }];
  // A function that is blocked has had its whole ATC invalidated.
  if (device.atsEnabled && !device.blocked && space.type === 'paging') {
    device.leaving = [...device.leaving, { pasid, domain }];
    steps.push({ kind: 'atc-sent', device, pasid, spaces: [space] });
  }
  return steps;
}

function invalidateAll(device: GroupDevice, pasid: Pasid, spaces: Extract<GroupStep, { kind: 'atc-sent' }>['spaces']): IommuEffect {
  return { kind: 'invalidate', device, pasid, firstPage: 0, pages: Infinity, spaces };
}

function atsInUseByPasid(device: GroupDevice): boolean {
  for (const domain of device.pasidPhysical.values()) if (domain.type === 'paging') return true;
  return false;
}

function refusal(device: GroupDevice, refused: Refused | undefined): Performed {
  const error: Errno = refused?.goesOn === true ? OK : errno('EIO');
  const warning = refused?.warning;
  return { error, effects: warning === undefined ? [] : [{ kind: 'warning', device, text: warning }], steps: refused?.steps ?? [] };
}

function went(steps: readonly GroupStep[]): Performed {
  return { error: OK, effects: [], steps };
}

function did(effects: readonly IommuEffect[]): Performed {
  return { error: OK, effects, steps: [] };
}
