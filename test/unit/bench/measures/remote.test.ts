import { expect, it } from 'vitest';
import { measures } from '../../../bench/measures/remote.ts';

it('is a row for each goal, against plain websockets', () => {
  expect(measures.map(({ name, unit, floor }) => `${name} ${unit} ${floor}`)).toEqual([
    'remote-bar-read/p50 s ws-echo',
    'remote-bar-read/p50 s ws-relay',
    'remote-dma/64KiB B/s ws-echo',
  ]);
});
