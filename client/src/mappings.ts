import { ask, type CallOptions } from './ask.ts';
import type { Channel } from './channel.ts';
import { accessBits, type Access } from './names.ts';
import { bigintOf, msOfNs, numberOf, u64 } from './numbers.ts';
import { shown } from './shown.ts';
import { waited, type Waited } from './waited.ts';

/** A domain by number, or the one that a function or a PASID of it has attached. */
export type MappingTarget = { readonly domain: number } | { readonly function: number; readonly pasid?: number };

export interface MapRequest {
  readonly iova: bigint | number;
  /** Physical; below 2^56. */
  readonly address: bigint | number;
  /** A multiple of the smallest page. */
  readonly bytes: bigint | number;
  readonly access: Access;
}

export interface UnmapReport extends Waited {
  /** Less than asked for where nothing was mapped. */
  readonly bytes: bigint;
  /** ATC invalidations that timed out. */
  readonly timedOut: number;
}

/** The mappings of one domain. */
export class Mappings {
  readonly #channel: Channel;
  readonly #target: MappingTarget;

  constructor(channel: Channel, target: MappingTarget) {
    this.#channel = channel;
    this.#target = target;
  }

  /** Errors: EINVAL (alignment, width, no access), EADDRINUSE (overlaps), ENOENT, ENODEV, ENOMEM, EOPNOTSUPP. */
  async map(mapping: MapRequest, options?: CallOptions): Promise<Waited> {
    const request = {
      ...this.#target,
      iova: u64(mapping.iova, 'iova'),
      address: u64(mapping.address, 'address'),
      bytes: u64(mapping.bytes, 'bytes'),
      access: accessBits(mapping.access, 'access'),
    };
    const { body } = await ask(this.#channel, 'dmaMap', request, options);
    return waited(body.elapsedNs);
  }

  /**
   * Resolves when every request translated with the old mapping has been performed and the functions' ATCs have answered or timed out: the
   * pages may be used for something else. Errors: EINVAL (alignment, 0 bytes), ENOENT, ENODEV.
   */
  async unmap(range: { readonly iova: bigint | number; readonly bytes: bigint | number }, options?: CallOptions): Promise<UnmapReport> {
    const request = { ...this.#target, iova: u64(range.iova, 'iova'), bytes: u64(range.bytes, 'bytes') };
    const { body } = await ask(this.#channel, 'dmaUnmap', request, options);
    return shown({ bytes: bigintOf(body.bytes), timedOut: body.timedOut, elapsedMs: msOfNs(numberOf(body.elapsedNs)) });
  }

  /** The physical address that an IOVA maps to; undefined for none. Errors: ENOENT, ENODEV. */
  async iovaToPhys(iova: bigint | number, options?: CallOptions): Promise<bigint | undefined> {
    const { body } = await ask(this.#channel, 'iovaToPhys', { ...this.#target, iova: u64(iova, 'iova') }, options);
    return body.mapped ? bigintOf(body.address) : undefined;
  }
}
