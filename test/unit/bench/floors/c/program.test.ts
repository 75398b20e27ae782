import { expect, it } from 'vitest';
import { startTranslationProgram, whyNoC } from '../../../../bench/floors/c/program.ts';
import { prepareWork, runBatches } from '../../../../bench/measures/core/translation-loops.ts';

/** The compiler's time is in it. */
const TIMEOUT_MS = 60_000;

// Skipped where there is no compiler; the bench then leaves these rows out and says so too.
const missing = whyNoC();
const TITLE = 'the C floor sees the pages that core sees';

it.skipIf(missing !== undefined)(
  missing === undefined ? TITLE : `${TITLE}: SKIPPED, ${missing}`,
  async () => {
    const program = await startTranslationProgram();
    try {
      for (const kind of ['hit', 'path', 'walk'] as const) {
        const { checksum } = runBatches(prepareWork({ kind, pages: 2048 }), { count: 10_000 });
        expect(await program.run({ kind, pages: 2048 }, { count: 10_000 })).toMatchObject({ completed: 10_000, refused: 0, checksum });
      }
    } finally {
      await program.close();
    }
  },
  TIMEOUT_MS,
);
