import { describe, expect, it } from 'vitest';
import { filesAreShort, functionsAreShort, namesSayWhatIsInside } from './shape.ts';
import { readTree, specimen } from './tree.ts';

const tree = readTree();

function lines(count: number, line = 'f();'): string {
  return `${line}\n`.repeat(count);
}

describe('names', () => {
  it('are kebab-case and say what is inside, in this repository', () => {
    expect(namesSayWhatIsInside(tree)).toEqual([]);
  });

  it.each(['proto/frameCodec.ts', 'proto/Frame.ts', 'proto/frame_codec.ts', 'client/Src/a.ts'])('reports %s', (path) => {
    expect(namesSayWhatIsInside(specimen({ [path]: '' }))).toEqual([expect.stringContaining('not kebab-case')]);
  });

  it.each(['proto/utils.ts', 'client/src/common/a.ts', 'test/kit/misc.test.ts', 'test/helpers/a.ts', 'proto/frame-utils.ts'])(
    'reports %s',
    (path) => {
      expect(namesSayWhatIsInside(specimen({ [path]: '' }))).toEqual([expect.stringContaining('says nothing')]);
    },
  );
});

describe('files', () => {
  it('have at most 300 lines or a reason, in this repository', () => {
    expect(filesAreShort(tree)).toEqual([]);
  });

  it('are reported from 301 lines on', () => {
    expect(filesAreShort(specimen({ 'proto/a.ts': lines(300), 'proto/b.ts': lines(301) }))).toEqual([
      expect.stringMatching(/^proto\/b\.ts:1 has 301 lines/),
    ]);
  });

  it('are excused by a reason at the top, not by a bare mark nor by one inside', () => {
    expect(filesAreShort(specimen({ 'proto/a.ts': `// long: one table of the spec\n${lines(301)}` }))).toEqual([]);
    expect(filesAreShort(specimen({ 'proto/a.ts': `/**\n * A table.\n * long: one table of the spec\n */\n${lines(301)}` }))).toEqual([]);
    expect(filesAreShort(specimen({ 'proto/a.ts': `// long:\n${lines(301)}` }))).toHaveLength(1);
    expect(filesAreShort(specimen({ 'proto/a.ts': `${lines(301)}// long: late` }))).toHaveLength(1);
  });
});

describe('functions', () => {
  it('have at most 70 lines or a reason, in this repository', () => {
    expect(functionsAreShort(tree)).toEqual([]);
  });

  it.each([
    ['a declaration', 'function f() {', '}'],
    ['a method', 'class A { m() {', '} }'],
    ['an arrow', 'const f = () => {', '};'],
  ])('are reported from 71 lines on: %s', (_, open, close) => {
    const at = (body: number): string[] => functionsAreShort(specimen({ 'proto/a.ts': `${open}\n${lines(body)}${close}` }));
    expect(at(68)).toEqual([]);
    expect(at(69)).toEqual([expect.stringMatching(/^proto\/a\.ts:1 a function of 71 lines/)]);
  });

  it('are excused by a reason above or inside', () => {
    const body = `function f() {\n${lines(80)}}`;
    expect(functionsAreShort(specimen({ 'proto/a.ts': `// long: a decoder\n${body}` }))).toEqual([]);
    expect(functionsAreShort(specimen({ 'proto/a.ts': body.replace('{', '{ // long: a decoder') }))).toEqual([]);
    expect(functionsAreShort(specimen({ 'proto/a.ts': `// long: a decoder\n\n\n${body}` }))).toHaveLength(1);
  });

  it('do not include the list of a suite', () => {
    expect(functionsAreShort(specimen({ 'test/a.test.ts': `describe('x', () => {\n${lines(80)}});` }))).toEqual([]);
    expect(functionsAreShort(specimen({ 'test/a.test.ts': `it('x', () => {\n${lines(80)}});` }))).toHaveLength(1);
  });
});
