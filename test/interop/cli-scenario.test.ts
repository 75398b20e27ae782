/** `iommud run` and `iommud explore`, as a person meets them. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseScenario, runScenario } from '../../server/src/scenario/index.ts';
import { CLI, ROOT, TIMEOUT_MS, run } from './cli-process.ts';

const EXAMPLES = join(ROOT, 'client/examples/scenarios');
const DETACH = join(EXAMPLES, 'detach-in-a-window.scenario');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'iommud-scenario-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const iommud = (...args: readonly string[]): ReturnType<typeof run> => run([...CLI, ...args]);

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, `iommud.scenario/v1\n${text}`);
  return path;
}

describe('iommud run', () => {
  test('passes an example, and says so', { timeout: TIMEOUT_MS }, async () => {
    const { code, out, err } = await iommud('run', DETACH);
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/\npassed: .* 0 invariants broken\n$/);
  });

  // In this process: to start the command takes a hundred times as long.
  test.each(readdirSync(EXAMPLES))('%s passes', (name) => {
    const load = (path: string): string => readFileSync(join(EXAMPLES, path), 'utf8');
    const { passed, violations, done } = runScenario(parseScenario(load(name)), { load });
    expect({ passed, violations, wrong: done.flatMap(({ wrong }) => wrong) }).toEqual({ passed: true, violations: [], wrong: [] });
  });

  test('says what is otherwise, with its line, and ends with 1', { timeout: TIMEOUT_MS }, async () => {
    const path = file('wrong.scenario', 'title wrong\nmachine basic\nstate 00:02.0 => blocked=true\n');
    const { code, out } = await iommud('run', path);
    expect(code).toBe(1);
    expect(out).toContain(`${path}:4: blocked=false in place of true`);
    expect(out).toContain('failed: wrong (strict): 0 of 1 expectations, 0 invariants broken');
  });

  test('--compare prints the behaviours side by side', { timeout: TIMEOUT_MS }, async () => {
    const { code, out } = await iommud('run', DETACH, '--compare', 'linux-7.0,linux-7.1,strict');
    expect(code).toBe(0);
    const [head, ...rows] = out.split('\n');
    expect(head?.split(/\s\s+/).slice(-3)).toEqual(['linux-7.0', 'linux-7.1', 'strict']);
    const after = rows.find((row) => row.includes('"after"'));
    expect(after).toMatch(/^≠ .* performed bytes=5 +not-present bytes=0 +not-present bytes=0$/);
    expect(rows.find((row) => row.includes('alloc 4096'))).not.toContain('≠');
  });

  test('--junit writes a report', { timeout: TIMEOUT_MS }, async () => {
    const path = file('junit.scenario', 'title a <b> & "c"\nmachine basic\nalloc 4096 => ok\nalloc 4096 => EBUSY\n');
    const report = join(folder, 'report.xml');
    expect((await iommud('run', path, '--junit', report)).code).toBe(1);
    const xml = readFileSync(report, 'utf8');
    expect(xml).toContain('<testsuite name="a &lt;b&gt; &amp; &quot;c&quot; (strict)" tests="3" failures="1">');
    expect(xml).toContain('<failure message="ok in place of EBUSY"/>');
  });

  test('--json has every statement', { timeout: TIMEOUT_MS }, async () => {
    const { out } = await iommud('run', DETACH, '--json', '--behaviour', 'linux-7.0');
    const result = JSON.parse(out) as { passed: boolean; statements: { line: number; word: string; wrong: string[] }[] };
    expect(result.passed).toBe(false);
    expect(result.statements.at(-1)).toMatchObject({ word: 'ok', wrong: ['data=aftere in place of before'] });
  });

  test.each([
    [['run', '/no/such/file'], '/no/such/file'],
    [['run', DETACH, '--behaviour', 'bsd'], '--behaviour bsd: it is one of strict, linux-7.1, linux-7.0'],
    [['run', DETACH, '--without-fix', 'abc'], '--without-fix abc: it is one of'],
    [['run', DETACH, '--seed', 'x'], '--seed x is no whole number'],
    [['explore', DETACH], 'has no actors'],
    [['explore', DETACH, '--machine', 'nested'], '--machine is of built-in actors'],
    [['explore', '--machine', 'vax'], '--machine vax: it is one of plain, direct-regions, nested, or all'],
  ])('%j is wrong usage', { timeout: TIMEOUT_MS }, async (args, text) => {
    const { code, err } = await iommud(...args);
    expect([code, err]).toEqual([2, expect.stringContaining(text)]);
  });

  test('a line that cannot be read is named with its file', { timeout: TIMEOUT_MS }, async () => {
    const path = file('bad.scenario', 'machine basic\nfly away\n');
    expect(await iommud('run', path)).toMatchObject({
      code: 2,
      err: expect.stringContaining(`${path}: line 3: there is no verb "fly"`) as unknown,
    });
  });
});

describe('iommud explore', () => {
  test("runs a file's actors in every order", { timeout: TIMEOUT_MS }, async () => {
    const { code, out } = await iommud('explore', join(EXAMPLES, 'reset-and-attach.scenario'));
    expect(code).toBe(0);
    expect(out).toMatch(
      /^a reset and an attach, in any order: (\d+) orders possible, \1 run, \d+ end states\n\n\1 orders, 0 violations\n$/,
    );
  });

  test('writes the order that broke something as a scenario, which repeats it', { timeout: 2 * TIMEOUT_MS }, async () => {
    const { code, out } = await iommud(
      'explore',
      join(EXAMPLES, 'reset-and-attach.scenario'),
      '--without-fix',
      '0d5fd7a9323c',
      '--out',
      folder,
    );
    expect([code, out]).toEqual([0, expect.stringContaining('0 violations')]);
    const two = file(
      'two.scenario',
      'title two windows\nmachine siblings\nclock manual\nactor a\n prepare 00:05.0 a\nactor b\n prepare 00:05.0 b\n',
    );
    const found = await iommud('explore', two, '--without-fix', '0d5fd7a9323c', '--out', folder);
    expect(found.code).toBe(1);
    expect(found.out).toMatch(/violations; the shortest has \d+ steps: invariant 5: /);
    const [, command] = /^ {2}iommud run (.*)$/m.exec(found.out) ?? [];
    expect(existsSync(command ?? '')).toBe(true);
    const again = await iommud('run', command ?? '');
    expect(again).toMatchObject({ code: 1, out: expect.stringContaining('invariant 5') as unknown });
  });

  test('finds by itself what a fix of Linux mended', { timeout: 4 * TIMEOUT_MS }, async () => {
    const { code, out } = await iommud('explore', '--first', '--orders', '3000', '--without-fix', '5474e6e17a26', '--out', folder);
    expect(code).toBe(1);
    expect(out).toMatch(/invariant 12: .*\n {2}iommud run .*reset\+detach\.scenario\n/);
  });

  test('on another machine too, which the name of the set says', { timeout: 4 * TIMEOUT_MS }, async () => {
    const wanted = ['--machine', 'nested', '--without-fix', 'b296ca1fb43a'];
    const { code, out } = await iommud('explore', '--first', '--orders', '3000', ...wanted, '--out', folder);
    expect(code).toBe(1);
    expect(out).toMatch(/^nested: reset\+sibling-reset: /m);
    expect(out).toMatch(/iommud run .*nested-reset\+sibling-reset\.scenario\n/);
  });
});
