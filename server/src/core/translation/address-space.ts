import type { Bdf, Pasid } from '../base/index.ts';
import type { FunctionGrants } from './grant-shadow.ts';
import type { PageTables, WalkedTables } from './page-tables.ts';

export type SpaceType = 'paging' | 'identity' | 'blocked';

/** One address space as the hardware sees it: what a device context points at. */
export interface AddressSpace {
  /** From 1; never used again in the life of the machine. */
  readonly id: number;
  readonly type: SpaceType;
  /** Of a paging space. */
  readonly tables: PageTables | undefined;
}

/** An address space with what the translation agent keeps about it. */
export interface Space extends AddressSpace {
  readonly tables: WalkedTables | undefined;
  /** What its IOTLB entries are keyed by; 0 until the next fill. */
  tag: number;
  /** log2 of the largest mapping that was put into the IOTLB under this tag, in 4 KiB pages. */
  cachedPagesLg2: number;
  /** Handles of the contexts that point here. */
  readonly contexts: Set<number>;
}

/** The device context of a function, for requests with one PASID or without any. */
export interface Context {
  readonly bdf: Bdf;
  readonly pasid: Pasid;
  readonly grants: FunctionGrants;
  space: Space | undefined;
  ats: boolean;
}
