import { PAGE_BYTES, errno, pageOf, type Errno } from '../../base/index.ts';
import type { GuestMemory } from '../../memory/index.ts';
import { STATUS, WAITING } from '../status.ts';
import { withFlags } from './accessed-dirty.ts';
import { entryKey, type AwaitedEntries } from './awaited-entries.ts';
import type { Format } from './format.ts';
import { LoopTables } from './loop-tables.ts';
import type { TableMemory } from './table-memory.ts';

const SERVER = 0;
const EXTERNAL_ABORT = STATUS['external-abort'];

/** Guest memory: the server's RAM, and what peers have answered of theirs. */
export class RamMemory implements TableMemory {
  low = 0;
  high = 0;
  failed = EXTERNAL_ABORT;
  readonly #memory: GuestMemory;
  readonly #awaited: AwaitedEntries | undefined;
  readonly #entry = new Uint8Array(8);
  readonly #words = new DataView(this.#entry.buffer);

  /** `awaited`: where entries that peers have are asked for; absent: nobody asks, and they are external aborts. */
  constructor(memory: GuestMemory, awaited?: AwaitedEntries) {
    this.#memory = memory;
    this.#awaited = awaited;
  }

  load(page: number, offset: number): boolean {
    const owner = this.#memory.ownerOf(page);
    if (owner !== SERVER) return this.#loadAnswer(owner, page, offset);
    this.#memory.read(page, offset, this.#entry, 0, 8);
    this.low = this.#words.getInt32(0, true);
    this.high = this.#words.getInt32(4, true);
    return true;
  }

  store(page: number, offset: number, low: number): boolean {
    this.failed = EXTERNAL_ABORT;
    const owner = this.#memory.ownerOf(page);
    if (owner !== SERVER) return this.#want(owner, page, offset, low);
    this.#words.setInt32(0, low, true);
    this.#memory.write(page, offset, this.#entry, 0, 4);
    return true;
  }

  #loadAnswer(owner: number, page: number, offset: number): boolean {
    this.failed = EXTERNAL_ABORT;
    const answers = this.#awaited?.answers;
    const key = entryKey(page, offset);
    const words = answers?.get(key);
    if (words === undefined) return answers?.has(key) !== true && this.#want(owner, page, offset, undefined);
    this.low = words.low;
    this.high = words.high;
    return true;
  }

  /** False: the walk ends in WAITING, or where there is nobody to ask, in an external abort. */
  #want(owner: number, page: number, offset: number, marked: number | undefined): false {
    const awaited = this.#awaited;
    if (awaited === undefined) return false;
    awaited.page = page;
    awaited.offset = offset;
    awaited.marked = marked;
    if (owner > SERVER) this.failed = WAITING;
    return false;
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

  override holes(): undefined {
    return undefined;
  }

  override free(): void {
    // They are the guest's.
  }
}
