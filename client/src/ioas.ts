import { ask, type CallOptions } from './ask.ts';
import type { Channel } from './channel.ts';
import { codeOf, type ErrorCode } from './errors.ts';
import { foundRange, type FoundRange, type IovaRange } from './iova-range.ts';
import type { MapReport, UnmapReport } from './mappings.ts';
import { accessBits, type Access } from './names.ts';
import { bigintOf, msOfNs, numberOf, u32, u64 } from './numbers.ts';
import { shown } from './shown.ts';

export interface IovaRanges {
  readonly ranges: readonly FoundRange[];
  /** How many there are. */
  readonly count: number;
  /** What addresses and sizes of areas are multiples of. */
  readonly alignment: bigint;
  /** EMSGSIZE where there are more than `max`. */
  readonly error: ErrorCode | undefined;
}

export interface AreaRequest {
  /** Absent: one is chosen. */
  readonly iova?: bigint | number;
  readonly bytes: bigint | number;
  readonly access: Access;
}

/** An I/O address space in the manner of iommufd: every domain that stands for it has its areas. */
export class Ioas {
  /** Its number in this machine. */
  readonly id: number;
  readonly #channel: Channel;

  constructor(channel: Channel, id: number) {
    this.#channel = channel;
    this.id = u32(id, 'ioas');
  }

  /** Errors: ENOENT, EINVAL (alignment, reserved), EEXIST (there is an area), EOVERFLOW, ENOSPC (no room), ENOMEM. */
  async map(area: AreaRequest & { readonly address: bigint | number }, options?: CallOptions): Promise<MapReport> {
    const { body } = await ask(this.#channel, 'ioasMap', { ...this.#area(area), address: u64(area.address, 'address') }, options);
    return mapped(body);
  }

  /** The memory of another address space's areas, or of this one's, once more here. Errors: as {@link map}; ENOENT (not all mapped), EPERM. */
  async copy(area: AreaRequest & { readonly from: Ioas; readonly fromIova: bigint | number }, options?: CallOptions): Promise<MapReport> {
    const request = { ...this.#area(area), from: area.from.id, fromIova: u64(area.fromIova, 'fromIova') };
    return mapped((await ask(this.#channel, 'ioasCopy', request, options)).body);
  }

  /**
   * Takes the areas of a range away, or all of them, and waits as `dma.unmap` does. Errors: ENOENT (none, or one that is not wholly in the range: what
   * stands before it is gone), EINVAL, EOVERFLOW, EBUSY.
   */
  async unmap(range?: { readonly iova: bigint | number; readonly bytes: bigint | number }, options?: CallOptions): Promise<UnmapReport> {
    const part = range === undefined ? {} : { iova: u64(range.iova, 'iova'), bytes: u64(range.bytes, 'bytes') };
    const { body } = await ask(this.#channel, 'ioasUnmap', { ioas: this.id, ...part }, options);
    return shown({ bytes: bigintOf(body.bytes), timedOut: body.timedOut, elapsedMs: msOfNs(numberOf(body.elapsedNs)) });
  }

  /** What is not reserved; with `unmapped`, nor mapped. Errors: ENOENT. */
  async ranges(which: { readonly unmapped?: boolean; readonly max?: number } = {}, options?: CallOptions): Promise<IovaRanges> {
    const max = which.max === undefined ? null : u32(which.max, 'max');
    const { body } = await ask(this.#channel, 'ioasRanges', { ioas: this.id, unmapped: which.unmapped ?? null, max }, options);
    return shown({
      ranges: body.ranges.map(foundRange),
      count: body.count,
      alignment: bigintOf(body.alignment),
      error: body.error === 0 ? undefined : codeOf(body.error),
    });
  }

  /** Restricts where addresses are chosen; an empty list lifts it. Errors: ENOENT, EINVAL (no length, an overlap), EADDRINUSE (reserved). */
  async allow(ranges: readonly IovaRange[], options?: CallOptions): Promise<void> {
    const list = ranges.map(({ first, last }) => ({ first: u64(first, 'first'), last: u64(last, 'last') }));
    await ask(this.#channel, 'ioasAllow', { ioas: this.id, ranges: list }, options);
  }

  /** Errors: ENOENT, EBUSY (a domain stands for it). */
  async free(options?: CallOptions): Promise<void> {
    await ask(this.#channel, 'ioasFree', { ioas: this.id }, options);
  }

  #area({ iova, bytes, access }: AreaRequest) {
    const at = iova === undefined ? null : u64(iova, 'iova');
    return { ioas: this.id, iova: at, bytes: u64(bytes, 'bytes'), access: accessBits(access, 'access') };
  }
}

export class Ioases {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Errors: ENOMEM, EOPNOTSUPP (no IOMMU). */
  async create(options?: CallOptions): Promise<Ioas> {
    return new Ioas(this.#channel, (await ask(this.#channel, 'ioasAlloc', {}, options)).body.ioas);
  }

  /** The one with this number, which need not exist. */
  get(id: number): Ioas {
    return new Ioas(this.#channel, id);
  }
}

type U64 = Parameters<typeof bigintOf>[0];

function mapped(body: { readonly iova: U64; readonly elapsedNs: U64 }): MapReport {
  return shown({ iova: bigintOf(body.iova), elapsedMs: msOfNs(numberOf(body.elapsedNs)) });
}
