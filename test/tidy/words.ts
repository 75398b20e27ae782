/** Rules on words: what core may not say, what nobody may leave behind, and who reads the environment. */
import { parse, walk, type Node } from './parse.ts';
import { sources, type Rule } from './tree.ts';

const CORE = 'server/src/core/';

/** What makes a result depend on anything but the inputs, or waits outside the machine's own clock. */
const NOT_IN_CORE = new Set(
  (
    'Promise Date setTimeout setInterval setImmediate queueMicrotask performance Intl console process Buffer globalThis ' +
    'fetch crypto Atomics WeakRef FinalizationRegistry'
  ).split(' '),
);

/** Core has no `async`, timers, dates, chance or Node. */
export const coreIsDeterministic: Rule = (tree) => {
  const wrong: string[] = [];
  for (const [path, text] of sources(tree)) {
    if (!path.startsWith(CORE)) continue;
    const { program, lineOf, imports } = parse(path, text);
    for (const item of imports) if (item.from.startsWith('node:')) wrong.push(`${path}:${item.line} core may not import ${item.from}`);
    walk(program, (node, parents) => {
      const word = bannedWord(node, parents[0]);
      if (word !== undefined) wrong.push(`${path}:${lineOf(node.start)} core may not use ${word}`);
    });
  }
  return wrong;
};

function bannedWord(node: Node, parent: Node | undefined): string | undefined {
  if (node['async'] === true) return 'async';
  if (node.type === 'AwaitExpression' || (node.type === 'ForOfStatement' && node['await'] === true)) return 'await';
  if (node.type === 'MemberExpression' && nameOf(node['object']) === 'Math' && nameOf(node['property']) === 'random') return 'Math.random';
  const name = nameOf(node);
  return name !== undefined && NOT_IN_CORE.has(name) && !isOnlyAKey(node, parent) ? name : undefined;
}

/** The name after a dot or before a colon is the object's own and refers to nothing outside. */
function isOnlyAKey(node: Node, parent: Node | undefined): boolean {
  if (parent?.['computed'] !== false) return false;
  return parent['property'] === node || parent['key'] === node;
}

function nameOf(node: unknown): string | undefined {
  const { type, name } = (node ?? {}) as { type?: string; name?: string };
  return type === 'Identifier' ? name : undefined;
}

/** In the server only config.ts reads the environment. */
export const onlyConfigReadsTheEnvironment: Rule = (tree) => {
  const wrong: string[] = [];
  for (const [path, text] of sources(tree)) {
    if (!path.startsWith('server/src/') || path === 'server/src/config.ts') continue;
    const { program, lineOf } = parse(path, text);
    walk(program, (node) => {
      const reads =
        (node.type === 'MemberExpression' && nameOf(node['object']) === 'process' && nameOf(node['property']) === 'env') ||
        (node.type === 'ImportSpecifier' && nameOf(node['imported']) === 'env');
      if (reads) wrong.push(`${path}:${lineOf(node.start)} reads the environment; only server/src/config.ts does`);
    });
  }
  return wrong;
};

const UNFINISHED = /\b(TODO|FIXME|XXX|HACK)\b/;
const SILENCED = /@ts-(ignore|nocheck|expect-error)/;

/** No work left for later and no check switched off. */
export const nothingUnfinished: Rule = (tree) => {
  const wrong: string[] = [];
  for (const [path, text] of sources(tree)) {
    const { program, comments, lineOf } = parse(path, text);
    for (const comment of comments) {
      const word = UNFINISHED.exec(comment.text)?.[0] ?? SILENCED.exec(comment.text)?.[0];
      if (word !== undefined) wrong.push(`${path}:${comment.line} ${word}`);
    }
    walk(program, (node) => {
      const type = node['typeAnnotation'] as Node | undefined;
      if ((node.type === 'TSAsExpression' || node.type === 'TSTypeAssertion') && type?.type === 'TSAnyKeyword') {
        wrong.push(`${path}:${lineOf(node.start)} as any`);
      }
    });
  }
  for (const [path, text] of tree) {
    if (/\.(md|yml|yaml|sh|proto)$|Dockerfile$|\/run$/.test(path)) wrong.push(...linesWith(path, text, UNFINISHED));
  }
  return wrong;
};

/** Folders that exist on one machine only. */
const MACHINE_PATH = /(?<![\w.}$)*-])\/(work|root)(?![\w-])/;

/** The project names no path of the machine it was written on. */
export const noPathsOfMachines: Rule = (tree) => [...tree].flatMap(([path, text]) => linesWith(path, text, MACHINE_PATH));

function linesWith(path: string, text: string, what: RegExp): string[] {
  return text.split('\n').flatMap((line, index) => {
    const found = what.exec(line)?.[0];
    return found === undefined ? [] : [`${path}:${index + 1} ${found}`];
  });
}
