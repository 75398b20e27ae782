import { ask, type CallOptions } from './ask.ts';
import type { Channel } from './channel.ts';
import { codeOf, type ErrorCode } from './errors.ts';
import type { Ioas } from './ioas.ts';
import { Mappings } from './mappings.ts';
import { DOMAIN_TYPE, INVALIDATE_TYPE, type DomainType, type InvalidateType } from './names.ts';
import { msOfNs, numberOf, u32, u64 } from './numbers.ts';
import { shown } from './shown.ts';
import type { Waited } from './waited.ts';

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

  /**
   * Invalidates what is cached of it, for a guest that writes its tables (IOMMU_HWPT_INVALIDATE): request after request, each waited for, up to the first
   * that cannot be. Errors: ENOENT, EINVAL (no guest writes its tables; the type is not for their format).
   */
  async invalidate(type: InvalidateType, requests: readonly InvalidateRequest[], options?: CallOptions): Promise<InvalidateReport> {
    const request = {
      domain: this.id,
      type: INVALIDATE_TYPE.numberOf(type, 'type'),
      requests: requests.map(({ iova, pages }) => ({ iova: u64(iova, 'iova'), pages: u64(pages, 'pages') })),
    };
    const { body } = await ask(this.#channel, 'domainInvalidate', request, options);
    return shown({
      processed: body.processed,
      error: body.error === 0 ? undefined : codeOf(body.error),
      message: body.message,
      timedOut: body.timedOut,
      elapsedMs: msOfNs(numberOf(body.elapsedNs)),
    });
  }

  /** Errors: ENOENT, EBUSY (attached, or the parent of a nested domain). */
  async free(options?: CallOptions): Promise<void> {
    await ask(this.#channel, 'domainFree', { domain: this.id }, options);
  }
}

export interface InvalidateRequest {
  readonly iova: bigint | number;
  /** Of 4 KiB; 2^64 - 1 with IOVA 0: everything. */
  readonly pages: bigint | number;
}

export interface InvalidateReport extends Waited {
  /** Requests that were done: those before the first that cannot be. */
  readonly processed: number;
  /** Of that one; undefined where all were done. */
  readonly error: ErrorCode | undefined;
  readonly message: string;
  /** ATC invalidations that timed out. */
  readonly timedOut: number;
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
  /** The I/O address space that it stands for: its areas are the mappings. */
  readonly ioas?: Ioas;
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
      ioas: domain.ioas?.id ?? null,
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

/** What an attach is to: a domain, or the one that stands for an I/O address space. */
export function attachedTo(to: Domain | Ioas): { readonly domain: number } | { readonly ioas: number } {
  return to instanceof Domain ? { domain: to.id } : { ioas: to.id };
}
