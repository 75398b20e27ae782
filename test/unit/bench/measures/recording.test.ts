import { expect, it } from 'vitest';
import { measures } from '../../../bench/measures/recording.ts';

it('is a row: a machine that is recorded beside one that is not', () => {
  expect(measures.map(({ name, unit, floor }) => `${name} ${unit} ${floor}`)).toEqual(['config-read/recorded 1/s not recorded']);
});
