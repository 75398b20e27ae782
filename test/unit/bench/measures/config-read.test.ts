import { expect, it } from 'vitest';
import { measures } from '../../../bench/measures/config-read.ts';

it('gives one row for each pair of a measure and its floor, under the names that users compare', () => {
  const rows = measures.map(({ name, unit, floor }) => `${name} ${unit} ${floor}`);
  const floors = ['tcp-echo', 'ws-echo', 'grpc-unary', 'grpc-bidi'];
  const names = ['config-read/closed-loop-p50 s', 'config-read/depth-1 1/s', 'config-read/depth-16 1/s', 'config-read/depth-256 1/s'];
  expect(rows).toEqual(names.flatMap((name) => floors.map((floor) => `${name} ${floor}`)));
});
