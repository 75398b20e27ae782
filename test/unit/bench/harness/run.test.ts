import { expect, it } from 'vitest';
import type { Measure } from '../../../bench/harness/measure.ts';
import { runBench } from '../../../bench/harness/run.ts';

const WARM_UP_ROUNDS = 3;

function recorded(log: string[], figures: { run?: (round: number) => number } = {}): Measure {
  return {
    name: 'a/b',
    unit: '1/s',
    floor: 'tcp-echo',
    open: async () => void log.push('open'),
    run: (round) => {
      log.push(`run ${round}`);
      return Promise.resolve(figures.run?.(round) ?? 1);
    },
    runFloor: (round) => {
      log.push(`floor ${round}`);
      return Promise.resolve(2);
    },
    close: async () => void log.push('close'),
  };
}

it('takes turns within a round, changes who is first, and drops the warm-up', async () => {
  const log: string[] = [];
  const measure = recorded(log, { run: (round) => (round < 0 ? 1000 : round + 1) });
  const rows = await runBench([measure], { rounds: 3, spinners: 'off' });
  expect(log.slice(0, 1)).toEqual(['open']);
  expect(log.slice(1 + 2 * WARM_UP_ROUNDS)).toEqual(['run 0', 'floor 0', 'floor 1', 'run 1', 'run 2', 'floor 2', 'close']);
  expect(rows).toEqual([
    { name: 'a/b', unit: '1/s', floor: 'tcp-echo', value: 2, floorValue: 2, ratio: 1, ratioMin: 0.5, ratioMax: 1.5, rounds: 3 },
  ]);
});

it('closes what it opened when a round fails', async () => {
  const log: string[] = [];
  const measure = recorded(log, {
    run: () => {
      throw new Error('broken');
    },
  });
  await expect(runBench([measure], { rounds: 1, spinners: 'off' })).rejects.toThrow('broken');
  expect(log.at(-1)).toBe('close');
});

it('runs only what is asked for, by measure or floor', async () => {
  const measures = [recorded([]), { ...recorded([]), name: 'c/d', floor: 'ws-echo' }];
  const names = async (only: RegExp): Promise<string[]> =>
    (await runBench(measures, { rounds: 1, spinners: 'off', only })).map((row) => row.name);
  expect(await names(/^c/)).toEqual(['c/d']);
  expect(await names(/tcp-echo$/)).toEqual(['a/b']);
  expect(await names(/nothing/)).toEqual([]);
});

it('skips a row that this machine cannot measure, and says why', async () => {
  const log: string[] = [];
  const measures = [
    { ...recorded(log), name: 'c/d', whyNot: () => 'no compiler' },
    { ...recorded([]), whyNot: () => undefined },
  ];
  const onSkip = (measure: Measure, why: string): void => void log.push(`${measure.name}: ${why}`);
  const rows = await runBench(measures, { rounds: 1, spinners: 'off', onSkip });
  expect(rows.map((row) => row.name)).toEqual(['a/b']);
  expect(log).toEqual(['c/d: no compiler']);
});
