/** Copies the generated code to where the compiled tree imports it: tsc emits only what it compiles. */
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const from = fileURLToPath(new URL('gen/', import.meta.url));
const to = fileURLToPath(new URL('../dist/proto/gen/', import.meta.url));

if (!existsSync(`${from}iommud.js`)) {
  console.error('proto/gen/iommud.js is missing; run node proto/generate.mjs');
  process.exitCode = 1;
} else {
  mkdirSync(to, { recursive: true });
  for (const name of ['iommud.js', 'iommud.d.ts']) cpSync(from + name, to + name);
}
