import { NO_PASID, OK, errno, ModelError, type Bdf, type Errno, type Pasid } from '../base/index.ts';
import type { AddressSpace, TablesChoice, Translation } from '../translation/index.ts';
import {
  moveRid,
  planAttach,
  planAttachPasid,
  planClaim,
  planDeferredAttach,
  planDetach,
  planDetachPasid,
  planRelease,
  type Fixed,
} from './attach.ts';
import { mapDirect } from './direct-regions.ts';
import { readDirty, setDirtyTracking, type Cleared, type OnDirty } from './dirty-tracking.ts';
import { dmaDomain, type HostWindow } from './dma-domain.ts';
import { atcFlush, atcInvalidations, flushIotlb, invalidateIotlb } from './domain-invalidation.ts';
import { planCommit, planFence, planQuarantine, planRestore, type FencePolicy } from './fence.ts';
import type { Domain, DomainType, Group, GroupDevice, IommuEffect } from './group.ts';
import type { Isolation } from './isolation.ts';
import { performStep, refuseTranslated, type AttachPorts } from './low-level-attach.ts';
import { deviceOf, type ProbedFunction } from './probe.ts';
import { isOverruled, noteBroken, planBroken } from './report-broken.ts';
import { reservedOf } from './reserved-regions.ts';
import type { GroupStep, Performed, Plan } from './steps.ts';

export interface IommuPorts {
  readonly translation: Translation;
  readonly policy: FencePolicy;
  /** Default domains are lazy (iommu.strict=0). */
  readonly lazy: boolean;
  /** Whether its driver has a blocked domain (iommu_ops.blocked_domain); without one an empty paging domain blocks. */
  readonly blockedDomain: boolean;
  readonly isolation: Isolation;
  readonly hostWindows: readonly HostWindow[];
  /** Consumes an armed attach fault of the function. */
  attachFails(bdf: Bdf): boolean;
}

/** How many domains one machine may have: each costs a table page and an IOTLB tag. */
export const DOMAINS_MAX = 4096;

/** Groups, domains and attachments: the software core above the translation hardware, as `drivers/iommu/iommu.c` is. */
export class Iommu {
  readonly #ports: IommuPorts;
  readonly #attach: AttachPorts;
  readonly #fixed: Fixed;
  readonly #devices = new Map<Bdf, GroupDevice>();
  readonly #domains = new Map<number, Domain>();
  readonly groups: Group[] = [];
  #nextDomain = 1;

  constructor(ports: IommuPorts) {
    this.#ports = ports;
    this.#fixed = (fix) => ports.policy.fixes.has(fix);
    this.#attach = {
      translation: ports.translation,
      attachFails: (device) => ports.attachFails(device.bdf),
    };
  }

  /**
   * Probes one group: its default domain is a paging domain of its own with the direct regions in it, and every member is attached to it that does
   * not defer. Where it cannot be allocated the group has no domain at all (bus_iommu_probe goes on with the next), and its members no context. Throws
   * {@link ModelError} EINVAL for a direct region that cannot be, ENOMEM where there is no room for their tables.
   */
  addGroup(functions: readonly ProbedFunction[]): readonly IommuEffect[] {
    const blockingDomain = this.#makeBlocking();
    const defaultDomain = functions.some((probed) => probed.noDefaultDomain) ? undefined : this.#makeDomain('paging', false);
    const group: Group = {
      id: this.groups.length,
      members: [],
      defaultDomain,
      restDomain: defaultDomain ?? (this.#ports.policy.restsOnBlocking ? blockingDomain : undefined),
      blockingDomain,
      domain: defaultDomain,
      pasids: new Map(),
      recoveryCount: 0,
      owned: false,
    };
    const reserved = functions.map((probed) => reservedOf(probed.bdf, probed.directRegions, probed.reservedRegions));
    if (defaultDomain !== undefined) {
      mapDirect(tablesOf(defaultDomain), functions);
      defaultDomain.dma = dmaDomain(this.#ports.lazy, reserved.flat(), this.#ports.hostWindows);
    }
    this.groups.push(group);
    const effects: IommuEffect[] = [];
    for (const [at, probed] of functions.entries()) {
      const device = deviceOf(probed, group, this.#windowDomainOf(probed, blockingDomain), reserved[at]!);
      group.members.push(device);
      this.#devices.set(probed.bdf, device);
      if (defaultDomain !== undefined && !probed.deferAttach) effects.push(...this.#performAll([moveRid(device, defaultDomain, true)]));
    }
    return effects;
  }

  /** Steps with all that follows from them, at once: nothing goes on between them. */
  #performAll(first: readonly GroupStep[]): readonly IommuEffect[] {
    const effects: IommuEffect[] = [];
    const steps = [...first];
    for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
      const performed = this.perform(step);
      effects.push(...performed.effects);
      steps.unshift(...performed.steps);
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

  /**
   * -ENOMEM as undefined when {@link DOMAINS_MAX} are in use. `parent`: the second stage of a nested domain. `faults`: page requests in it become page
   * faults. Throws {@link ModelError} for tables that cannot be, as {@link TablesChoice} has it.
   */
  allocDomain(type: DomainType, sharedAddress: boolean, tables?: TablesChoice, parent?: Domain, faults = false): Domain | undefined {
    return this.#domains.size >= DOMAINS_MAX ? undefined : this.#makeDomain(type, sharedAddress, tables, parent, faults);
  }

  /** -ENOENT for none, -EBUSY while anything rests on it (a group, a PASID, a nested domain) or a call is at work on it. */
  freeDomain(id: number): Errno {
    const domain = this.#domains.get(id);
    if (domain === undefined) return errno('ENOENT');
    if (domain.pins > 0 || domain.nested.size > 0 || this.groups.some((group) => usesDomain(group, domain))) return errno('EBUSY');
    this.#domains.delete(id);
    domain.parent?.nested.delete(domain);
    this.#ports.translation.destroySpace(domain.space);
    return OK;
  }

  planAttach(device: GroupDevice, domain: Domain): Plan {
    return planAttach(device.group, domain);
  }
  planDetach(device: GroupDevice): Plan {
    return planDetach(device.group, this.#fixed);
  }
  planDeferredAttach(device: GroupDevice): Plan {
    return planDeferredAttach(device, this.#ports.policy.looksAgain, this.#fixed);
  }
  planClaim(device: GroupDevice): Plan {
    return planClaim(device.group);
  }
  planRelease(device: GroupDevice): Plan {
    return planRelease(device.group, this.#fixed);
  }
  planAttachPasid(device: GroupDevice, pasid: Pasid, domain: Domain, replace: boolean): Plan {
    return planAttachPasid(device.group, pasid, domain, replace);
  }
  planDetachPasid(device: GroupDevice, pasid: Pasid): Plan {
    return planDetachPasid(device.group, pasid, this.#fixed);
  }
  planFence(device: GroupDevice): Plan {
    return planFence(this.#attach, device, this.#ports.policy);
  }
  planCommit(device: GroupDevice): readonly GroupStep[] {
    return planCommit(device);
  }
  planQuarantine(device: GroupDevice): readonly GroupStep[] {
    return planQuarantine(device);
  }
  planRestore(device: GroupDevice): readonly GroupStep[] {
    return planRestore(device, this.#ports.policy);
  }

  /** Does one step of a plan. */
  perform(step: GroupStep): Performed {
    return isOverruled(step) ? { error: OK, effects: [], steps: [] } : performStep(this.#attach, step);
  }

  /** iommu_report_device_broken(): see report-broken.ts. Nothing where the function is blocked in every context already. */
  reportBroken(device: GroupDevice): readonly IommuEffect[] {
    const effects = this.#performAll(planBroken(device));
    noteBroken(device);
    return effects;
  }

  /** An Invalidate Request of the function timed out; what it may still hold is not to be trusted. */
  refuseTranslated(device: GroupDevice): void {
    refuseTranslated(this.#ports.translation, device);
  }

  /** iommu_get_domain_for_dev(): the logical domain. With a PASID, the group's entry for it. */
  logicalDomain(device: GroupDevice, pasid: Pasid = NO_PASID): Domain | undefined {
    return pasid === NO_PASID ? device.group.domain : device.group.pasids.get(pasid);
  }

  /** iommu_unmap(), first part: the tables no longer have the range. Bytes undone. */
  unmap(domain: Domain, iova: bigint, bytes: bigint): bigint {
    return tablesOf(domain).unmap(iova, bytes);
  }

  /** Second part: neither has the IOTLB. */
  invalidateIotlb(domain: Domain, iova: bigint, bytes: bigint): void {
    invalidateIotlb(this.#ports.translation, domain, iova, bytes);
  }

  /**
   * Third part: the Invalidate Requests to be sent, and awaited before the pages may be reused. Those of functions that have left the domain, or are
   * fenced, have been sent as far as they are needed: the caller's to await, as are requests in flight that were translated before.
   */
  atcInvalidations(domain: Domain, iova: bigint, bytes: bigint): readonly IommuEffect[] {
    return atcInvalidations(this.#devices.values(), domain, iova, bytes);
  }

  /** The second and third part for the whole domain (flush_iotlb_all). */
  flushIotlb(domain: Domain): void {
    flushIotlb(this.#ports.translation, domain);
  }
  atcFlush(domain: Domain): readonly IommuEffect[] {
    return atcFlush(this.#devices.values(), domain);
  }

  /** iommu_dirty_ops.set_dirty_tracking(); undefined where the domain was not made for it, as for {@link readDirty}. */
  setDirtyTracking(domain: Domain, on: boolean): Cleared | undefined {
    return setDirtyTracking(domain, on, (cleared, iova, bytes) => this.#invalidate(cleared, iova, bytes));
  }
  readDirty(domain: Domain, iova: bigint, bytes: bigint, clear: boolean, onDirty: OnDirty): Cleared | undefined {
    return readDirty(domain, { iova, bytes, clear }, onDirty, (cleared, from, size) => this.#invalidate(cleared, from, size));
  }

  #invalidate(domain: Domain, iova: bigint, bytes: bigint): readonly IommuEffect[] {
    this.invalidateIotlb(domain, iova, bytes);
    return this.atcInvalidations(domain, iova, bytes);
  }

  /** __iommu_group_alloc_blocking_domain(). */
  #makeBlocking(): Domain {
    return this.#ports.blockedDomain ? this.#makeDomain('blocked', false) : this.#makeOwn();
  }

  #windowDomainOf(probed: ProbedFunction, blockingDomain: Domain): Domain {
    if (this.#ports.isolation === 'blocked') return blockingDomain;
    const domain = this.#makeOwn();
    mapDirect(tablesOf(domain), [probed]);
    return domain;
  }

  /** A paging domain that is nobody's to map in: hosts know no such number. */
  #makeOwn(): Domain {
    const domain = this.#makeDomain('paging', false);
    this.#domains.delete(domain.id);
    return domain;
  }

  #makeDomain(type: DomainType, sharedAddress: boolean, tables?: TablesChoice, parent?: Domain, faults = false): Domain {
    const space = this.#ports.translation.createSpace(type, { ...tables, parent: parent?.space });
    const capable = type === 'paging' && (faults || sharedAddress);
    const domain: Domain = {
      id: this.#nextDomain++,
      type,
      sharedAddress,
      faults: capable,
      space,
      pins: 0,
      parent,
      nested: new Set(),
      dma: undefined,
      guestTables: tables?.root !== undefined,
      ioas: undefined,
      auto: false,
    };
    this.#domains.set(domain.id, domain);
    parent?.nested.add(domain);
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

function usesDomain(group: Group, domain: Domain): boolean {
  if (group.domain === domain || group.defaultDomain === domain || group.blockingDomain === domain) return true;
  for (const attached of group.pasids.values()) if (attached === domain) return true;
  return group.members.some((device) => device.physical === domain || [...device.pasidPhysical.values()].includes(domain));
}
