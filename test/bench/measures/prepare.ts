/** What reset-prepare costs the machine in this process when it has to drop what a function has in flight. */
import { median, type Measure } from '../harness/index.ts';
import { prepareSeconds } from './core/held-machine.ts';

const ENTRIES = 10_000;
/** Of the growth: ten times as many. The ledger has room for 131072. */
const MANY_ENTRIES = 100_000;
/** A prepare of this many takes some ms, so one round takes several. */
const REPEATS = 5;

function seconds(entries: number): number {
  return median(Array.from({ length: REPEATS }, () => prepareSeconds(entries)));
}

const perEntry = (): Promise<number> => Promise.resolve(seconds(ENTRIES) / ENTRIES);

export const measures: readonly Measure[] = [
  // Against itself: how far two figures of one thing stray from each other.
  { name: 'prepare/per-entry', unit: 's', floor: 'self', run: perEntry, runFloor: perEntry },
  // The ratio is the growth: the time with ten times the entries in that with them. 10 is linear.
  {
    name: 'prepare/growth',
    unit: 's',
    floor: 'self',
    run: () => Promise.resolve(prepareSeconds(MANY_ENTRIES)),
    runFloor: () => Promise.resolve(seconds(ENTRIES)),
  },
];
