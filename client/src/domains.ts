import { ask, type CallOptions } from './ask.ts';
import type { Channel } from './channel.ts';
import { Mappings } from './mappings.ts';
import { DOMAIN_TYPE, type DomainType } from './names.ts';
import { u32, u64 } from './numbers.ts';

/** An address space that functions are attached to. */
export class Domain extends Mappings {
  /** Its number in this machine. */
  readonly id: number;
  readonly #channel: Channel;

  constructor(channel: Channel, id: number) {
    super(channel, { domain: u32(id, 'domain') });
    this.#channel = channel;
    this.id = id;
  }

  /** Errors: ENOENT, EBUSY (attached, or the parent of a nested domain). */
  async free(options?: CallOptions): Promise<void> {
    await ask(this.#channel, 'domainFree', { domain: this.id }, options);
  }
}

export interface NewDomain {
  /** Absent: paging. */
  readonly type?: DomainType;
  /** A process's own address space (SVA). */
  readonly sharedAddress?: boolean;
  /** Page requests of functions in it become page faults (`machine.pageFaults`). One with a shared address space has this in any case. */
  readonly faults?: boolean;
  /** The format of its page tables, such as `amd-v1-4level`; absent: `x86-64`. */
  readonly format?: string;
  /**
   * Address of page tables that a guest wrote, physical or with `parent` the guest's: map is then EOPNOTSUPP, and unmap only invalidates. Absent: the
   * domain has its own.
   */
  readonly root?: bigint | number;
  /** Of a domain with `root`: the domain that is its second stage, with a format that is one. */
  readonly parent?: Domain | number;
  /** Of a domain without `root`: `setDirtyTracking` and `readDirty` work on it. */
  readonly dirtyTracking?: boolean;
  /** Of a domain with `root`: the hardware sets accessed and dirty flags in the guest's tables. */
  readonly accessedDirty?: boolean;
}

export class Domains {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Errors: EINVAL (a format, root or parent that cannot be), ENOENT (parent), ENOMEM, EOPNOTSUPP (no IOMMU; dirty tracking with `root`). */
  async alloc(domain: NewDomain = {}, options?: CallOptions): Promise<Domain> {
    const request = {
      type: DOMAIN_TYPE.numberOf(domain.type ?? 'paging', 'type'),
      sharedAddress: domain.sharedAddress ?? false,
      faults: domain.faults ?? null,
      format: domain.format ?? null,
      root: domain.root === undefined ? null : u64(domain.root, 'root'),
      parent: domain.parent === undefined ? null : u32(idOf(domain.parent), 'parent'),
      dirtyTracking: domain.dirtyTracking ?? null,
      accessedDirty: domain.accessedDirty ?? null,
    };
    const { body } = await ask(this.#channel, 'domainAlloc', request, options);
    return new Domain(this.#channel, body.domain);
  }

  /** The domain with this number, which need not exist. */
  get(id: number): Domain {
    return new Domain(this.#channel, id);
  }
}

function idOf(domain: Domain | number): number {
  return typeof domain === 'number' ? domain : domain.id;
}
