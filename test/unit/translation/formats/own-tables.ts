import { RadixTables, TABLES_MAX, TablePool, type Format } from '../../../../server/src/core/translation/index.ts';

/** Empty tables of a format, in a pool of their own. */
export function ownTables(format: Format): RadixTables {
  return new RadixTables(format, poolFor(format));
}

/** A pool whose tables are as large as the format's. */
export function poolFor(format: Format): TablePool {
  const pages = 2 ** format.spanLg2[0]!;
  return new TablePool(TABLES_MAX / pages, pages);
}

/** The int32 halves of an address's page number, as walkers take them. */
export function pageLow(iova: bigint): number {
  return Number(BigInt.asIntN(32, iova >> 12n));
}
export function pageHigh(iova: bigint): number {
  return Number(BigInt.asUintN(20, iova >> 44n));
}

/** Walks for an address. */
export function walk(tables: { walk(low: number, high: number): number }, iova: bigint): number {
  return tables.walk(pageLow(iova), pageHigh(iova));
}
