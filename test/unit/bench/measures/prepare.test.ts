import { expect, it } from 'vitest';
import { prepareSeconds } from '../../../bench/measures/core/held-machine.ts';
import { measures } from '../../../bench/measures/prepare.ts';

it('gives one row for each pair of a measure and its floor, under the names that users compare', () => {
  const rows = measures.map(({ name, unit, floor }) => `${name} ${unit} ${floor}`);
  expect(rows).toEqual(['prepare/per-entry s self', 'prepare/growth s self']);
});

it('times a prepare that drops every request', () => {
  expect(prepareSeconds(100)).toBeGreaterThan(0);
});
