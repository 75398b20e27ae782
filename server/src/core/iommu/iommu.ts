// long: the calls of one object, each a few lines
import { NO_PASID, OK, ModelError, formatBdf, type Bdf, type Errno, type Pasid, type StateFields } from '../base/index.ts';
import type { Translation } from '../translation/index.ts';
import { waitingFor } from './alias-siblings.ts';
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
import { chooseDefault, planDefault, type DefaultType } from './default-domain.ts';
import { mapDirect } from './direct-regions.ts';
import { readDirty, setDirtyTracking, type Cleared, type OnDirty } from './dirty-tracking.ts';
import type { HostWindow } from './dma-domain.ts';
import { atcFlush, atcInvalidations, flushIotlb, invalidateIotlb } from './domain-invalidation.ts';
import { DomainTable, type DomainChoice } from './domain-table.ts';
import { planCommit, planFence, planQuarantine, planRestore, type FencePolicy } from './fence.ts';
import type { Domain, DomainType, Group, GroupDevice, IommuEffect } from './group.ts';
import type { Isolation } from './isolation.ts';
import { performStep, refuseTranslated, type AttachPorts } from './low-level-attach.ts';
import {
  dropContexts,
  emptied,
  mapMissingDirect,
  noteBornBlocked,
  noteJoining,
  planBornBlocked,
  planJoin,
  planJoined,
  takeOut,
} from './membership.ts';
import { deviceOf, type ProbedFunction } from './probe.ts';
import { isOverruled, noteBroken, noteWaitsOn, planBroken } from './report-broken.ts';
import { reservedOf, type ReservedRegion } from './reserved-regions.ts';
import type { GroupStep, Performed, Plan } from './steps.ts';
import { tablesOf } from './tables-of.ts';

export interface IommuPorts {
  readonly translation: Translation;
  readonly policy: FencePolicy;
  /** What default domains are where no member insists on another (iommu.passthrough, iommu.strict). */
  readonly defaultType: DefaultType;
  /** Whether its driver has a blocked domain (iommu_ops.blocked_domain); without one an empty paging domain blocks. */
  readonly blockedDomain: boolean;
  readonly isolation: Isolation;
  readonly hostWindows: readonly HostWindow[];
  /** What every function has reserved for its interrupts. */
  readonly interruptRegion: ReservedRegion;
  /** Consumes an armed attach fault of the function. */
  attachFails(bdf: Bdf): boolean;
}

/** Groups, domains and attachments: the software core above the translation hardware, as `drivers/iommu/iommu.c` is. */
export class Iommu {
  readonly #ports: IommuPorts;
  readonly #attach: AttachPorts;
  readonly #fixed: Fixed;
  readonly #devices = new Map<Bdf, GroupDevice>();
  readonly #domains: DomainTable;
  readonly groups: Group[] = [];
  #nextGroup = 0;

  constructor(ports: IommuPorts) {
    this.#ports = ports;
    this.#domains = new DomainTable(ports.translation, ports.hostWindows);
    this.#fixed = (fix) => ports.policy.fixes.has(fix);
    this.#attach = {
      translation: ports.translation,
      attachFails: (device) => ports.attachFails(device.bdf),
    };
  }

  /**
   * Probes one group: its default domain is chosen and made, and every member is attached to it that does not defer. Where it cannot be allocated the
   * group has no domain at all (bus_iommu_probe goes on with the next), and its members no context. Throws {@link ModelError} EINVAL where the members
   * cannot agree on a default domain, and for a direct region that cannot be; ENOMEM where there is no room for their tables.
   */
  addGroup(functions: readonly ProbedFunction[]): readonly IommuEffect[] {
    const blockingDomain = this.#makeBlocking();
    const defaultDomain = functions.some((probed) => probed.noDefaultDomain) ? undefined : this.#firstDefault(functions);
    const group: Group = {
      id: this.#nextGroup++,
      members: [],
      defaultDomain,
      restDomain: defaultDomain ?? (this.#ports.policy.restsOnBlocking ? blockingDomain : undefined),
      blockingDomain,
      domain: defaultDomain,
      pasids: new Map(),
      recoveryCount: 0,
      owned: false,
    };
    this.groups.push(group);
    const effects: IommuEffect[] = [];
    for (const probed of functions) {
      const device = deviceOf(probed, group, this.#windowDomainOf(probed, blockingDomain), this.#reservedFor(probed));
      group.members.push(device);
      this.#devices.set(probed.bdf, device);
      if (defaultDomain !== undefined && !probed.deferAttach) effects.push(...this.#performAll([moveRid(device, defaultDomain, true)]));
    }
    return effects;
  }

  /**
   * A function that comes later joins a group that there is, with what the group has now. In `strict` it blocks while another member is in a window. Throws
   * {@link ModelError} as {@link addGroup} does.
   */
  join(group: Group, probed: ProbedFunction): readonly IommuEffect[] {
    const { defaultDomain, blockingDomain } = group;
    const device = deviceOf(probed, group, this.#windowDomainOf(probed, blockingDomain), this.#reservedFor(probed));
    if (defaultDomain?.type === 'paging') mapMissingDirect(tablesOf(defaultDomain), probed.directRegions);
    group.members.push(device);
    this.#devices.set(probed.bdf, device);
    const fenced = this.#ports.policy.fencesNewMembers && group.recoveryCount > 0;
    const effects = this.#performAll(planJoin(device, fenced));
    if (fenced) noteJoining(device);
    return effects;
  }

  /** Puts one that has just come into windows, of which there is at least one, as if it had been there when they were opened. */
  joinWindows(device: GroupDevice, windows: readonly string[]): readonly IommuEffect[] {
    const effects = this.#performAll(planBornBlocked(device));
    noteBornBlocked(device, windows);
    return effects;
  }

  /** The function is gone: its contexts point nowhere, and with its last member the group goes, and the domains that are the group's own. */
  remove(device: GroupDevice): void {
    const { group, windowDomain } = device;
    dropContexts(this.#ports.translation, device);
    takeOut(device);
    this.#devices.delete(device.bdf);
    if (windowDomain !== group.blockingDomain) this.#ports.translation.destroySpace(windowDomain.space);
    if (group.members.length > 0) return;
    emptied(group);
    this.groups.splice(this.groups.indexOf(group), 1);
    const own = new Set([group.defaultDomain, group.restDomain, group.blockingDomain]);
    for (const domain of own) if (domain !== undefined) this.#domains.release(domain, this.groups);
  }

  #firstDefault(functions: readonly ProbedFunction[]): Domain {
    const wishes = functions.map(({ wish }) => wish);
    const type = chooseDefault(wishes, undefined, this.#ports.defaultType);
    if (type === undefined) {
      const names = wishes.filter(({ untrusted, wants }) => untrusted || wants === 'identity').map(({ bdf }) => formatBdf(bdf));
      throw new ModelError(
        'EINVAL',
        `${names.join(' and ')} cannot be probed: one is untrusted, and one has to be identity`,
        'defaultDomain',
      );
    }
    return this.#domains.makeDefault(
      type,
      functions.map((probed) => ({ ...probed, reservedRegions: this.#reservedFor(probed) })),
    );
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

  /** Those that hosts may name, in the order of their numbers. */
  domainsByNumber(): readonly Domain[] {
    return this.#domains.all();
  }

  /** -ENOMEM as undefined when {@link DOMAINS_MAX} are in use. Throws {@link ModelError} for tables that cannot be. */
  allocDomain(type: DomainType, choice: DomainChoice): Domain | undefined {
    return this.#domains.isFull ? undefined : this.#domains.make(type, choice);
  }

  /** -ENOENT for none, -EBUSY while anything rests on it (a group, a PASID, a nested domain) or a call is at work on it. */
  freeDomain(id: number): Errno {
    return this.#domains.free(id, this.groups);
  }

  /**
   * What a group's default domain would be: the one that it has where that is identity already. -EINVAL where the members do not agree, -ENOMEM when
   * {@link DOMAINS_MAX} are in use. `asked` undefined: as it is chosen when a group is probed.
   */
  allocDefault({ members, defaultDomain }: Group, asked: DefaultType | undefined): Domain | 'EINVAL' | 'ENOMEM' {
    const wishes = members.map(({ wish }) => wish);
    const type = chooseDefault(wishes, asked, this.#ports.defaultType);
    if (type === undefined) return 'EINVAL';
    if (type === 'identity' && defaultDomain?.type === 'identity') return defaultDomain;
    return this.#domains.isFull ? 'ENOMEM' : this.#domains.makeDefault(type, members);
  }

  planAttach(device: GroupDevice, domain: Domain): Plan {
    return planAttach(device.group, domain);
  }
  planDetach(device: GroupDevice): Plan {
    return planDetach(device.group, this.#fixed);
  }
  planDefault(device: GroupDevice, fresh: Domain): Plan {
    return planDefault(device.group, fresh);
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
  /** Of one of {@link releasedBy}: one that came in the meantime has no PASIDs to be given back. */
  planReleased(device: GroupDevice): readonly GroupStep[] {
    return device.waitsForAlias ? this.planRestore(device) : planJoined(device);
  }

  /** Does one step of a plan. */
  perform(step: GroupStep): Performed {
    return isOverruled(step) ? { error: OK, effects: [], steps: [] } : performStep(this.#attach, step);
  }

  /** iommu_report_device_broken(): see report-broken.ts. Nothing where the function is blocked in every context already. */
  reportBroken(device: GroupDevice): readonly IommuEffect[] {
    const effects = [...this.#performAll(planBroken(device))];
    noteBroken(device);
    for (const waiter of waitingFor(device)) {
      effects.push(...this.#performAll(planBroken(waiter)));
      noteWaitsOn(waiter);
    }
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

  state(fields: StateFields): void {
    fields.keep('devices', this.#devices);
    fields.keep('domains', this.#domains);
    fields.keep('groups', this.groups);
    this.#nextGroup = fields.field('nextGroup', this.#nextGroup);
  }

  /** __iommu_group_alloc_blocking_domain(). */
  #makeBlocking(): Domain {
    return this.#ports.blockedDomain ? this.#domains.make('blocked') : this.#domains.makeOwn();
  }

  #reservedFor({ bdf, directRegions, reservedRegions }: ProbedFunction): readonly ReservedRegion[] {
    return reservedOf(bdf, directRegions, reservedRegions, this.#ports.interruptRegion);
  }

  #windowDomainOf(probed: ProbedFunction, blockingDomain: Domain): Domain {
    if (this.#ports.isolation === 'blocked') return blockingDomain;
    const domain = this.#domains.makeOwn();
    mapDirect(tablesOf(domain), [probed]);
    return domain;
  }
}
