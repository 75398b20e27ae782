/**
 * An I/O address space in the manner of iommufd: areas of memory at I/O virtual addresses, which every domain that stands for it has in its tables
 * (`drivers/iommu/iommufd/io_pagetable.c`). What is reserved is the caller's to know: it is what the attached functions and domains say now.
 */
import { OK, PAGE_BYTES, errno, type Errno, type StateFields } from '../base/index.ts';
import type { Domain, Group } from './group.ts';
import { IOVA_LAST, gaps, overlap, type IovaRange } from './iova-ranges.ts';

/** struct iopt_area. */
export interface IoasArea extends IovaRange {
  /** Physical. */
  readonly address: bigint;
  /** ACCESS bits. */
  readonly access: number;
  /** Whether a copy may be written. */
  readonly writable: boolean;
  /** It is being unmapped: not to be copied or unmapped any more, and not free yet. */
  leaving: boolean;
}

/** What attached functions and domains ask of the addresses. */
export interface Constraints {
  readonly reserved: readonly IovaRange[];
  /** A power of two: 1 while there is no domain. */
  readonly alignment: bigint;
}

/** Areas that one address space may have: without a domain nothing else bounds them. */
export const AREAS_MAX = 65_536;

const PAGE = BigInt(PAGE_BYTES);

export class Ioas {
  readonly id: number;
  /** struct iommufd_hwpt_paging: those whose tables have its areas. */
  readonly domains = new Set<Domain>();
  /** Groups on their way to one of them. */
  readonly joining = new Set<Group>();
  /** By address. */
  #areas: IoasArea[] = [];
  #allowed: readonly IovaRange[] = [];

  constructor(id: number) {
    this.id = id;
  }

  get areas(): readonly IoasArea[] {
    return this.#areas;
  }
  /** Where addresses are chosen, and nothing may become reserved; empty: everywhere. */
  get allowed(): readonly IovaRange[] {
    return this.#allowed;
  }

  /** IOMMU_IOAS_ALLOW_IOVAS: -EINVAL for a range without length or two that overlap, -EADDRINUSE for one that meets what is reserved. */
  allow(ranges: readonly IovaRange[], { reserved }: Constraints): Errno {
    const wrong = ranges.some((range, i) => range.first >= range.last || ranges.slice(0, i).some((other) => overlap(range, other)));
    if (wrong) return errno('EINVAL');
    if (ranges.some((range) => reserved.some((other) => overlap(range, other)))) return errno('EADDRINUSE');
    this.#allowed = ranges.toSorted((a, b) => (a.first < b.first ? -1 : 1));
    return OK;
  }

  /** iopt_reserve_iova(): whether these may become reserved. -EADDRINUSE where there is an area, or an allowed range. */
  mayReserve(ranges: readonly IovaRange[]): Errno {
    const inUse = ranges.some((range) => this.#firstIn(range) !== undefined || this.#allowed.some((allowed) => overlap(allowed, range)));
    return inUse ? errno('EADDRINUSE') : OK;
  }

  /**
   * iopt_check_iova(): whether an area may be here. -EINVAL for what is misaligned or reserved, -EOVERFLOW beyond 64 bits, -EEXIST where there is one.
   */
  check(iova: bigint, bytes: bigint, { reserved, alignment }: Constraints): Errno {
    if ((iova | bytes) % alignment !== 0n) return errno('EINVAL');
    const range = { first: iova, last: iova + bytes - 1n };
    if (range.last > IOVA_LAST) return errno('EOVERFLOW');
    if (reserved.some((other) => overlap(range, other))) return errno('EINVAL');
    return this.#firstIn(range) === undefined ? OK : errno('EEXIST');
  }

  /**
   * iopt_alloc_iova(): the lowest address with room, aligned as the memory is, up to the size; in the page as the memory is. Undefined: -ENOSPC. Page 0
   * and the last page are given away only where they are allowed.
   */
  place(bytes: bigint, address: bigint, { reserved, alignment }: Constraints): bigint | undefined {
    const natural = address === 0n ? roundUp2(bytes) : min(roundUp2(bytes), address & -address);
    const step = natural > alignment ? natural : alignment;
    const offset = address % PAGE;
    const used = [...reserved, ...this.#areas];
    const windows = this.#allowed.length > 0 ? this.#allowed : [{ first: PAGE, last: IOVA_LAST - PAGE }];
    for (const window of windows) {
      for (const hole of gaps(used, window)) {
        const iova = alignUp(hole.first, step) | offset;
        if (iova >= hole.first && iova + bytes - 1n <= hole.last) return iova;
      }
    }
    return undefined;
  }

  insert(area: IoasArea): void {
    this.#areas.splice(this.#indexFrom(area.first), 0, area);
  }

  remove(areas: ReadonlySet<IoasArea>): void {
    this.#areas = this.#areas.filter((area) => !areas.has(area));
  }

  /** The pieces of areas that hold all of the range, without a hole between them; undefined where they do not (iopt_get_pages). */
  covering(range: IovaRange): readonly IoasArea[] | undefined {
    const pieces: IoasArea[] = [];
    let { first } = range;
    for (let at = this.#indexFrom(first); first <= range.last; at++) {
      const area = this.#areas[at];
      if (area === undefined || area.first > first || area.leaving) return undefined;
      const last = min(area.last, range.last);
      pieces.push({ ...area, first, last, address: area.address + (first - area.first) });
      first = last + 1n;
    }
    return pieces;
  }

  /**
   * iopt_unmap_iova_range(): the areas of a range, in order, up to one that stands in the way: -ENOENT one that is not wholly in it, -EBUSY one that is
   * on its way out. -ENOENT too where there is none.
   */
  within(range: IovaRange): { readonly areas: readonly IoasArea[]; readonly error: Errno } {
    const areas: IoasArea[] = [];
    for (let at = this.#indexFrom(range.first); ; at++) {
      const area = this.#areas[at];
      if (area === undefined || area.first > range.last) return { areas, error: areas.length === 0 ? errno('ENOENT') : OK };
      if (area.leaving) return { areas, error: errno('EBUSY') };
      if (area.first < range.first || area.last > range.last) return { areas, error: errno('ENOENT') };
      areas.push(area);
    }
  }

  state(fields: StateFields): void {
    fields.field('id', this.id);
    fields.keep('domains', this.domains);
    fields.keep('joining', this.joining);
    this.#areas = fields.field('areas', this.#areas);
    this.#allowed = fields.field('allowed', this.#allowed);
  }

  #firstIn(range: IovaRange): IoasArea | undefined {
    const area = this.#areas[this.#indexFrom(range.first)];
    return area !== undefined && area.first <= range.last ? area : undefined;
  }

  /** Index of the first area that ends at or after this address. */
  #indexFrom(iova: bigint): number {
    let low = 0;
    let high = this.#areas.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#areas[middle]!.last < iova) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function alignUp(value: bigint, step: bigint): bigint {
  return ((value + step - 1n) / step) * step;
}

function roundUp2(value: bigint): bigint {
  return 1n << BigInt((value - 1n).toString(2).length - (value === 1n ? 1 : 0));
}
