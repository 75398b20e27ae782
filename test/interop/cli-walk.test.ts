/** `iommud walk`, as a person meets it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLI, ROOT, TIMEOUT_MS, run } from './cli-process.ts';

const TABLES = join(ROOT, 'test/fixtures/pgtables/x86-64.json');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'iommud-walk-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const walk = (...args: readonly string[]): ReturnType<typeof run> => run([...CLI, 'walk', ...args]);

/** The fixture with so many of its lookups wrong. */
function withWrong(count: number): string {
  const tables = JSON.parse(readFileSync(TABLES, 'utf8')) as { lookups: [string, string][] };
  tables.lookups = tables.lookups.map(([iova, address], i) => [iova, i < count ? `${address === '0' ? '1' : ''}${address}000` : address]);
  const path = join(folder, `wrong-${count}.json`);
  writeFileSync(path, JSON.stringify(tables));
  return path;
}

describe('iommud walk', () => {
  test('--iova explains one address', { timeout: TIMEOUT_MS }, async () => {
    const { code, out, err } = await walk('--tables', TABLES, '--iova', '0x10234');
    expect([code, err]).toEqual([0, '']);
    expect(out.split('\n')).toHaveLength(7);
    expect(out).toMatch(/^x86-64: 0x10234\nlevel 4 .*\n0xabcde234, a page of 4 KiB, read write execute\n$/s);
  });

  test('--json has every level', { timeout: TIMEOUT_MS }, async () => {
    const { code, out } = await walk('--tables', TABLES, '--iova', '65536', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      iova: '0x10000',
      outcome: 'performed',
      address: '0xabcde000',
      levels: [{ level: 'level 4', is: 'table' }, {}, {}, {}],
    });
  });

  test('--check counts, and ends with 1 when one disagrees', { timeout: TIMEOUT_MS }, async () => {
    expect(await walk('--tables', TABLES, '--check')).toMatchObject({ code: 0, out: '11 lookups, 0 disagree\n' });
    const one = await walk('--tables', withWrong(1), '--check');
    expect(one.code).toBe(1);
    expect(one.out).toMatch(/^x86-64: 0x10234\n.*\nexpected 0xabcde234000\n\n11 lookups, 1 disagree\n$/s);
    const all = await walk('--tables', withWrong(11), '--check');
    expect([all.code, all.out.match(/^expected/gm)?.length, all.out.endsWith('11 lookups, 11 disagree\n')]).toEqual([1, 10, true]);
    const json = await walk('--tables', withWrong(11), '--check', '--json');
    expect([json.code, JSON.parse(json.out)]).toMatchObject([1, { lookups: 11, disagree: 11 }]);
  });

  test.each([
    [['--tables', TABLES], /give either --iova or --check/],
    [['--tables', TABLES, '--iova', '0', '--check'], /give either --iova or --check/],
    [['--tables', TABLES, '--iova', '0x12345678123456781'], /--iova 0x12345678123456781 is no address/],
    [['--tables', TABLES, '--iova', '-1'], /-1/],
    [['--iova', '0'], /--tables/],
    [['--tables', '/nowhere.json', '--check'], /cannot read \/nowhere\.json/],
    [['--tables', join(ROOT, 'README.md'), '--check'], /README\.md is no file of page tables: it is no JSON/],
  ])('%j is wrong usage', { timeout: TIMEOUT_MS }, async (args, message) => {
    const { code, out, err } = await walk(...args);
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(message);
  });
});
