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
  /**
   * Tells of the parts of a range that nothing is mapped in, in rising order, until `onHole` says false. False, with nothing told, for a range that is
   * misaligned, empty or impossible. Undefined where a guest writes the tables: they are in its memory.
   */
  holes(iova: bigint, bytes: bigint, onHole: (iova: bigint, bytes: bigint) => boolean): boolean | undefined;
  readonly mappedBytes: bigint;
  /** Of tables that track writes. */
  readonly dirty: DirtyTracking | undefined;
}

/** Writes that the hardware notes in the tables (struct iommu_dirty_ops). */
export interface DirtyTracking {
  readonly on: boolean;
  /** Turned on, every page is clean. Whatever is cached of the tables must go, or writes through it are not seen. */
  set(on: boolean): void;
  /**
   * Tells of every page that was written since it was last clean, among those that the range touches, each as a whole; in rising order, as addresses.
   * `clear`: they are clean afterwards. False, with nothing told, for a range that is misaligned, empty or impossible.
   */
  read(iova: bigint, bytes: bigint, clear: boolean, onDirty: (iova: bigint, bytes: bigint) => void): boolean;
}

/** The hardware's side of a format: one walk, its answer in fields so that nothing is allocated. */
export interface WalkedTables extends PageTables {
  /**
   * Walks for the page with these int32 halves (the high one has 20 bits, zero above). Returns a status: `performed` when a leaf was
   * found, whatever its rights; the fields below then describe it. `access`: the ACCESS bits that the request needs, for the accessed and dirty flags
   * that the hardware keeps.
   */
  walk(pageLow: number, pageHigh: number, access: number): number;
  /** The same for a request in privileged mode: {@link foundAccess} has what that may. */
  walkPrivileged(pageLow: number, pageHigh: number, access: number): number;
  /** Physical 4 KiB page, as int32 halves (the high one has 12 bits at most). */
  readonly foundLow: number;
  readonly foundHigh: number;
  /** ACCESS bits that the request has, combined over the levels; none for a page of the supervisor's where it is without that privilege. */
  readonly foundAccess: number;
  /** log2 of the size of the leaf, or of the contiguous group that it is in, in 4 KiB pages. */
  readonly foundPagesLg2: number;
  /** The tables of a process say that the page is the same in every process. */
  readonly foundGlobal: boolean;
  /** The leaf, or that of either stage, demands that requests are snooped, whatever they ask. */
  readonly foundSnooped: boolean;
  /** Which stage the last walk ended in, or refused its access if it was refused: 1 or 2. */
  readonly faultStage: number;
  /** A page that was not written yet is found without the right to write: a walk for a write may find more. */
  readonly marksWrites: boolean;
  /** Gives all tables back to their pool. */
  free(): void;
}
