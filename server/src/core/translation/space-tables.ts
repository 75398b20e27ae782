import { ModelError, PHYSICAL_BITS, hex } from '../base/index.ts';
import type { GuestMemory } from '../memory/index.ts';
import type { Format } from './formats/format.ts';
import { GuestTables } from './formats/guest-tables.ts';
import { FORMAT_NAMES, formatNamed } from './formats/named.ts';
import { RadixTables } from './formats/radix-tables.ts';
import { X86Tables } from './formats/x86-64-tables.ts';
import type { WalkedTables } from './page-tables.ts';
import { TABLES_MAX, TablePool } from './table-pool.ts';

/** Which tables a paging space has. */
export interface TablesChoice {
  /** {@link formatNamed}; absent: x86-64 with four levels. */
  readonly format: string | undefined;
  /** Physical address of tables that a guest wrote; absent: the space owns its tables, and they are written by map and unmap. */
  readonly root: bigint | undefined;
}

/** The least that a root is aligned to: the smallest first table of Arm LPAE. */
const ROOT_ALIGNMENT = 64n;

/** Makes the tables of a machine's spaces, out of one pool for each granule. */
export class SpaceTables {
  readonly #memory: GuestMemory;
  /** By 4 KiB pages of a table. */
  readonly #pools = new Map<number, TablePool>();

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  /** Throws {@link ModelError} EINVAL for a format that is none, or a root that cannot be. */
  make(choice: TablesChoice = { format: undefined, root: undefined }): WalkedTables {
    const format = namedOr(choice.format ?? 'x86-64');
    if (choice.root !== undefined) return new GuestTables(format, this.#memory, checkedRoot(choice.root));
    const pool = this.#poolOf(2 ** format.spanLg2[0]!);
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
