/** Makes the tables of docs/resets.md by playing every cell of the table of resets: `node test/tidy/reset-page.mjs`. `test/scenario/reset-table.test.ts` compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { tsImport } from 'tsx/esm/api';

const PAGE = fileURLToPath(new URL('../../docs/resets.md', import.meta.url));

const { playAll, withTables } = await tsImport('../kit/reset-page.ts', import.meta.url);
writeFileSync(PAGE, withTables(readFileSync(PAGE, 'utf8'), await playAll()));
