import { describe, expect, it } from 'vitest';
import { format, holds, play } from '../../../../client/cli/demo/index.ts';

const SEEDS = [0, 7, 41, 0xffff_ffff];

describe('demo', () => {
  it.each(SEEDS)('seed %i: everything that it claims happened', async (seed) => {
    const acts = await play(seed, true);
    expect(acts).toHaveLength(4);
    for (const act of acts) expect(act.claims.filter((claim) => !claim.holds)).toEqual([]);
  });

  it('without the window one invalidation times out and a stale write lands; with it neither happens', async () => {
    const [without, withWindow] = await play(7, false);
    expect(without?.counts).toMatchObject({ 'of these timed out': 1, 'translated requests outside every grant': 1 });
    expect(withWindow?.counts).toMatchObject({
      'of these timed out': 0,
      'of these completed': 2,
      'translated requests outside every grant': 0,
    });
  });

  it('the same seed tells the same story, another seed another', async () => {
    const [first, again, other] = [await play(7, true), await play(7, true), await play(8, true)];
    expect(again).toEqual(first);
    expect(other.map((act) => act.traceHash)).not.toEqual(first.map((act) => act.traceHash));
  });

  it('a claim that did not hold is in the verdict', async () => {
    const [act] = await play(7, false);
    const failed = { ...act!, claims: [{ text: 'pigs flew', holds: false }] };
    expect(holds(failed)).toBe(false);
    expect(format(7, [failed])).toContain('1 of the claims did not hold: pigs flew');
    expect(format(7, [act!])).toContain('VERDICT: everything above happened.');
  });

  it('only the act that is labelled so shows a function that does not comply', async () => {
    const acts = await play(7, true);
    expect(acts.map((act) => act.title.includes('not compliant'))).toEqual([false, false, true, true]);
  });
});
