import { ask, type CallOptions } from './ask.ts';
import type { Channel } from './channel.ts';
import { foundRange, type FoundRange } from './iova-range.ts';
import { accessBits, type Access } from './names.ts';
import { bigintOf, msOfNs, numberOf, u64 } from './numbers.ts';
import { shown } from './shown.ts';
import type { Waited } from './waited.ts';

const PAGE_BYTES = 4096;

/** A domain by number, or the one that a function or a PASID of it has attached. */
export type MappingTarget = { readonly domain: number } | { readonly function: number; readonly pasid?: number };

export interface MapRequest {
  /** Absent, of a function: the DMA API of its driver chooses one, in its group's default domain. */
  readonly iova?: bigint | number;
  /** Physical; below 2^56. */
  readonly address: bigint | number;
  /** A multiple of the smallest page. */
  readonly bytes: bigint | number;
  readonly access: Access;
}

export interface MapReport extends Waited {
  readonly iova: bigint;
}

export interface UnmapReport extends Waited {
  /** Less than asked for where nothing was mapped. */
  readonly bytes: bigint;
  /** ATC invalidations that timed out. */
  readonly timedOut: number;
}

export interface DirtyRange {
  readonly iova: bigint | number;
  /** A multiple of `pageBytes`. */
  readonly bytes: bigint | number;
  /** What one bit stands for: a power of two from 4096, which it is when absent. */
  readonly pageBytes?: bigint | number;
  /** What is told stays dirty. */
  readonly noClear?: boolean;
}

export interface DirtyReport extends Waited {
  /** A bit for each page of the range, the first in bit 0 of the first byte. */
  readonly bitmap: Uint8Array;
  /** ATC invalidations that timed out: these functions may write unseen. */
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
  async map(mapping: MapRequest, options?: CallOptions): Promise<MapReport> {
    const request = {
      ...this.#target,
      iova: mapping.iova === undefined ? null : u64(mapping.iova, 'iova'),
      address: u64(mapping.address, 'address'),
      bytes: u64(mapping.bytes, 'bytes'),
      access: accessBits(mapping.access, 'access'),
    };
    const { body } = await ask(this.#channel, 'dmaMap', request, options);
    const iova = mapping.iova === undefined && body.iova ? bigintOf(body.iova) : BigInt(mapping.iova ?? 0);
    return shown({ iova, elapsedMs: msOfNs(numberOf(body.elapsedNs)) });
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

  /**
   * Notes from now on which pages functions write, all of them clean at first; or notes no more. Errors: ENOENT, ENODEV, EOPNOTSUPP (the domain was
   * not made with `dirtyTracking`).
   */
  async setDirtyTracking(on: boolean, options?: CallOptions): Promise<Omit<DirtyReport, 'bitmap'>> {
    const { body } = await ask(this.#channel, 'dirtyTrackingSet', { ...this.#target, on }, options);
    return shown({ timedOut: body.timedOut, elapsedMs: msOfNs(numberOf(body.elapsedNs)) });
  }

  /**
   * Which pages of a range were written since they were last clean; they are clean again unless `noClear`. A large page is dirty as a whole. When it
   * resolves, a write that is not in this bitmap will be in the next. Errors: EINVAL (tracking is off; alignment; more than 1 MiB of bitmap), ENOENT,
   * ENODEV, EOPNOTSUPP (the domain was not made with `dirtyTracking`).
   */
  async readDirty(range: DirtyRange, options?: CallOptions): Promise<DirtyReport> {
    const request = {
      ...this.#target,
      iova: u64(range.iova, 'iova'),
      bytes: u64(range.bytes, 'bytes'),
      pageBytes: u64(range.pageBytes ?? PAGE_BYTES, 'pageBytes'),
      noClear: range.noClear ?? null,
    };
    const { body, data } = await ask(this.#channel, 'dirtyRead', request, options);
    const elapsedMs = msOfNs(numberOf(body.elapsedNs));
    return shown({ bitmap: data ?? new Uint8Array(0), timedOut: body.timedOut, elapsedMs });
  }

  /**
   * The parts of a range that nothing is mapped in, rising, both ends in them. Errors: EINVAL (alignment, width, 0 bytes; the domain has no mappings), ENOENT,
   * ENODEV, EOPNOTSUPP (a guest writes its tables).
   */
  async unmapped(range: { readonly iova: bigint | number; readonly bytes: bigint | number }, options?: CallOptions): Promise<FoundRange[]> {
    let iova = bigintOf(u64(range.iova, 'iova'));
    const end = iova + bigintOf(u64(range.bytes, 'bytes'));
    const found: FoundRange[] = [];
    for (;;) {
      const request = { ...this.#target, iova: u64(iova, 'iova'), bytes: u64(end - iova, 'bytes') };
      const { body } = await ask(this.#channel, 'unmappedRanges', request, options);
      found.push(...body.ranges.map(foundRange));
      if (!body.nextIova) return found;
      iova = bigintOf(body.nextIova);
    }
  }

  /**
   * The physical address that an IOVA maps to; undefined for none. Errors: ENOENT, ENODEV; where page tables lie in memory that a peer owns, which is asked for
   * them: ETIMEDOUT (it is silent), EIO (it erred or is gone), EPERM (this connection only observes).
   */
  async iovaToPhys(iova: bigint | number, options?: CallOptions): Promise<bigint | undefined> {
    const { body } = await ask(this.#channel, 'iovaToPhys', { ...this.#target, iova: u64(iova, 'iova') }, options);
    return body.mapped ? bigintOf(body.address) : undefined;
  }
}
