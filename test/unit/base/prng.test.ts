import { describe, expect, it } from 'vitest';
import { Prng } from '../../../server/src/core/base/prng.ts';

const take = (seed: number, count: number) => {
  const chance = new Prng(seed);
  return Array.from({ length: count }, () => chance.next());
};

describe('prng', () => {
  it('the same seed gives the same numbers, near seeds unlike ones', () => {
    expect(take(7, 100)).toEqual(take(7, 100));
    const [seven, eight] = [take(7, 100), take(8, 100)];
    expect(seven.filter((value, i) => value === eight[i])).toEqual([]);
    expect(new Set(take(0, 1000)).size).toBe(1000);
  });

  it('numbers below a bound reach all of them, about evenly', () => {
    const chance = new Prng(1);
    const counts = Array.from({ length: 8 }, () => 0);
    for (let i = 0; i < 8000; i++) counts[chance.below(8)]!++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});
