import { describe, expect, it } from 'vitest';
import { doorsAreOnlyDoors, doorsNameWhatTheyOffer, importsFollowTheTable, noCircles, tableProblems } from './imports.ts';
import { ROOMS, roomOf } from './rooms.ts';
import { readTree, specimen, type Rule } from './tree.ts';

const tree = readTree();

function report(rule: Rule, files: Record<string, string>): string[] {
  return rule(specimen(files));
}

describe('the rooms table', () => {
  it('names only rooms, and no room reaches itself', () => {
    expect(tableProblems()).toEqual([]);
  });

  it('is reported when it has a circle or a stranger', () => {
    const rooms = [
      { folder: 'a', is: '', imports: ['b'] },
      { folder: 'b', is: '', imports: ['a', 'c'] },
    ];
    expect(tableProblems(rooms)).toEqual(expect.arrayContaining(['a → b → a is a circle', 'b names c, which is no room']));
  });

  it('gives a file to the innermost room', () => {
    expect(roomOf('server/src/app/topology/preset.ts')?.folder).toBe('server/src/app/topology');
    expect(roomOf('server/src/app/app.ts')?.folder).toBe('server/src/app');
    expect(roomOf('server/src/application.ts')?.folder).toBe('server/src');
    expect(roomOf('docs/x.ts')).toBeUndefined();
  });

  it('gives core no packages at all', () => {
    const core = ROOMS.filter((room) => room.folder.startsWith('server/src/core/'));
    expect(core).toHaveLength(7);
    expect(core.every((room) => room.packages?.length === 0)).toBe(true);
  });
});

describe('imports follow the table', () => {
  it('in this repository', () => {
    expect(importsFollowTheTable(tree)).toEqual([]);
  });

  it.each([
    ['a room below', 'server/src/core/memory/ram.ts', `import { hex } from '../base/index.ts';`],
    ['its own file', 'server/src/core/memory/ram.ts', `import { x } from './y.ts';`],
    ['a file of proto', 'server/src/transport/websocket.ts', `import { FRAME_BYTES_MAX } from '../../../proto/limits.ts';`],
    ['a Node module where Node is', 'server/src/transport/websocket.ts', `import { once } from 'node:events';`],
    ['a door, late', 'client/cli/serve.ts', `const { buildApp } = await import('../../server/src/app/index.ts');`],
    ['the type of a late door', 'client/cli/serve.ts', `import type { App } from '../../server/src/app/index.ts';`],
    ['the package by its name', 'client/examples/first.ts', `import { startMachine } from 'iommud/testing';`],
    ['anything, in a test', 'test/unit/core/base/clock.test.ts', `import { Clock } from '../../../../server/src/core/base/clock.ts';`],
  ])('allows %s', (_, path, text) => {
    expect(report(importsFollowTheTable, { [path]: text })).toEqual([]);
  });

  it.each([
    [
      'a room above',
      'server/src/core/base/a.ts',
      `import { m } from '../machine/index.ts';`,
      'core/base may not import server/src/core/machine',
    ],
    [
      'a re-export of a room above',
      'server/src/core/base/a.ts',
      `export { m } from '../pci/index.ts';`,
      'core/base may not import server/src/core/pci',
    ],
    [
      'a type of a room above',
      'server/src/core/base/a.ts',
      `import type { M } from '../pci/index.ts';`,
      'core/base may not import server/src/core/pci',
    ],
    [
      'an inline type',
      'server/src/core/base/a.ts',
      `export type M = import('../pci/index.ts').M;`,
      'core/base may not import server/src/core/pci',
    ],
    [
      'past a door',
      'server/src/core/memory/a.ts',
      `import { hex } from '../base/address.ts';`,
      'goes past the door of server/src/core/base',
    ],
    [
      'past the doors of proto',
      'server/src/app/a.ts',
      `import { PacketReader } from '../../../proto/frame.ts';`,
      'goes past the door of proto',
    ],
    [
      'generated code outside rpc',
      'server/src/app/a.ts',
      `import { iommud } from '../../../proto/gen/iommud.js';`,
      'app may not import proto/gen',
    ],
    ['a package in core', 'server/src/core/base/a.ts', `import Long from 'long';`, 'may not import the package long'],
    ['a late package in core', 'server/src/core/base/a.ts', `export const l = () => import('long');`, 'may not import the package long'],
    ['Node in the client', 'client/src/a.ts', `import { readFileSync } from 'node:fs';`, 'may not import the package node:fs'],
    [
      'the server in the client',
      'client/src/a.ts',
      `import { m } from '../../server/src/core/machine/index.ts';`,
      'client/src may not import',
    ],
    [
      'a door at once that should be late',
      'client/cli/a.ts',
      `import { m } from '../../server/src/app/index.ts';`,
      'server/src/app statically',
    ],
    [
      'a named type import, which still loads',
      'client/cli/a.ts',
      `import { type M } from '../../server/src/app/index.ts';`,
      'app statically',
    ],
    ['the tests', 'server/src/app/a.ts', `import { k } from '../../../test/kit/k.ts';`, 'app may not import test'],
    ['a computed name', 'server/src/app/a.ts', `export const load = (x: string) => import(x);`, 'imports an expression'],
    [
      'a file outside',
      'server/src/app/a.ts',
      `import m from '../../../package.json' with { type: 'json' };`,
      'package.json, which is in no room',
    ],
  ])('reports %s', (_, path, text, what) => {
    const found = report(importsFollowTheTable, { [path]: `\n${text}` });
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`${path}:2 `);
    expect(found[0]).toContain(what);
  });

  it('reports a file that is in no room', () => {
    expect(report(importsFollowTheTable, { 'server/tool.ts': '' })).toEqual(['server/tool.ts:1 is in no room of test/tidy/rooms.ts']);
  });

  it('is not fooled by comments, strings, templates and regular expressions', () => {
    const text = [
      `// import { a } from '../machine/index.ts';`,
      `/* import '../machine/index.ts' */`,
      `export const a = "import { m } from '../machine/index.ts'";`,
      'export const b = `${1} import "../machine/index.ts" ${`import("../machine/index.ts")`}`;',
      `export const c = /import '..\\/machine'/.test('/*');`,
    ].join('\n');
    expect(report(importsFollowTheTable, { 'server/src/core/base/a.ts': text })).toEqual([]);
  });
});

describe('doors', () => {
  it('name what they offer, in this repository', () => {
    expect(doorsNameWhatTheyOffer(tree)).toEqual([]);
  });

  it.each([`export * from './a.ts';`, `export * as a from './a.ts';`, `export type * from './a.ts';`])('report %s', (text) => {
    expect(report(doorsNameWhatTheyOffer, { 'server/src/rpc/index.ts': text })).toHaveLength(1);
  });

  it('hold nothing but re-exports, in this repository', () => {
    expect(doorsAreOnlyDoors(tree)).toEqual([]);
  });

  it('report code in a door', () => {
    const text = `export { a } from './a.ts';\nexport const b = 1;\nimport './c.ts';`;
    expect(report(doorsAreOnlyDoors, { 'server/src/rpc/index.ts': text })).toEqual([
      'server/src/rpc/index.ts:2 a door only re-exports',
      'server/src/rpc/index.ts:3 a door only re-exports',
    ]);
  });
});

describe('circles', () => {
  it('there are none in this repository', () => {
    expect(noCircles(tree)).toEqual([]);
  });

  it('are reported with their way round', () => {
    const found = report(noCircles, {
      'proto/a.ts': `import { b } from './b.ts';`,
      'proto/b.ts': `import { c } from './c.ts';`,
      'proto/c.ts': `export { a } from './a.ts';`,
    });
    expect(found).toEqual(['proto/a.ts:1 imports itself through proto/b.ts → proto/c.ts → proto/a.ts']);
  });

  it('are not made by types', () => {
    const files = { 'proto/a.ts': `import { b } from './b.ts';`, 'proto/b.ts': `import type { A } from './a.ts';` };
    expect(report(noCircles, files)).toEqual([]);
  });
});
