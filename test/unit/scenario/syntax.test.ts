import { describe, expect, it } from 'vitest';
import { parseScenario, type Statement } from '../../../server/src/scenario/syntax.ts';

const HEAD = 'iommud.scenario/v1\n';

function only(line: string): Statement {
  const { setup } = parseScenario(HEAD + line);
  expect(setup).toHaveLength(1);
  return setup[0]!;
}

describe('a line', () => {
  it('has a name, a verb, arguments, options and an expectation', () => {
    const line = only('w = start write 00:02.0 0x10 "a \\"b\\" #" hold=issued => performed data="x y" bytes=5 # why');
    expect(line).toMatchObject({ line: 2, name: 'w', started: true, verb: 'write' });
    expect(line.args.map(({ text, kind }) => [kind, text])).toEqual([
      ['word', '00:02.0'],
      ['word', '0x10'],
      ['text', 'a "b" #'],
    ]);
    expect([...line.options]).toEqual([['hold', 'issued']]);
    expect(line.expect).toEqual({
      word: 'performed',
      fields: new Map([
        ['data', 'x y'],
        ['bytes', '5'],
      ]),
    });
  });

  it('may expect fields alone', () => {
    expect(only('state 00:02.0 => blocked=true').expect).toEqual({ word: '', fields: new Map([['blocked', 'true']]) });
  });

  it('of nothing but a comment is none, and quotes keep what they hold', () => {
    expect(parseScenario(`${HEAD}\n  # nothing\n\n`).setup).toEqual([]);
    expect(only('poke 0 "=> start = #"').args[1]).toEqual({ kind: 'text', text: '=> start = #' });
  });
});

describe('blocks', () => {
  const text = `${HEAD}title a b
behaviour linux-7.1
alloc 4096
actor one
  detach 00:02.0
  detach 00:02.0
actor two
  attach 00:02.0 1
order one two
order one
finally
  state 00:02.0
`;

  it('are what comes before, the actors, and what comes after', () => {
    const scenario = parseScenario(text);
    expect(scenario).toMatchObject({ title: 'a b', order: ['one', 'two', 'one'] });
    expect(scenario.declarations.map(({ verb }) => verb)).toEqual(['behaviour']);
    expect(scenario.setup.map(({ verb }) => verb)).toEqual(['alloc']);
    expect(scenario.actors.map(({ name, statements }) => [name, statements.length])).toEqual([
      ['one', 2],
      ['two', 1],
    ]);
    expect(scenario.after.map(({ verb, line }) => [verb, line])).toEqual([['state', 13]]);
  });

  it('read the same with the line ends of Windows', () => {
    expect(parseScenario(text.replaceAll('\n', '\r\n'))).toEqual(parseScenario(text));
  });
});

describe('what cannot be read names its line', () => {
  it.each([
    ['', 'line 1: a scenario begins with the line "iommud.scenario/v1"'],
    ['iommud.scenario/v2\n', 'line 1: a scenario begins'],
    [`${HEAD}poke 0 "open`, 'line 2: cannot read "\\"open"'],
    [`${HEAD}1x = alloc 1`, 'line 2: "1x" is no name'],
    [`${HEAD}a = `, 'line 2: says nothing to do'],
    [`${HEAD}start`, 'line 2: says nothing to do'],
    [`${HEAD}alloc 1 => ok fine`, 'line 2: after => stands one word'],
    [`${HEAD}alloc 1 =>`, 'line 2: after => stands one word'],
    [`${HEAD}actor\n`, 'line 2: write "actor NAME"'],
    [`${HEAD}actor a\nactor a\n`, 'line 3: there is an actor "a" already'],
    [`${HEAD}alloc 1\nclock manual`, 'line 3: "clock" stands before all that is done'],
    [`${HEAD}actor a\n alloc 1\norder a b`, 'line 4: the order names "b", which is no actor'],
    [HEAD + 'held\n'.repeat(10_001), 'line 10000: a scenario has at most 10000 lines'],
  ])('%j', (text, message) => {
    expect(() => parseScenario(text)).toThrow(
      expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining(message) as unknown }),
    );
  });
});
