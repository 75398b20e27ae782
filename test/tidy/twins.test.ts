import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERRORS } from '../../server/src/core/base/index.ts';
import { REPOSITORY, readTree, specimen } from './tree.ts';
import { errorPageProblems, packageProblems, unitTestsHaveTheirSource } from './twins.ts';

const tree = readTree();

describe('unit tests', () => {
  it('have their source, in this repository', () => {
    expect(unitTestsHaveTheirSource(tree)).toEqual([]);
  });

  it('find it under the server, in a room, and for one aspect', () => {
    const files = {
      'server/src/core/base/clock.ts': '',
      'test/unit/core/base/clock.test.ts': '',
      'test/unit/core/base/clock.alarms.test.ts': '',
      'server/src/core/devices/dma-probe/index.ts': '',
      'test/unit/core/devices/dma-probe.test.ts': '',
      'proto/frame.ts': '',
      'test/unit/proto/frame.test.ts': '',
    };
    expect(unitTestsHaveTheirSource(specimen(files))).toEqual([]);
  });

  it('are reported when it is gone', () => {
    expect(unitTestsHaveTheirSource(specimen({ 'test/unit/proto/frame.test.ts': '', 'proto/frames.ts': '' }))).toEqual([
      'test/unit/proto/frame.test.ts:1 has no source proto/frame.ts',
    ]);
  });
});

describe('the page of error codes', () => {
  const errors = { EPERM: { wire: 1, means: 'no' }, EIO: { wire: 5, means: 'broken' } };
  const page = (...rows: string[]): ReturnType<typeof specimen> =>
    specimen({ 'docs/errors.md': ['| code | number | means |', '|---|---|---|', ...rows].join('\n') });

  it('lists exactly the codes, in this repository', () => {
    expect(errorPageProblems(tree, ERRORS)).toEqual([]);
  });

  it('is fine when it lists them all', () => {
    expect(errorPageProblems(page('| `EPERM` | 1 | no |', '| EIO | 5 | broken |'), errors)).toEqual([]);
  });

  it.each([
    ['a missing code', ['| EPERM | 1 | no |'], 'docs/errors.md:1 does not list EIO'],
    ['a wrong number', ['| EPERM | 1 | no |', '| EIO | 6 | broken |'], 'docs/errors.md:4 EIO is 5'],
    ['another meaning', ['| EPERM | 1 | no |', '| EIO | 5 | bent |'], 'docs/errors.md:4 EIO means "broken"'],
    ['a stranger', ['| EPERM | 1 | no |', '| EIO | 5 | broken |', '| EFOO | 7 | x |'], 'docs/errors.md:5 EFOO is no code'],
    ['a code twice', ['| EPERM | 1 | no |', '| EPERM | 1 | no |', '| EIO | 5 | broken |'], 'docs/errors.md:4 EPERM is listed twice'],
  ])('reports %s', (_, rows, what) => {
    expect(errorPageProblems(page(...rows), errors)).toEqual([what]);
  });

  it('is reported when it is missing', () => {
    expect(errorPageProblems(specimen({}), errors)).toEqual(['docs/errors.md:1 is missing']);
  });
});

describe('package.json', () => {
  const manifest: unknown = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8'));

  it('names only files that are there after a build', () => {
    expect(packageProblems(manifest, (path) => existsSync(join(REPOSITORY, path)))).toEqual([]);
  });

  it('is reported when a command or an export is not there', () => {
    const made = { bin: { x: 'dist/x.js' }, exports: { '.': { types: './a.d.ts', default: './a.js' } } };
    expect(packageProblems(made, (path) => path === './a.js')).toEqual([
      'package.json:1 names dist/x.js, which does not exist',
      'package.json:1 names ./a.d.ts, which does not exist',
    ]);
  });
});
