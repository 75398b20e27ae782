import { ask, type CallOptions } from './ask.ts';
import type { Channel } from './channel.ts';
import { Mappings } from './mappings.ts';
import { DOMAIN_TYPE, type DomainType } from './names.ts';
import { u32 } from './numbers.ts';

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

  /** Errors: ENOENT, EBUSY (attached). */
  async free(options?: CallOptions): Promise<void> {
    await ask(this.#channel, 'domainFree', { domain: this.id }, options);
  }
}

export class Domains {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** `sharedAddress`: a process's own address space (SVA). Errors: EINVAL, ENOMEM, EOPNOTSUPP (no IOMMU). */
  async alloc(domain: { readonly type?: DomainType; readonly sharedAddress?: boolean } = {}, options?: CallOptions): Promise<Domain> {
    const request = { type: DOMAIN_TYPE.numberOf(domain.type ?? 'paging', 'type'), sharedAddress: domain.sharedAddress ?? false };
    const { body } = await ask(this.#channel, 'domainAlloc', request, options);
    return new Domain(this.#channel, body.domain);
  }

  /** The domain with this number, which need not exist. */
  get(id: number): Domain {
    return new Domain(this.#channel, id);
  }
}
