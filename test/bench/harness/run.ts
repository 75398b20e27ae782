/** Runs measures against their floors, round by round. */
import type { Measure, Row } from './measure.ts';
import { startSpinners } from './spinners.ts';
import { summarize } from './statistics.ts';

/** Their figures are dropped: the compiler is still at work. */
const WARM_UP_ROUNDS = 3;

export interface BenchOptions {
  /** At least 9 for a figure to publish; fewer to see that it runs. */
  readonly rounds: number;
  /** Which rows get spinners: those of times, all, or none. */
  readonly spinners: 'latency' | 'all' | 'off';
  /** Only rows whose `name floor` matches. */
  readonly only?: RegExp;
  /** Called with each row when it is done. */
  readonly onRow?: (row: Row, spinners: boolean) => void;
  /** Called instead for a row that this machine cannot measure. */
  readonly onSkip?: (measure: Measure, why: string) => void;
}

/** The rows in the order of the measures. Within a round the two halves change places, so neither is always first. */
export async function runBench(measures: readonly Measure[], options: BenchOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for (const measure of measures) {
    if (options.only !== undefined && !options.only.test(`${measure.name} ${measure.floor}`)) continue;
    const why = measure.whyNot?.();
    if (why !== undefined) {
      options.onSkip?.(measure, why);
      continue;
    }
    const spinning = options.spinners === 'all' || (options.spinners === 'latency' && measure.unit === 's');
    const row = await runMeasure(measure, options.rounds, spinning);
    options.onRow?.(row, spinning);
    rows.push(row);
  }
  return rows;
}

async function runMeasure(measure: Measure, rounds: number, spinning: boolean): Promise<Row> {
  const pairs: [number, number][] = [];
  const stopSpinners = spinning ? await startSpinners() : undefined;
  try {
    await measure.open?.();
    for (let round = -WARM_UP_ROUNDS; round < 0; round++) await runRound(measure, round);
    for (let round = 0; round < rounds; round++) pairs.push(await runRound(measure, round));
  } finally {
    await measure.close?.();
    await stopSpinners?.();
  }
  return { name: measure.name, unit: measure.unit, floor: measure.floor, ...summarize(pairs) };
}

async function runRound(measure: Measure, round: number): Promise<[number, number]> {
  if (round % 2 === 0) {
    const value = await measure.run(round);
    return [value, await measure.runFloor(round)];
  }
  const floorValue = await measure.runFloor(round);
  return [await measure.run(round), floorValue];
}
