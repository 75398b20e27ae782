/**
 * The loops of the translation rows, each the twin of one in floors/c/translate.c. They do not share one function: a call that sees several
 * kinds of subject is compiled for none of them.
 */
import { STATUS, type Translation } from '../../../../server/src/core/translation/index.ts';
import type { TranslationOutcome, TranslationWork } from '../../floors/index.ts';
import { FIRST_IOVA_PAGE, SEED, scatteredTables, workingSet, xorshift } from './working-set.ts';

/** Translations between two looks at the time. */
const BATCH = 1 << 16;
/** Runs of as many translations before the first that counts. */
const ENDS = 16;
// Imported values cost a load at each use; these are folded.
const CONTEXTS = 4;
const PERFORMED = STATUS.performed;
const READ = 1;

/** Where a run is: the generator's state, the sum of the physical pages modulo 2^32, and how many were refused. */
interface Run {
  x: number;
  sum: number;
  refused: number;
}

/** Goes on by so many translations. Sums are of int32, as the floor's are: in doubles each would wait for the one before. */
export type Batch = (run: Run, count: number) => void;

/**
 * Builds the pages of the work and returns its loop. It has ended a few times already: V8 compiles a loop while it runs, and what it has never seen the end
 * of it throws away at each end.
 */
export function prepareWork(work: TranslationWork): Batch {
  const batch = loopOf(work);
  for (let i = 0; i < ENDS; i++) batch({ x: SEED, sum: 0, refused: 0 }, ENDS);
  return batch;
}

function loopOf({ kind, pages }: TranslationWork): Batch {
  if (kind === 'walk') return walks(pages);
  const { translation, contexts } = workingSet(pages, kind === 'path' ? CONTEXTS : 1);
  return kind === 'path' ? paths(translation, contexts, pages) : hits(translation, contexts[0]!, pages);
}

function walks(pages: number): Batch {
  const tables = scatteredTables(pages);
  return (run, count) => {
    let { x, sum } = run;
    for (let i = 0; i < count; i++) {
      x = xorshift(x);
      if (tables.walk(FIRST_IOVA_PAGE + (x & (pages - 1)), 0) === PERFORMED) sum = (sum + tables.foundLow) | 0;
      else run.refused++;
    }
    run.x = x;
    run.sum = sum;
  };
}

function hits(translation: Translation, context: number, pages: number): Batch {
  return (run, count) => {
    let { x, sum } = run;
    for (let i = 0; i < count; i++) {
      x = xorshift(x);
      const status = translation.translate(context, FIRST_IOVA_PAGE + (x & (pages - 1)), 0, READ);
      if (status === PERFORMED) sum = (sum + (translation.resultPage | 0)) | 0;
      else run.refused++;
    }
    run.x = x;
    run.sum = sum;
  };
}

function paths(translation: Translation, contexts: Int32Array, pages: number): Batch {
  return (run, count) => {
    let { x, sum } = run;
    for (let i = 0; i < count; i++) {
      x = xorshift(x);
      const index = x & (pages - 1);
      // A read or a write: the right to write is the bit above the right to read.
      const status = translation.translate(contexts[index % CONTEXTS]!, FIRST_IOVA_PAGE + index, 0, READ + (x >>> 31));
      if (status === PERFORMED) sum = (sum + (translation.resultPage | 0)) | 0;
      else run.refused++;
    }
    run.x = x;
    run.sum = sum;
  };
}

/** Runs a loop from its beginning for so many seconds, or exactly so often. */
export function runBatches(batch: Batch, limit: { readonly seconds: number } | { readonly count: number }): TranslationOutcome {
  const run: Run = { x: SEED, sum: 0, refused: 0 };
  const started = performance.now();
  let completed = 0;
  let seconds = 0;
  if ('count' in limit) {
    batch(run, limit.count);
    completed = limit.count;
    seconds = (performance.now() - started) / 1000;
  }
  while ('seconds' in limit && seconds < limit.seconds) {
    batch(run, BATCH);
    completed += BATCH;
    seconds = (performance.now() - started) / 1000;
  }
  return { completed, seconds, checksum: run.sum >>> 0, refused: run.refused };
}
