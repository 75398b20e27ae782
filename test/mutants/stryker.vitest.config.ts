/** The tests that StrykerJS runs for each mutant of the reset and attach files (stryker.config.json): those that look at core itself. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/conformance/*.test.ts', 'test/unit/iommu/*.test.ts', 'test/unit/machine/*.test.ts'],
    pool: 'threads',
    isolate: false,
    testTimeout: 30_000,
  },
});
