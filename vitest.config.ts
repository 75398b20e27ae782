import { defineConfig } from 'vitest/config';

/** Everything that `npm test` runs. `vitest run test/scenario` runs one folder of it. */
const FOLDERS = ['tidy', 'unit', 'property', 'scenario', 'conformance', 'interop'];
/**
 * Files that start programs, in a process of their own: to fork, a process needs as much memory as it has, as the kernel counts it, and one that has had the
 * machines of many files has too much.
 */
const APART = ['test/scenario/edu.test.ts'];

export default defineConfig({
  test: {
    globalSetup: ['test/setup.ts'],
    maxWorkers: 2,
    // Files share the modules that they import, which is half of the time; none keeps state in them.
    isolate: false,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    coverage: { include: ['server/src/**', 'client/**', 'proto/*.ts'], reporter: ['text-summary', 'html'] },
    projects: [
      ...FOLDERS.map((name) => ({
        extends: true as const,
        test: {
          name,
          include: [`test/${name}/**/*.test.ts`],
          exclude: APART,
          setupFiles: name === 'property' ? ['test/fixed-seed.ts'] : [],
          globalSetup: name === 'interop' ? ['test/interop/build.ts'] : [],
        },
      })),
      { extends: true, test: { name: 'apart', include: APART, isolate: true } },
    ],
  },
});
