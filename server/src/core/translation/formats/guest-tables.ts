import { PAGE_BYTES, errno, pageOf, type Errno } from '../../base/index.ts';
import type { GuestMemory } from '../../memory/index.ts';
import { withFlags } from './accessed-dirty.ts';
import type { Format } from './format.ts';
import { LoopTables } from './loop-tables.ts';
import type { TableMemory } from './table-memory.ts';

const SERVER = 0;

/** The server's RAM. A range that a peer owns gives no entries: its owner would have to be asked, and a walk does not wait. */
export class RamMemory implements TableMemory {
  low = 0;
  high = 0;
  readonly #memory: GuestMemory;
  readonly #entry = new Uint8Array(8);
  readonly #words = new DataView(this.#entry.buffer);

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  load(page: number, offset: number): boolean {
    if (this.#memory.ownerOf(page) !== SERVER) return false;
    this.#memory.read(page, offset, this.#entry, 0, 8);
    this.low = this.#words.getInt32(0, true);
    this.high = this.#words.getInt32(4, true);
    return true;
  }

  store(page: number, offset: number, low: number): boolean {
    if (this.#memory.ownerOf(page) !== SERVER) return false;
    this.#words.setInt32(0, low, true);
    this.#memory.write(page, offset, this.#entry, 0, 4);
    return true;
  }
}

/** Tables that somebody else wrote into guest memory, and may change at any time: what was walked before stays in the IOTLB until an unmap. */
export class GuestTables extends LoopTables {
  /** `root`: the address of the table at which a walk begins, a multiple of 8. `keepsFlags`: the hardware writes accessed and dirty flags into them. */
  constructor(format: Format, memory: TableMemory, root: bigint, keepsFlags: boolean) {
    super(keepsFlags ? withFlags(format, false) : format, memory);
    this.root = pageOf(root);
    this.rootOffset = Number(root % BigInt(PAGE_BYTES));
    this.keepsFlags = keepsFlags;
  }

  /** Nobody counts what a guest maps. */
  override get mappedBytes(): bigint {
    return 0n;
  }

  /** `EOPNOTSUPP`: the guest writes them. */
  override map(): Errno {
    return errno('EOPNOTSUPP');
  }

  /** Writes nothing, and says that all of the range may have changed: what is cached of it is then invalidated. */
  override unmap(_iova: bigint, bytes: bigint): bigint {
    return bytes;
  }

  override free(): void {
    // They are the guest's.
  }
}
