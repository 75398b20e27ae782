/** `iommud demo`, as a person meets it. */
import { describe, expect, test } from 'vitest';
import { iommud } from './cli-here.ts';

interface Told {
  readonly seed: number;
  readonly acts: readonly { readonly title: string; readonly behaviour: string; readonly claims: readonly { readonly text: string }[] }[];
  readonly verdict: { readonly holds: boolean; readonly failed: readonly string[] };
}

async function told(...args: readonly string[]): Promise<Told> {
  const { code, out, err } = await iommud('demo', ...args, '--json');
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out) as Told;
}

describe('iommud demo', () => {
  test('nothing chosen: the story of FLR, on linux-7.1 without the window and on strict with it', async () => {
    const { acts, verdict } = await told();
    expect(acts.map(({ behaviour }) => behaviour)).toEqual(['linux-7.1', 'strict']);
    expect(verdict).toEqual({ holds: true, failed: [] });
  });

  test('method, fault, behaviour and seed are chosen, alone and together', async () => {
    const some = await told('--method', 'pm');
    expect(some.acts.map(({ title, behaviour }) => [title, behaviour])).toEqual([
      ['pm: without the window', 'strict'],
      ['pm: with prepare and done', 'strict'],
    ]);
    const all = await told('--method', 'bus', '--fault', 'never-ready', '--behaviour', 'linux-7.1', '--seed', '12');
    expect(all).toMatchObject({ seed: 12, verdict: { holds: true } });
    expect(all.acts.map(({ claims }) => claims[0]?.text)).toEqual([
      'the reset ended with ENOTTY after 65657 ms',
      'the reset ended with ENOTTY after 66657 ms',
    ]);
    expect((await told('--behaviour', 'linux-7.0')).acts.every(({ behaviour }) => behaviour === 'linux-7.0')).toBe(true);
    expect((await told('--fault', 'atc-survives')).acts).toHaveLength(4);
  });

  test('the text ends in a verdict', async () => {
    const { code, out } = await iommud('demo', '--fault', 'ignore-invalidations', '--behaviour', 'linux-7.1');
    expect(code).toBe(0);
    expect(out).toMatch(/the function ignores it[\s\S]*VERDICT: everything above happened. Seed 7; virtual time only.\n$/);
  });

  test.each([
    ['a method', ['--method', 'kick'], 'device_specific, acpi, flr'],
    ['a fault', ['--fault', 'rust'], 'never-ready'],
    ['a behaviour', ['--behaviour', 'windows'], 'linux-7.0'],
    ['a seed', ['--seed', '-1'], '4294967295'],
    ['acts of their own', ['--fault', 'atc-survives', '--method', 'pm'], 'leave --method'],
  ])('%s that is none is 2, and what there is is said', async (_what, args, words) => {
    const { code, out, err } = await iommud('demo', ...args);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(words);
  });
});
