import { expect, it } from 'vitest';
import { measures } from '../../../bench/measures/dma.ts';

it('gives one row for each pair of a measure and its floor, under the names that users compare', () => {
  const rows = measures.map(({ name, unit, floor }) => `${name} ${unit} ${floor}`);
  const floors = ['tcp-echo', 'ws-echo', 'grpc-unary', 'grpc-bidi'];
  const names = ['dma-read/4KiB', 'dma-read/64KiB', 'dma-read/1MiB', 'dma-write/4KiB', 'dma-write/64KiB', 'dma-write/1MiB'];
  expect(rows).toEqual(names.flatMap((name) => floors.map((floor) => `${name} B/s ${floor}`)));
});
