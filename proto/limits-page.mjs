/**
 * Makes docs/limits.md from proto/limits.ts: `node proto/limits-page.mjs`. With `--check` it compares instead and exits with 1 on a
 * difference.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { tsImport } from 'tsx/esm/api';

const SOURCE = new URL('limits.ts', import.meta.url);
const PAGE = fileURLToPath(new URL('../docs/limits.md', import.meta.url));

/** `// ---- Section`, or a docstring of one line and the constant under it. */
const ITEM = /^\/\/ ---- (?<section>.+)$|^\/\*\* (?<reason>.+) \*\/\nexport const (?<name>[A-Z0-9_]+) = /gm;

/** The page's text. `values` are the constants of `source` by name. Throws when one has no reason. */
export function limitsPage(source, values) {
  const lines = [
    '# Limits',
    '',
    'Every bound of the wire, for both ends, with its reason. Made from `proto/limits.ts` by `node proto/limits-page.mjs`; do not edit.',
    'What goes past one gets the close code or error named with it; see [protocol.md](protocol.md).',
  ];
  const listed = new Set();
  for (const { groups } of source.matchAll(ITEM)) {
    if (groups.section !== undefined) {
      lines.push('', `## ${groups.section}`, '', '| limit | value | why |', '|---|---|---|');
    } else {
      listed.add(groups.name);
      lines.push(`| \`${groups.name}\` | ${readable(groups.name, values[groups.name])} | ${groups.reason} |`);
    }
  }
  const silent = Object.keys(values).filter((name) => !listed.has(name));
  if (silent.length > 0) throw new Error(`proto/limits.ts: no reason in one line above ${silent.join(', ')}`);
  return `${lines.join('\n')}\n`;
}

function readable(name, value) {
  if (/_BYTES(_|$)/.test(name)) {
    if (value % (1 << 20) === 0) return `${value / (1 << 20)} MiB`;
    if (value % 1024 === 0) return `${value / 1024} KiB`;
    return `${value} bytes`;
  }
  if (/_MS(_|$)/.test(name)) return value % 1000 === 0 ? `${value / 1000} s` : `${value} ms`;
  return String(value);
}

async function main(args) {
  if (args.length > 1 || (args.length === 1 && args[0] !== '--check')) {
    console.error('usage: node proto/limits-page.mjs [--check]');
    return 2;
  }
  const page = limitsPage(readFileSync(SOURCE, 'utf8'), { ...(await tsImport(SOURCE.href, import.meta.url)) });
  if (args.length === 0) {
    writeFileSync(PAGE, page);
    return 0;
  }
  if (readFileSync(PAGE, 'utf8') === page) return 0;
  console.error('docs/limits.md is not what proto/limits.ts gives; run node proto/limits-page.mjs');
  return 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv.slice(2));
