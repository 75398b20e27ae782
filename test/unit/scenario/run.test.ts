import { describe, expect, it } from 'vitest';
import { parseScenario, runScenario, type RunOptions, type RunResult } from '../../../server/src/scenario/index.ts';

const MACHINE = 'iommud.scenario/v1\nmachine siblings\nclock manual\n';

function run(text: string, options: Partial<RunOptions> = {}): RunResult {
  return runScenario(parseScenario(text.startsWith('iommud') ? text : MACHINE + text), { load: () => expect.unreachable(), ...options });
}
function wrong(result: RunResult): readonly string[] {
  return result.done.flatMap((done) => done.wrong.map((text) => `${done.statement.line}: ${text}`));
}

describe('a run', () => {
  it('passes when everything is as expected, and says each outcome', () => {
    const result = run(
      'page = alloc 4096\nmap 00:05.0 0x1000 page 4096\nwrite 00:05.0 0x1000 "abc" => performed bytes=3\npeek page 3 => data=abc\n',
    );
    expect(result).toMatchObject({ passed: true, violations: [], order: [], behaviour: 'strict', seed: 1 });
    expect(result.done.map(({ outcome }) => outcome.word)).toEqual(['ok', 'ok', 'performed', 'ok']);
  });

  it('fails where a word, a value or a field is otherwise, and goes on', () => {
    const result = run('alloc 4096 => EBUSY\nstate 00:05.0 => blocked=true\nstate 00:05.0 => no-such=1\nheld => ok\n');
    expect(result.passed).toBe(false);
    expect(wrong(result)).toEqual(['4: ok in place of EBUSY', '5: blocked=false in place of true', '6: there is no field no-such']);
    expect(result.done).toHaveLength(4);
  });

  it('fails where a call that was not started is not answered', () => {
    const result = run('page = alloc 4096\nmap 00:05.0 0x1000 page 4096\nwrite 00:05.0 0x1000 "x" hold=translated => performed\n');
    expect(wrong(result)).toEqual([expect.stringContaining('6: it is not answered')]);
  });

  it('says of a started call what it has come to', () => {
    const text = 'page = alloc 4096\nmap 00:05.0 0x1000 page 4096\nw = start write 00:05.0 0x1000 "x" hold=translated => pending\n';
    expect(run(`${text}expect w => pending\nlet-go 00:05.0\nexpect w => performed\n`).passed).toBe(true);
  });

  it('takes the behaviour and the fixes of the caller before those of the file', () => {
    const text = 'iommud.scenario/v1\nmachine siblings\nbehaviour linux-7.1\nprepare 00:05.0 a\nprepare 00:05.0 b => ok\n';
    expect(run(text)).toMatchObject({ passed: true, behaviour: 'linux-7.1' });
    expect(wrong(run(text, { behaviour: 'linux-7.0' }))).toEqual(['5: EBUSY in place of ok']);
    expect(wrong(run(text, { withoutFixes: ['0d5fd7a9323c'] }))).toEqual(['5: EBUSY in place of ok']);
  });

  it('compares fields with the values of names', () => {
    expect(
      run('A = domain paging\nattach 00:05.0 A\nstate 00:05.0 => domain=A\nB = domain paging\ngroup 00:05.0 => domain=A\n').passed,
    ).toBe(true);
    expect(wrong(run('A = domain paging\nB = domain paging\nattach 00:05.0 A\nstate 00:05.0 => domain=B\n'))).toHaveLength(1);
  });

  it('resets in every way, and takes functions out and in', () => {
    const lines = [
      'iommud.scenario/v1',
      'machine switch',
      'reset-probe 03:00.0 => methods=flr,bus',
      'reset-methods 03:00.0 "bus flr" => methods=bus,flr',
      'reset 03:00.0 => ok method=bus elapsed=122000000 completed=1',
      'reset 03:00.0 method=flr window=no => ok method=flr elapsed=100000000 skipped=true',
      'bus-reset 02:00.0 => ok functions=03:00.0 elapsed=122000000',
      'cold-reset 02:00.0 => ok',
      'write 03:00.0 0x1000 "x" => gate-closed',
      'cold-reset => ok',
      'unplug 04:00.0 surprise=yes => functions=04:00.0 aborted=0',
      'cold-reset 04:00.0 => ENODEV',
    ];
    expect(wrong(run(lines.join('\n')))).toEqual([]);
    const plugged = [
      'iommud.scenario/v1',
      'machine switch',
      'unplug 04:00.0',
      'plug 00.0 edu port=02:01.0 => functions=04:00.0',
      'plug 00:09.0 dma-probe => functions=00:09.0',
      'plug 00:09.0 dma-probe => EINVAL',
    ];
    expect(wrong(run(plugged.join('\n')))).toEqual([]);
    expect(() => run('plug 00.0 edu port=left\n')).toThrow(/line 4: port=left: it is no place of a function/);
  });

  it('reads the topology document that it names', () => {
    const document = JSON.stringify({ schema: 'iommud.topology/v1', functions: [{ address: '00:07.0', model: 'dma-probe' }] });
    const paths: string[] = [];
    const load = (path: string): string => (paths.push(path), document);
    expect(run('iommud.scenario/v1\nmachine my.json\nstate 00:07.0 => ok\n', { load }).passed).toBe(true);
    expect(paths).toEqual(['my.json']);
  });

  it('has memory owners that answer, are silent and leave', () => {
    const text = `iommud.scenario/v1
machine basic
owner far 0x8000000000 0x1000 => ok
map 00:02.0 0x1000 0x8000000000 4096
a = start write 00:02.0 0x1000 "a"
answer far
expect a => performed
b = start read 00:02.0 0x1000 1
leave far
expect b => completer-abort
`;
    expect(wrong(run(text))).toEqual([]);
  });
});

describe('actors', () => {
  const ACTORS = `B = domain paging
actor reset
  prepare 00:05.0 w
  done 00:05.0 w
actor driver
  attach 00:05.1 B
`;

  it('go one after the other, in the order of the file, or in one that is drawn from the seed', () => {
    const plain = run(ACTORS);
    expect(plain.order.lastIndexOf('reset')).toBeLessThan(plain.order.indexOf('driver'));
    expect(plain.passed).toBe(true);
    const drawn = [1, 2, 3, 4].map((seed) => run(ACTORS, { seed, shuffle: true }).order.join(' '));
    expect(new Set(drawn).size).toBeGreaterThan(1);
    expect(run(ACTORS, { seed: 2, shuffle: true })).toMatchObject({
      order: drawn[1]!.split(' '),
      traceHash: run(ACTORS, { seed: 2, shuffle: true }).traceHash,
    });
  });

  it('take the steps that an order names, and fall into line after it', () => {
    const steps = [...Array.from({ length: 7 }, () => 'reset'), 'driver', 'driver'];
    const { order, done } = run(`${ACTORS}order ${steps.join(' ')}\n`);
    expect(order.slice(0, 9)).toEqual(steps);
    expect(order.slice(9).every((name) => name === 'reset')).toBe(true);
    expect(done.map(({ outcome }) => outcome.word)).toEqual(['ok', 'ok', 'EBUSY', 'ok']);
  });

  it('refuse an order whose step cannot be taken', () => {
    expect(() => run(`${ACTORS}order ${'driver '.repeat(30)}\n`)).toThrow(
      expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining('"driver"') as unknown }),
    );
  });

  it('fail a run in which an invariant is broken', () => {
    const result = run(`actor one\n  prepare 00:05.0 a\nactor two\n  prepare 00:05.1 b\n`, { withoutFixes: ['b296ca1fb43a'] });
    expect(result).toMatchObject({ passed: false, violations: [{ invariant: 20 }] });
  });
});

describe('what cannot be said so names its line', () => {
  it.each([
    ['fly 1', 'line 4: there is no verb "fly"'],
    ['constructor', 'line 4: there is no verb "constructor"'],
    ['attach 00:05.0', 'line 4: attach needs a domain'],
    ['attach 5 1', 'line 4: "5" is no place of a function'],
    ['attach 00:05.0 A', 'line 4: "A" is no number and no name of one'],
    ['alloc 4096 1', 'line 4: "1" is one argument too many'],
    ['alloc 4096 size=1', 'line 4: alloc has no option "size"'],
    ['write 00:05.0 0 "x" hold=never', 'line 4: hold=never: it is one of issued'],
    ['arm 00:05.0 rain', 'line 4: "rain" is not one of hold'],
    ['expect w', 'line 4: "w" is no call that was started'],
    ['leave far', 'line 4: "far" is no memory owner'],
  ])('%s', (line, message) => {
    expect(() => run(line)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining(message) as unknown }));
  });

  it.each([
    ['behaviour windows', 'line 2: behaviour is one of strict'],
    ['machine basic\nfunction 00:01.0 dma-probe', 'line 3: a scenario has functions of its own or a machine by name'],
    ['function 00:01.0', 'line 2: write "function ADDRESS MODEL'],
    ['function 00:01.0 toaster', 'toaster'],
  ])('%s', (lines, message) => {
    expect(() => run(`iommud.scenario/v1\n${lines}\n`)).toThrow(
      expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining(message) as unknown }),
    );
  });

  it('but what the machine refuses as malformed is an outcome', () => {
    expect(run('state 00:09.0 => ENODEV\nunmap 00:05.0 1 1 => EINVAL\n').passed).toBe(true);
  });
});
