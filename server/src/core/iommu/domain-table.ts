/** The domains of a machine: by number those that a host may name, and those that are nobody's to map in. */
import { OK, errno, type Errno, type StateFields } from '../base/index.ts';
import type { TablesChoice, Translation } from '../translation/index.ts';
import type { DefaultType } from './default-domain.ts';
import { mapDirect, type DirectRegion } from './direct-regions.ts';
import { dmaDomain, type HostWindow } from './dma-domain.ts';
import type { DefaultWish, Domain, DomainType, Group } from './group.ts';
import type { ReservedRegion } from './reserved-regions.ts';
import { tablesOf } from './tables-of.ts';

/** How many domains one machine may have: each costs a table page and an IOTLB tag. */
export const DOMAINS_MAX = 4096;

/** What a domain is made of, besides its type. */
export interface DomainChoice {
  /** A process's own address space (SVA). */
  readonly sharedAddress?: boolean;
  readonly tables?: TablesChoice | undefined;
  /** The second stage of a nested domain. */
  readonly parent?: Domain | undefined;
  /** Page requests in it become page faults. */
  readonly faults?: boolean | undefined;
}

/** A member of a group whose default domain is made. */
export interface DefaultMember {
  readonly directRegions: readonly DirectRegion[];
  readonly reservedRegions: readonly ReservedRegion[];
  readonly wish: DefaultWish;
}

export class DomainTable {
  readonly #translation: Translation;
  readonly #hostWindows: readonly HostWindow[];
  readonly #domains = new Map<number, Domain>();
  #next = 1;

  constructor(translation: Translation, hostWindows: readonly HostWindow[]) {
    this.#translation = translation;
    this.#hostWindows = hostWindows;
  }

  get(id: number): Domain | undefined {
    return this.#domains.get(id);
  }

  all(): readonly Domain[] {
    return [...this.#domains.values()];
  }

  get isFull(): boolean {
    return this.#domains.size >= DOMAINS_MAX;
  }

  /** Throws {@link ModelError} for tables that cannot be, as {@link TablesChoice} has it. */
  make(type: DomainType, { sharedAddress = false, tables, parent, faults = false }: DomainChoice = {}): Domain {
    const space = this.#translation.createSpace(type, { ...tables, parent: parent?.space });
    const domain: Domain = {
      id: this.#next++,
      type,
      sharedAddress,
      faults: type === 'paging' && (faults || sharedAddress),
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

  /** A paging domain that is nobody's to map in: hosts know no such number. */
  makeOwn(): Domain {
    const domain = this.make('paging');
    this.#domains.delete(domain.id);
    return domain;
  }

  /**
   * With the direct regions of the members mapped, and addresses for the DMA API to give away. Throws {@link ModelError} EINVAL for a direct region that
   * cannot be, ENOMEM where there is no room for their tables.
   */
  makeDefault(type: DefaultType, members: readonly DefaultMember[]): Domain {
    if (type === 'identity') return this.make('identity');
    const domain = this.make('paging');
    const claimants = members.map(({ directRegions, wish: { bdf } }) => ({ bdf, directRegions }));
    try {
      mapDirect(tablesOf(domain), claimants);
    } catch (error) {
      this.free(domain.id, []);
      throw error;
    }
    const reserved = members.flatMap(({ reservedRegions }) => reservedRegions);
    domain.dma = dmaDomain(type === 'dma-fq', reserved, this.#hostWindows);
    return domain;
  }

  /** A domain that was a group's own goes with the group; one that a call is still at work on stays, as a domain that a host may free. */
  release(domain: Domain, groups: readonly Group[]): void {
    if (this.#domains.get(domain.id) === domain) this.free(domain.id, groups);
    else this.#translation.destroySpace(domain.space);
  }

  state(fields: StateFields): void {
    fields.keep('domains', this.#domains);
    this.#next = fields.field('next', this.#next);
  }

  /** -ENOENT for none, -EBUSY while anything rests on it (a group, a PASID, a nested domain) or a call is at work on it. */
  free(id: number, groups: readonly Group[]): Errno {
    const domain = this.#domains.get(id);
    if (domain === undefined) return errno('ENOENT');
    const flushed = domain.dma?.queue.atWork.size ?? 0;
    if (domain.pins > 0 || flushed > 0 || domain.nested.size > 0 || groups.some((group) => usesDomain(group, domain)))
      return errno('EBUSY');
    this.#domains.delete(id);
    domain.parent?.nested.delete(domain);
    this.#translation.destroySpace(domain.space);
    return OK;
  }
}

function usesDomain(group: Group, domain: Domain): boolean {
  if (group.domain === domain || group.defaultDomain === domain || group.blockingDomain === domain) return true;
  for (const attached of group.pasids.values()) if (attached === domain) return true;
  return group.members.some((device) => device.physical === domain || [...device.pasidPhysical.values()].includes(domain));
}
