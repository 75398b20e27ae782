import { PAGE_LG2, addressOfPage, pageOf } from '../../base/index.ts';
import type { DirtyTracking } from '../page-tables.ts';
import type { TablePool } from '../table-pool.ts';
import { DirtyReader, withFlags } from './accessed-dirty.ts';
import type { Format } from './format.ts';
import { NO_ROOT } from './loop-tables.ts';
import { RadixTables } from './radix-tables.ts';

/**
 * Tables of their own whose writes can be tracked. While that is off, the hardware touches no flag and every page has the rights that it was mapped
 * with; a page that is mapped is clean.
 */
export class TrackedTables extends RadixTables implements DirtyTracking {
  override readonly dirty = this;
  readonly #reader: DirtyReader;

  constructor(format: Format, pool: TablePool) {
    const kept = withFlags(format, true);
    super(kept, pool);
    this.#reader = new DirtyReader(kept, pool);
  }

  get on(): boolean {
    return this.keepsFlags;
  }

  set(on: boolean): void {
    this.keepsFlags = on;
    if (on) this.#read(0, 2 ** this.shape.inputBits, true, () => undefined);
  }

  read(iova: bigint, bytes: bigint, clear: boolean, onDirty: (iova: bigint, bytes: bigint) => void): boolean {
    if (!this.isRange(iova, bytes)) return false;
    const first = this.inputPage(iova);
    this.#read(first, pageOf(bytes), clear, (page, pages) => {
      onDirty(iova + (BigInt(page - first) << BigInt(PAGE_LG2)), addressOfPage(pages));
    });
    return true;
  }

  #read(first: number, pages: number, clear: boolean, onDirty: (first: number, pages: number) => void): void {
    if (this.root !== NO_ROOT) this.#reader.read(this.root, this.shape.top, first, pages, clear, onDirty);
  }
}
