import { ask, type CallOptions } from './ask.ts';
import type { Channel } from './channel.ts';
import { attachedTo, type Domain } from './domains.ts';
import type { Ioas } from './ioas.ts';
import { Mappings } from './mappings.ts';
import { u32 } from './numbers.ts';
import { waited, type Waited } from './waited.ts';

/** One PASID of a function: its domain and the mappings of that. */
export class PasidHandle extends Mappings {
  readonly pasid: number;
  readonly #channel: Channel;
  readonly #function: number;

  /** `fn` is a packed place; a PASID has 20 bits. */
  constructor(channel: Channel, fn: number, pasid: number) {
    super(channel, { function: fn, pasid: u32(pasid, 'pasid') });
    this.#channel = channel;
    this.#function = fn;
    this.pasid = pasid;
  }

  /** `replace`: in place of the attached domain. Errors: ENODEV, ENOENT, EBUSY (window open, has a domain), EINVAL, EOPNOTSUPP. */
  async attach(to: Domain | Ioas, options?: CallOptions & { readonly replace?: boolean }): Promise<Waited> {
    const request = { function: this.#function, pasid: this.pasid, ...attachedTo(to), replace: options?.replace ?? null };
    const { body } = await ask(this.#channel, 'pasidAttach', request, options);
    return waited(body.elapsedNs);
  }

  /** Errors: ENODEV, ENOENT. */
  async detach(options?: CallOptions): Promise<Waited> {
    const { body } = await ask(this.#channel, 'pasidDetach', { function: this.#function, pasid: this.pasid }, options);
    return waited(body.elapsedNs);
  }
}
