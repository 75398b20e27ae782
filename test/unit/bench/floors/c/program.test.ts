import { expect, it } from 'vitest';
import { startTranslationProgram, whyNoC } from '../../../../bench/floors/c/program.ts';
import { prepareWork, runBatches } from '../../../../bench/measures/core/translation-loops.ts';

/** The compiler's time is in it. */
const TIMEOUT_MS = 60_000;

it.skipIf(whyNoC() !== undefined)(
  'the C floor sees the pages that core sees',
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
