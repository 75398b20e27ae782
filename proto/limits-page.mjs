/**
 * Makes docs/limits.md from proto/limits.ts and from the bounds that stand in each end's own files: `node proto/limits-page.mjs`. With `--check` it compares instead and exits with 1 on a
 * difference.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tsImport } from 'tsx/esm/api';

const SOURCE = new URL('limits.ts', import.meta.url);
const PAGE = fileURLToPath(new URL('../docs/limits.md', import.meta.url));

/** `// ---- Section`, or a docstring of one line and the constant under it. */
const ITEM = /^\/\/ ---- (?<section>.+)$|^\/\*\* (?<reason>.+) \*\/\nexport const (?<name>[A-Z0-9_]+) = /gm;

/** A docstring of one line, and a bound of the file under it. */
const BOUND = /^\/\*\* (?<reason>.+) \*\/\n(?:export )?const (?<name>[A-Z0-9_]+_MAX) = (?<value>[\d_ <*n]+);/gm;

/** The bounds inside each end as a table: `files` are sources by their path. */
export function endBounds(files) {
  const rows = [];
  for (const [path, text] of files) {
    for (const { groups } of text.matchAll(BOUND)) {
      const value = Number(
        groups.value
          .replaceAll(/[_n]/g, '')
          .split('<<')
          .reduce((sum, part) => (sum === '' ? part : Number(sum) * 2 ** Number(part)), ''),
      );
      rows.push(`| \`${groups.name}\` | ${readable(groups.name, value)} | ${groups.reason} | \`${path}\` |`);
    }
  }
  return ['', '## Inside each end', '', '| limit | value | why | where |', '|---|---|---|---|', ...rows].join('\n');
}

export function endFiles() {
  const root = fileURLToPath(new URL('../', import.meta.url));
  const below = (folder) => readdirSync(join(root, folder), { recursive: true }).map((path) => `${folder}/${path.replaceAll('\\', '/')}`);
  const paths = ['client/src', 'server/src'].flatMap(below).filter((path) => path.endsWith('.ts'));
  return paths.toSorted((a, b) => (a < b ? -1 : 1)).map((path) => [path, readFileSync(join(root, path), 'utf8')]);
}

/** The page's text. `values` are the constants of `source` by name. Throws when one has no reason. */
export function limitsPage(source, values, files = []) {
  const lines = [
    '# Limits',
    '',
    'Every bound with its reason: those of the wire, for both ends, and those inside each end. Made from the sources by',
    '`node proto/limits-page.mjs`; do not edit.',
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
  if (files.length > 0) lines.push(endBounds(files));
  return `${lines.join('\n')}\n`;
}

function readable(name, value) {
  if (/_BYTES(_|$)/.test(name)) {
    if (value % 2 ** 30 === 0) return `${value / 2 ** 30} GiB`;
    if (value % (1 << 20) === 0) return `${value / (1 << 20)} MiB`;
    if (value % 1024 === 0) return `${value / 1024} KiB`;
    return `${value} bytes`;
  }
  if (/_SECONDS(_|$)/.test(name)) return `${value} s`;
  if (/_MS(_|$)/.test(name)) return value % 1000 === 0 ? `${value / 1000} s` : `${value} ms`;
  return String(value);
}

async function main(args) {
  if (args.length > 1 || (args.length === 1 && args[0] !== '--check')) {
    console.error('usage: node proto/limits-page.mjs [--check]');
    return 2;
  }
  const page = limitsPage(readFileSync(SOURCE, 'utf8'), { ...(await tsImport(SOURCE.href, import.meta.url)) }, endFiles());
  if (args.length === 0) {
    writeFileSync(PAGE, page);
    return 0;
  }
  if (readFileSync(PAGE, 'utf8') === page) return 0;
  console.error('docs/limits.md is not what proto/limits.ts and the server give; run node proto/limits-page.mjs');
  return 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv.slice(2));
