/** The files that the rules look at, as path → text, so that a rule is a function and a specimen is an object. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Paths are relative to the repository, with `/`. */
export type Tree = ReadonlyMap<string, string>;
/** Applied to a tree, says each thing that is wrong as `path:line what`. */
export type Rule = (tree: Tree) => string[];

export const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));

/** What git ignores, what is generated or recorded, and the lock file: nobody writes these by hand. */
const SKIPPED_FOLDERS = new Set(
  'node_modules dist coverage .git .iommud .stryker-tmp gen fixtures __pycache__ .mypy_cache .pytest_cache build'.split(' '),
);
const SKIPPED_FILES = new Set(['package-lock.json', 'LICENSE', '.git']);
const TEXT = /\.(ts|tsx|mts|mjs|js|json|md|yml|yaml|sh|proto|py|c|h|html|css)$|(^|\/)(Dockerfile|run|\.[a-z]+)$/;

export function readTree(root = REPOSITORY): Tree {
  const files = new Map<string, string>();
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!SKIPPED_FOLDERS.has(entry.name)) visit(path);
      } else if (entry.isFile() && !SKIPPED_FILES.has(entry.name) && TEXT.test(path)) {
        files.set(path, readFileSync(join(root, path), 'utf8'));
      }
    }
  };
  visit('');
  return files;
}

/** A made-up tree for a rule's failing specimen. */
export function specimen(files: Readonly<Record<string, string>>): Tree {
  return new Map(Object.entries(files));
}

/** The files that hold TypeScript or JavaScript. */
export function sources(tree: Tree): [path: string, text: string][] {
  return [...tree].filter(([path]) => /\.(ts|tsx|mts|mjs|js)$/.test(path));
}
