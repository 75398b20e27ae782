import { ModelError, PHYSICAL_BITS, hex, type StateFields } from '../base/index.ts';
import type { GuestMemory } from '../memory/index.ts';
import type { AddressSpace } from './address-space.ts';
import type { AwaitedEntries } from './formats/awaited-entries.ts';
import type { Format } from './formats/format.ts';
import { GuestTables, RamMemory } from './formats/guest-tables.ts';
import { FORMAT_NAMES, formatNamed, nests } from './formats/named.ts';
import { NestedTables } from './formats/nested-tables.ts';
import { RadixTables } from './formats/radix-tables.ts';
import { TrackedTables } from './formats/tracked-tables.ts';
import { X86Tables } from './formats/x86-64-tables.ts';
import type { WalkedTables } from './page-tables.ts';
import { TABLES_MAX, TablePool } from './table-pool.ts';

/**
 * Which tables a paging space has. `EINVAL` for a format, root or parent that cannot be, for flags kept in tables that no guest wrote;
 * `EOPNOTSUPP` for writes tracked in tables that one did.
 */
export interface TablesChoice {
  /** {@link formatNamed}; absent: x86-64 with four levels. */
  readonly format?: string | undefined;
  /** Address of tables that a guest wrote, physical or with `parent` the guest's; absent: the space owns its tables, and they are written by map and unmap. */
  readonly root?: bigint | undefined;
  /** Of tables that a guest wrote: the space that is the second stage below them. */
  readonly parent?: AddressSpace | undefined;
  /** Of tables that the space owns: writes can be tracked (IOMMU_HWPT_ALLOC_DIRTY_TRACKING). */
  readonly dirtyTracking?: boolean | undefined;
  /** Of tables that a guest wrote: the hardware keeps accessed and dirty flags in them. */
  readonly accessedDirty?: boolean | undefined;
}

/** The least that a root is aligned to: the smallest first table of Arm LPAE. */
const ROOT_ALIGNMENT = 64n;

/** Makes the tables of a machine's spaces, out of one pool for each granule. */
export class SpaceTables {
  readonly #memory: GuestMemory;
  readonly #awaited: AwaitedEntries;
  /** By 4 KiB pages of a table. */
  readonly #pools = new Map<number, TablePool>();

  constructor(memory: GuestMemory, awaited: AwaitedEntries) {
    this.#memory = memory;
    this.#awaited = awaited;
  }

  /** `second`: the tables of the parent, where there is one. Throws {@link ModelError} as {@link TablesChoice} has it. */
  make(choice: TablesChoice, second: WalkedTables | undefined): WalkedTables {
    const format = namedOr(choice.format ?? 'x86-64');
    const { root, dirtyTracking = false, accessedDirty = false } = choice;
    if (root === undefined) {
      if (second !== undefined) throw new ModelError('EINVAL', 'a nested domain has tables that a guest wrote: say where', 'root');
      if (accessedDirty)
        throw new ModelError('EINVAL', 'only a guest looks at the flags of its tables: say where they are', 'accessed_dirty');
      return this.#owned(format, dirtyTracking);
    }
    if (dirtyTracking)
      throw new ModelError('EOPNOTSUPP', 'a guest writes these tables, and tracks by them what it wants', 'dirty_tracking');
    const at = checkedRoot(root);
    const memory = new RamMemory(this.#memory, this.#awaited);
    if (second === undefined) return new GuestTables(format, memory, at, accessedDirty);
    if (!nests(format, second)) {
      const text =
        second instanceof NestedTables ? 'is nested itself' : `has ${second.format}, which is no second stage for ${format.name}`;
      throw new ModelError('EINVAL', `the parent ${text}`, 'parent');
    }
    return new NestedTables(format, second, memory, at, accessedDirty);
  }

  state(fields: StateFields): void {
    fields.keep('pools', this.#pools);
  }

  #owned(format: Format, tracked: boolean): WalkedTables {
    const pool = this.#poolOf(2 ** format.spanLg2[0]!);
    if (tracked) return new TrackedTables(format, pool);
    return format.name === 'x86-64' ? new X86Tables(pool) : new RadixTables(format, pool);
  }

  #poolOf(pages: number): TablePool {
    const known = this.#pools.get(pages);
    if (known !== undefined) return known;
    const pool = new TablePool(TABLES_MAX / pages, pages);
    this.#pools.set(pages, pool);
    return pool;
  }
}

function namedOr(name: string): Format {
  const format = formatNamed(name);
  if (format !== undefined) return format;
  const names = [...FORMAT_NAMES, 'arm-s<1 or 2>-<4, 16 or 64>k-<25 to 48>'].join(', ');
  throw new ModelError('EINVAL', `no page-table format "${name}"; there are ${names}`, 'format');
}

function checkedRoot(root: bigint): bigint {
  if (root < 0n || root >> BigInt(PHYSICAL_BITS) !== 0n || root % ROOT_ALIGNMENT !== 0n) {
    throw new ModelError('EINVAL', `root ${hex(root)} is no multiple of ${ROOT_ALIGNMENT} below 2^${PHYSICAL_BITS}`, 'root');
  }
  return root;
}
