import { describe, expect, it } from 'vitest';
import { prepareWork, runBatches } from '../../../bench/measures/core/translation-loops.ts';
import { measures } from '../../../bench/measures/translation.ts';

it('gives one row for each pair of a measure and its floor, under the names that users compare', () => {
  const rows = measures.map(({ name, unit, floor }) => `${name} ${unit} ${floor}`);
  expect(rows).toEqual(['iotlb-hit 1/s c', 'walk-1M 1/s c', 'translate-path 1/s c']);
});

describe('the loops', () => {
  it('begin anew with each run, so that equal counts give equal checksums', () => {
    for (const kind of ['hit', 'path', 'walk'] as const) {
      const batch = prepareWork({ kind, pages: 1024 });
      const first = runBatches(batch, { count: 5000 });
      expect(runBatches(batch, { count: 5000 })).toMatchObject({ completed: 5000, refused: 0, checksum: first.checksum });
    }
  });

  it('see the same pages, through the IOTLB and past it', () => {
    const sums = (['hit', 'path', 'walk'] as const).map((kind) => runBatches(prepareWork({ kind, pages: 512 }), { count: 777 }).checksum);
    expect(new Set(sums).size).toBe(1);
  });
});
