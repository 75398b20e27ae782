import { describe, expect, it } from 'vitest';
import { readTree, specimen } from './tree.ts';
import { coreIsDeterministic, noPathsOfMachines, nothingUnfinished, onlyConfigReadsTheEnvironment } from './words.ts';

const tree = readTree();

describe('core is deterministic', () => {
  it('in this repository', () => {
    expect(coreIsDeterministic(tree)).toEqual([]);
  });

  it.each([
    ['async', 'export async function f() {}'],
    ['async', 'export const f = async () => 1;'],
    ['await', 'await f();'],
    ['Promise', 'export type P = Promise<void>;'],
    ['Date', 'export const d = Date.now();'],
    ['setTimeout', 'setTimeout(f, 1);'],
    ['Math.random', 'export const r = Math.random();'],
    ['console', "console.log('x');"],
    ['process', 'export const e = process.env;'],
    ['Buffer', 'export const b = Buffer.alloc(1);'],
    ['globalThis', "export const g = globalThis['Date'];"],
    ['node:fs', "import { readFileSync } from 'node:fs';"],
  ])('reports %s', (word, text) => {
    const found = coreIsDeterministic(specimen({ 'server/src/core/base/a.ts': `\n${text}` }));
    expect(found.some((line) => line.startsWith('server/src/core/base/a.ts:2 core may not') && line.endsWith(word))).toBe(true);
  });

  it('lets a member be called so, and text speak of it', () => {
    const text = "// no Promise, no Date\nexport const a = { process: 1, async: 'await Date' };\nexport const b = a.process;";
    expect(coreIsDeterministic(specimen({ 'server/src/core/base/a.ts': text }))).toEqual([]);
  });

  it('says nothing of other rooms', () => {
    expect(coreIsDeterministic(specimen({ 'server/src/app/a.ts': 'await f(Date.now());' }))).toEqual([]);
  });
});

describe('the environment', () => {
  it('is read by config.ts alone, in this repository', () => {
    expect(onlyConfigReadsTheEnvironment(tree)).toEqual([]);
  });

  it.each(['export const t = process.env.IOMMUD_TOKEN;', "import { env } from 'node:process';", "export const t = process.env['X'];"])(
    'reports %s',
    (text) => {
      const files = { 'server/src/app/a.ts': text, 'server/src/config.ts': text, 'client/cli/a.ts': text };
      expect(onlyConfigReadsTheEnvironment(specimen(files))).toEqual([expect.stringMatching(/^server\/src\/app\/a\.ts:1 /)]);
    },
  );
});

describe('nothing is unfinished', () => {
  it('in this repository', () => {
    expect(nothingUnfinished(tree)).toEqual([]);
  });

  it.each([
    ['TO' + 'DO', '// TO' + 'DO later', 'proto/a.ts'],
    ['FIX' + 'ME', '/* FIX' + 'ME */', 'test/a.ts'],
    ['@ts-' + 'ignore', '// @ts-' + 'ignore', 'client/src/a.ts'],
    ['as any', 'export const a = f() as any;', 'client/src/a.ts'],
    ['TO' + 'DO', 'TO' + 'DO: write this', 'docs/a.md'],
  ])('reports %s', (word, text, path) => {
    expect(nothingUnfinished(specimen({ [path]: `\n${text}` }))).toEqual([`${path}:2 ${word}`]);
  });
});

describe('paths of one machine', () => {
  it('are nowhere in this repository', () => {
    expect(noPathsOfMachines(tree)).toEqual([]);
  });

  it.each(['work', 'root'])('reports /%s', (folder) => {
    const files = { 'docs/a.md': `x\nsee \`/${folder}/x\``, 'proto/a.ts': `const a = '/${folder}';` };
    expect(noPathsOfMachines(specimen(files))).toEqual([`docs/a.md:2 /${folder}`, `proto/a.ts:1 /${folder}`]);
  });

  it('lets other paths have these words inside', () => {
    expect(noPathsOfMachines(specimen({ 'docs/a.md': 'dist/work/x, /rooted, $HOME/work, /workers' }))).toEqual([]);
  });
});
