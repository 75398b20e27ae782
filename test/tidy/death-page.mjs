/** Makes the tables of docs/deaths.md by killing programs in every cell: `node test/tidy/death-page.mjs`. `test/interop/kill-nine.test.ts` compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { tsImport } from 'tsx/esm/api';

const PAGE = fileURLToPath(new URL('../../docs/deaths.md', import.meta.url));

const { setup: build } = await tsImport('../interop/build.ts', import.meta.url);
build();
const { playDeaths } = await tsImport('../kit/death-play.ts', import.meta.url);
const { withDeaths } = await tsImport('../kit/death-page.ts', import.meta.url);
writeFileSync(PAGE, withDeaths(readFileSync(PAGE, 'utf8'), await playDeaths()));
