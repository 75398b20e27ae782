/**
 * What the page tables of a space are to the rest of the machine, whatever their format. The writer is the software's side (`iommu_map`,
 * `iommu_unmap`), the walker the hardware's. Addresses of the writer are bigint: it is no hot path.
 */
import type { Errno } from '../base/index.ts';

export interface Lookup {
  readonly address: bigint;
  /** ACCESS bits. */
  readonly access: number;
  readonly pageBytes: bigint;
}

export interface PageTables {
  /** Its name in {@link formatNamed}. */
  readonly format: string;
  /**
   * Maps a range with the largest pages that fit. `access`: ACCESS bits; read, write or both. `EINVAL` for a range that is misaligned,
   * empty, not canonical, too wide for the format or that wraps (nothing is rounded), and for other rights; `EADDRINUSE`
   * if any of it is mapped; `ENOMEM` at the limit on tables; `EOPNOTSUPP` where a guest writes the tables. Nothing changes unless the answer is 0.
   */
  map(iova: bigint, address: bigint, bytes: bigint, access: number): Errno;
  /**
   * Unmaps from the start of the range to its end or to the first hole, whichever comes first, and returns the bytes undone. A page
   * is never split: one that reaches past the end goes as a whole, so the answer may exceed what was asked; a start inside
   * a larger page undoes nothing. 0 for a misaligned, empty or impossible range. (`unmap_pages`, drivers/iommu/generic_pt/iommu_pt.h.)
   */
  unmap(iova: bigint, bytes: bigint): bigint;
  /** What an IOVA maps to: its physical address with the offset in the page, the rights, and the size of the page it lies in. */
  lookup(iova: bigint): Lookup | undefined;
  readonly mappedBytes: bigint;
}

/** The hardware's side of a format: one walk, its answer in fields so that nothing is allocated. */
export interface WalkedTables extends PageTables {
  /**
   * Walks for the page with these int32 halves (the high one has 20 bits, zero above). Returns a status: `performed` when a leaf was
   * found, whatever its rights; the fields below then describe it.
   */
  walk(pageLow: number, pageHigh: number): number;
  /** Physical 4 KiB page, as int32 halves (the high one has 12 bits at most). */
  readonly foundLow: number;
  readonly foundHigh: number;
  /** ACCESS bits that a request without supervisor privilege has, combined over the levels; none for a page of the supervisor's. */
  readonly foundAccess: number;
  /** log2 of the leaf's size in 4 KiB pages. */
  readonly foundPagesLg2: number;
  /** Gives all tables back to their pool. */
  free(): void;
}
