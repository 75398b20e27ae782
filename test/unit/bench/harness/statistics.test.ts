import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { median, quantile, summarize } from '../../../bench/harness/statistics.ts';

describe('median', () => {
  it('is the middle value, or the mean of the middle two', () => {
    expect(median([5, 1, 9])).toBe(5);
    expect(median([10, 2, 4, 8])).toBe(6);
    expect(median([7])).toBe(7);
  });

  it('orders by number, not by text, and leaves its input alone', () => {
    const values = [100, 9, 20];
    expect(median(values)).toBe(20);
    expect(values).toEqual([100, 9, 20]);
  });

  it('of nothing is an error', () => {
    expect(() => median([])).toThrow('no values');
  });
});

describe('quantile', () => {
  it('is linear between neighbours', () => {
    expect(quantile([0, 10], 0.25)).toBe(2.5);
    expect(quantile([3, 1, 2], 0)).toBe(1);
    expect(quantile([3, 1, 2], 1)).toBe(3);
  });

  it('lies within the values and never falls as q grows', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1 }),
        fc.double({ noNaN: true, min: 0, max: 1 }),
        (values, q) => {
          const at = quantile(values, q);
          expect(at).toBeGreaterThanOrEqual(Math.min(...values) - 1e-6);
          expect(at).toBeLessThanOrEqual(Math.max(...values) + 1e-6);
          expect(quantile(values, q / 2)).toBeLessThanOrEqual(at + 1e-6);
        },
      ),
    );
  });
});

describe('summarize', () => {
  it('takes the ratio inside each round, so a slow round does not count twice', () => {
    const summary = summarize([
      [100, 200],
      [10, 20],
      [120, 200],
    ]);
    expect(summary).toEqual({ value: 100, floorValue: 200, ratio: 0.5, ratioMin: 0.5, ratioMax: 0.6, rounds: 3 });
  });

  it('differs from the ratio of medians where rounds differ', () => {
    const summary = summarize([
      [1, 1],
      [2, 4],
      [9, 3],
    ]);
    expect(summary.ratio).toBe(1);
    expect(summary.value / summary.floorValue).toBeCloseTo(2 / 3);
  });

  it.each([
    [0, 1],
    [1, 0],
    [Number.NaN, 1],
    [1, Number.POSITIVE_INFINITY],
  ])('refuses %d against %d', (value, floorValue) => {
    expect(() => summarize([[value, floorValue]])).toThrow('a round gave');
  });
});
