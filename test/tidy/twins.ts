/** Rules on pairs that must stay together: a test and its source, a code and its line in the docs, an export and its file. */
import type { Rule, Tree } from './tree.ts';

const UNIT = 'test/unit/';
/** Where the source of `test/unit/x/y.test.ts` may be: `x/y` under one of these. */
const ROOTS = ['', 'server/', 'server/src/', 'server/src/core/', 'test/'];

/** Every unit test has its source: `y.test.ts` or `y.aspect.test.ts` tests `y.ts`, `y.mjs` or the room `y/`. */
export const unitTestsHaveTheirSource: Rule = (tree) => {
  const wrong: string[] = [];
  for (const path of tree.keys()) {
    if (!path.startsWith(UNIT) || !path.endsWith('.test.ts')) continue;
    const folder = path.slice(UNIT.length, path.lastIndexOf('/') + 1);
    const name = path.slice(path.lastIndexOf('/') + 1).split('.')[0] ?? '';
    const twins = ROOTS.flatMap((root) => ['.ts', '.tsx', '.mjs', '/index.ts'].map((end) => `${root}${folder}${name}${end}`));
    if (!twins.some((twin) => tree.has(twin))) wrong.push(`${path}:1 has no source ${folder}${name}.ts`);
  }
  return wrong;
};

const ERRORS_PAGE = 'docs/errors.md';
/** `| EPERM | 1 | the role … |` */
const ERROR_ROW = /^\|\s*`?([A-Z][A-Z0-9]+)`?\s*\|\s*(\d+)\s*\|\s*(.*?)\s*\|$/;

type ErrorTable = Readonly<Record<string, { readonly wire: number; readonly means: string }>>;

/** The page of error codes lists exactly the table's codes, numbers and meanings. */
export function errorPageProblems(tree: Tree, errors: ErrorTable): string[] {
  const page = tree.get(ERRORS_PAGE);
  if (page === undefined) return [`${ERRORS_PAGE}:1 is missing`];
  const wrong: string[] = [];
  const listed = new Set<string>();
  for (const [index, line] of page.split('\n').entries()) {
    const row = ERROR_ROW.exec(line);
    const [, name = '', wire, means] = row ?? [];
    if (row === null) continue;
    const expected = errors[name];
    if (expected === undefined) wrong.push(`${ERRORS_PAGE}:${index + 1} ${name} is no code`);
    else if (expected.wire !== Number(wire)) wrong.push(`${ERRORS_PAGE}:${index + 1} ${name} is ${expected.wire}`);
    else if (expected.means !== means) wrong.push(`${ERRORS_PAGE}:${index + 1} ${name} means "${expected.means}"`);
    if (listed.has(name)) wrong.push(`${ERRORS_PAGE}:${index + 1} ${name} is listed twice`);
    listed.add(name);
  }
  for (const name of Object.keys(errors)) if (!listed.has(name)) wrong.push(`${ERRORS_PAGE}:1 does not list ${name}`);
  return wrong;
}

/** Every file that package.json names as an export or a command exists, in what was built. */
export function packageProblems(manifest: unknown, exists: (path: string) => boolean): string[] {
  const { bin, exports } = manifest as { bin?: unknown; exports?: unknown };
  return [...leaves(bin), ...leaves(exports)]
    .filter((path) => !exists(path))
    .map((path) => `package.json:1 names ${path}, which does not exist`);
}

function leaves(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(leaves) : [];
}
