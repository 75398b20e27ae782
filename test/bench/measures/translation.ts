/** Translation in this process, without a service: core's IOTLB and walker against the same in C. */
import {
  startTranslationProgram,
  whyNoC,
  type TranslationOutcome,
  type TranslationProgram,
  type TranslationWork,
} from '../floors/index.ts';
import { rate, type Measure } from '../harness/index.ts';
import { prepareWork, runBatches, type Batch } from './core/translation-loops.ts';

const SECONDS = 0.25;
/** More than the pages of any row, so that every page counts. */
const CHECKED = 3_000_000;

function againstC(name: string, work: TranslationWork): Measure {
  let batch: Batch | undefined;
  let program: TranslationProgram | undefined;
  const opened = <T>(what: T | undefined): T => {
    if (what === undefined) throw new Error('not open');
    return what;
  };
  return {
    name,
    unit: '1/s',
    floor: 'c',
    whyNot: whyNoC,
    async open() {
      batch = prepareWork(work);
      program = await startTranslationProgram();
      const [ours, theirs] = [runBatches(batch, { count: CHECKED }), await program.run(work, { count: CHECKED })];
      if (ours.checksum !== theirs.checksum || ours.refused + theirs.refused > 0) {
        throw new Error(`${name} has ${summary(ours)}, and its floor ${summary(theirs)}`);
      }
    },
    run: () => Promise.resolve(rateOf(runBatches(opened(batch), { seconds: SECONDS }))),
    runFloor: async () => rateOf(await opened(program).run(work, { seconds: SECONDS })),
    async close() {
      batch = undefined;
      await program?.close();
    },
  };
}

function rateOf(outcome: TranslationOutcome): number {
  return rate({ ...outcome, latencies: [] });
}

function summary({ completed, checksum, refused }: TranslationOutcome): string {
  return `checksum ${checksum} after ${completed} translations, ${refused} of them refused`;
}

export const measures: readonly Measure[] = [
  againstC('iotlb-hit', { kind: 'hit', pages: 512 }),
  againstC('walk-1M', { kind: 'walk', pages: 2 ** 20 }),
  againstC('translate-path', { kind: 'path', pages: 2 ** 14 }),
];
