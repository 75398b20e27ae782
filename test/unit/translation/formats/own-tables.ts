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
