import { PAGE_LG2, assert, type StateKind } from '../base/index.ts';
import type { GuestMemory } from '../memory/index.ts';
import type { AwaitedEntries } from './formats/awaited-entries.ts';
import type { Format } from './formats/format.ts';
import { GuestTables, RamMemory } from './formats/guest-tables.ts';
import { formatNamed } from './formats/named.ts';
import { NestedTables } from './formats/nested-tables.ts';
import { RadixTables } from './formats/radix-tables.ts';
import { TrackedTables } from './formats/tracked-tables.ts';
import { X86Tables } from './formats/x86-64-tables.ts';
import { FunctionGrants } from './grant-shadow.ts';
import type { WalkedTables } from './page-tables.ts';
import { TablePool } from './table-pool.ts';

type Field = (name: string) => unknown;

/** Classes of this room of which machines make instances as they run. */
export function translationKinds(memory: GuestMemory, awaited: AwaitedEntries): readonly StateKind[] {
  const ram = (): RamMemory => new RamMemory(memory, awaited);
  return [
    { name: 'function-grants', type: FunctionGrants, make: () => new FunctionGrants() },
    {
      name: 'table-pool',
      type: TablePool,
      make: (field) => new TablePool(field('tablesMax') as number, field('pagesPerTable') as number),
    },
    { name: 'radix-tables', type: RadixTables, make: (field) => new RadixTables(formatOf(field), poolOf(field)) },
    { name: 'x86-tables', type: X86Tables, make: (field) => new X86Tables(poolOf(field)) },
    { name: 'tracked-tables', type: TrackedTables, make: (field) => new TrackedTables(formatOf(field), poolOf(field)) },
    { name: 'guest-tables', type: GuestTables, make: (field) => new GuestTables(formatOf(field), ram(), rootOf(field), keepsFlags(field)) },
    {
      name: 'nested-tables',
      type: NestedTables,
      make: (field) => new NestedTables(formatOf(field), field('second') as WalkedTables, ram(), rootOf(field), keepsFlags(field)),
    },
  ];
}

function formatOf(field: Field): Format {
  const format = formatNamed(String(field('format')));
  assert(format !== undefined, 'tables have a format');
  return format;
}

function poolOf(field: Field): TablePool {
  return field('pool') as TablePool;
}

function rootOf(field: Field): bigint {
  return (BigInt(field('root') as number) << BigInt(PAGE_LG2)) + BigInt(field('rootOffset') as number);
}

function keepsFlags(field: Field): boolean {
  return field('keepsFlags') === true;
}
