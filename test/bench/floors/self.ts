/** Each floor against itself, which shows how far a ratio of equals strays from 1 on this machine; and against plain TCP. */
import { exchange, p50, rate, type Load, type Measure } from '../harness/index.ts';
import type { Floor } from './floor.ts';
import { FLOOR_NAMES, openFloor, type FloorName } from './open.ts';

const SIZES = { requestBytes: 64, replyBytes: 64 };
const SECONDS = 0.2;

export const SELF_MEASURES: readonly Measure[] = [
  ...FLOOR_NAMES.flatMap((name) => [compare(name, name, 1), compare(name, name, 256)]),
  ...FLOOR_NAMES.filter((name) => name !== 'tcp-echo').flatMap((name) => [compare(name, 'tcp-echo', 1), compare(name, 'tcp-echo', 256)]),
];

function compare(name: FloorName, other: FloorName, depth: number): Measure {
  const load: Load = { depth, seconds: SECONDS };
  const figure = async (floor: Floor | undefined): Promise<number> => {
    if (floor === undefined) throw new Error('not open');
    const outcome = await exchange(floor, load);
    return depth === 1 ? p50(outcome) : rate(outcome);
  };
  let left: Floor | undefined;
  let right: Floor | undefined;
  return {
    name: `self/${name}-depth-${depth}`,
    unit: depth === 1 ? 's' : '1/s',
    floor: other,
    open: async () => {
      left = await openFloor(name, SIZES);
      right = await openFloor(other, SIZES);
    },
    run: () => figure(left),
    runFloor: () => figure(right),
    close: async () => {
      await left?.close();
      await right?.close();
    },
  };
}
