import {
  NO_PASID,
  OK,
  assert,
  errno,
  errorName,
  formatBdf,
  ModelError,
  pageOf,
  type Bdf,
  type Errno,
  type Pasid,
  PAGE_BYTES,
} from '../base/index.ts';
import type { AddressSpace, TablesChoice, Translation } from '../translation/index.ts';
import { attachGroup, attachGroupPasid, claimOwner, deferredAttach, detachGroup, detachGroupPasid, releaseOwner } from './attach.ts';
import { mapDirect, type DirectRegion } from './direct-regions.ts';
import { commit, fence, restore, startFence, type FencePolicy } from './fence.ts';
import type { Change, Domain, DomainType, Group, GroupDevice, IommuEffect } from './group.ts';
import { attachRid, refuseTranslated, type AttachPorts } from './low-level-attach.ts';

/** What the IOMMU core is told of a function when it is probed. */
export interface ProbedFunction {
  readonly bdf: Bdf;
  readonly pasidsMax: number;
  readonly atsSupported: boolean;
  readonly atsWanted: boolean;
  readonly invalidateQueueDepth: number;
  /** Memory that firmware uses through the function: mapped 1:1 in the default domain. */
  readonly directRegions: readonly DirectRegion[];
  /** The function keeps the context that firmware left, which is none, until its driver's first use. */
  readonly deferAttach: boolean;
}

export interface IommuPorts {
  readonly translation: Translation;
  readonly policy: FencePolicy;
  /** Consumes an armed attach fault of the function. */
  attachFails(bdf: Bdf): boolean;
}

/** How many domains one machine may have: each costs a table page and an IOTLB tag. */
export const DOMAINS_MAX = 4096;

/** Groups, domains and attachments: the software core above the translation hardware, as `drivers/iommu/iommu.c` is. */
export class Iommu {
  readonly #ports: IommuPorts;
  readonly #attach: AttachPorts;
  readonly #devices = new Map<Bdf, GroupDevice>();
  readonly #domains = new Map<number, Domain>();
  readonly groups: Group[] = [];
  #nextDomain = 1;

  constructor(ports: IommuPorts) {
    this.#ports = ports;
    this.#attach = {
      translation: ports.translation,
      fixed: (fix) => ports.policy.fixes.has(fix),
      attachFails: (device) => ports.attachFails(device.bdf),
    };
  }

  /**
   * Probes one group: its default domain is a paging domain of its own with the direct regions in it, and every member is attached to it that does
   * not defer. Throws {@link ModelError} EINVAL for a direct region that cannot be, ENOMEM where there is no room for their tables.
   */
  addGroup(functions: readonly ProbedFunction[]): readonly IommuEffect[] {
    const blockingDomain = this.#makeDomain('blocked', false);
    const defaultDomain = this.#makeDomain('paging', false);
    const group: Group = {
      id: this.groups.length,
      members: [],
      defaultDomain,
      blockingDomain,
      domain: defaultDomain,
      pasids: new Map(),
      recoveryCount: 0,
      owned: false,
    };
    mapDirect(tablesOf(defaultDomain), functions);
    this.groups.push(group);
    const effects: IommuEffect[] = [];
    for (const probed of functions) {
      const { bdf, pasidsMax, atsSupported, atsWanted, invalidateQueueDepth, directRegions, deferAttach } = probed;
      const device: GroupDevice = {
        bdf,
        pasidsMax,
        atsSupported,
        atsWanted,
        invalidateQueueDepth,
        requireDirect: directRegions.some((region) => !region.relaxable),
        attachDeferred: deferAttach,
        group,
        physical: blockingDomain,
        pasidPhysical: new Map(),
        atsEnabled: false,
        translatedRefused: false,
        blocked: false,
        quarantined: false,
        resetDepth: 0,
        window: { at: 'open' },
        windows: [],
      };
      group.members.push(device);
      this.#devices.set(probed.bdf, device);
      const error = deferAttach ? OK : attachRid(this.#attach, device, defaultDomain, effects);
      assert(error === OK, `probe of ${formatBdf(probed.bdf)} could not attach its default domain`);
    }
    return effects;
  }

  device(bdf: Bdf): GroupDevice | undefined {
    return this.#devices.get(bdf);
  }

  devices(): IterableIterator<GroupDevice> {
    return this.#devices.values();
  }

  domain(id: number): Domain | undefined {
    return this.#domains.get(id);
  }

  /** -ENOMEM as undefined when {@link DOMAINS_MAX} are in use. Throws {@link ModelError} EINVAL for tables that cannot be. */
  allocDomain(type: DomainType, sharedAddress: boolean, tables?: TablesChoice): Domain | undefined {
    return this.#domains.size >= DOMAINS_MAX ? undefined : this.#makeDomain(type, sharedAddress, tables);
  }

  /** -ENOENT for none, -EBUSY while anything rests on it. */
  freeDomain(id: number): Errno {
    const domain = this.#domains.get(id);
    if (domain === undefined) return errno('ENOENT');
    if (this.groups.some((group) => usesDomain(group, domain))) return errno('EBUSY');
    this.#domains.delete(id);
    this.#ports.translation.destroySpace(domain.space);
    return OK;
  }

  attach(device: GroupDevice, domain: Domain): Change {
    return attachGroup(this.#attach, device.group, domain);
  }
  detach(device: GroupDevice): Change {
    return detachGroup(this.#attach, device.group);
  }
  deferredAttach(device: GroupDevice): Change {
    return deferredAttach(this.#attach, device);
  }
  claim(device: GroupDevice): Change {
    return claimOwner(this.#attach, device.group);
  }
  release(device: GroupDevice): Change {
    return releaseOwner(this.#attach, device.group);
  }
  attachPasid(device: GroupDevice, pasid: Pasid, domain: Domain, replace: boolean): Change {
    return attachGroupPasid(this.#attach, device.group, pasid, domain, replace);
  }
  detachPasid(device: GroupDevice, pasid: Pasid): Change {
    return detachGroupPasid(this.#attach, device.group, pasid);
  }

  startFence(device: GroupDevice): Change {
    return startFence(this.#attach, device, this.#ports.policy);
  }
  fence(device: GroupDevice, ats: boolean): readonly IommuEffect[] {
    return fence(this.#attach, device, ats);
  }
  commit(device: GroupDevice): readonly IommuEffect[] {
    return commit(this.#attach, device);
  }
  restore(device: GroupDevice): Change {
    return restore(this.#attach, device, this.#ports.policy);
  }

  /** An Invalidate Request of the function timed out; what it may still hold is not to be trusted. */
  refuseTranslated(device: GroupDevice): void {
    refuseTranslated(this.#ports.translation, device);
  }

  /** iommu_get_domain_for_dev(): the logical domain. With a PASID, the group's entry for it. */
  logicalDomain(device: GroupDevice, pasid: Pasid = NO_PASID): Domain | undefined {
    return pasid === NO_PASID ? device.group.domain : device.group.pasids.get(pasid);
  }

  /**
   * iommu_unmap() with its IOTLB invalidation: bytes undone, and the Invalidate Requests to be sent and awaited before the pages may be reused.
   * Those of functions that are leaving the domain are on their way already: the caller's to await, as are requests in flight that were
   * translated before.
   */
  unmap(domain: Domain, iova: bigint, bytes: bigint): { readonly bytes: bigint; readonly effects: readonly IommuEffect[] } {
    const undone = tablesOf(domain).unmap(iova, bytes);
    if (undone === 0n) return { bytes: 0n, effects: [] };
    this.#ports.translation.invalidateRange(domain.space, iova, undone);
    const firstPage = pageOf(iova);
    const pages = pageOf(undone + BigInt(PAGE_BYTES) - 1n);
    const effects: IommuEffect[] = [];
    for (const { device, pasid } of this.#attachments(domain)) {
      if (!device.atsEnabled || device.blocked) continue;
      // The fence has asked for the whole ATC already, and what prepare awaits must not grow behind it (invariant 16).
      if (device.window.at === 'fencing') continue;
      effects.push({ kind: 'invalidate', device, pasid, firstPage, pages, spaces: [domain.space] });
    }
    return { bytes: undone, effects };
  }

  /** Who may hold translations of the domain: contexts that point at it, RIDs before PASIDs, in probe order. */
  *#attachments(domain: Domain): Generator<{ device: GroupDevice; pasid: Pasid }> {
    for (const device of this.#devices.values()) {
      if (device.physical === domain) yield { device, pasid: NO_PASID };
      for (const [pasid, attached] of device.pasidPhysical) if (attached === domain) yield { device, pasid };
    }
  }

  #makeDomain(type: DomainType, sharedAddress: boolean, tables?: TablesChoice): Domain {
    const space: AddressSpace = this.#ports.translation.createSpace(type, tables);
    const domain: Domain = { id: this.#nextDomain++, type, sharedAddress, space };
    this.#domains.set(domain.id, domain);
    return domain;
  }
}

/** The tables of a paging domain; another type is EINVAL. */
export function tablesOf(domain: Domain): NonNullable<AddressSpace['tables']> {
  if (domain.space.tables === undefined) {
    throw new ModelError('EINVAL', `domain ${domain.id} is ${domain.type}; only a paging domain has mappings`, 'domain');
  }
  return domain.space.tables;
}

/** The sentence that goes with a refusal of the IOMMU core. */
export function refusalText(error: Errno, group: Group, doing: string): string {
  const name = errorName(error);
  if (name === 'EBUSY' && group.recoveryCount > 0) {
    const blocked = group.members.filter((device) => device.blocked).map((device) => formatBdf(device.bdf));
    return `${doing}: group ${group.id} has ${blocked.join(', ')} in a reset window; try again after reset-done`;
  }
  return `${doing}: ${name} from group ${group.id}`;
}

function usesDomain(group: Group, domain: Domain): boolean {
  if (group.domain === domain || group.defaultDomain === domain || group.blockingDomain === domain) return true;
  for (const attached of group.pasids.values()) if (attached === domain) return true;
  return group.members.some((device) => device.physical === domain || [...device.pasidPhysical.values()].includes(domain));
}
