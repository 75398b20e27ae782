import { defineConfig } from 'vitest/config';

/** Everything that `npm test` runs. `vitest run test/scenario` runs one folder of it. */
const FOLDERS = ['tidy', 'unit', 'property', 'scenario', 'conformance', 'interop'];

export default defineConfig({
  test: {
    globalSetup: ['test/setup.ts'],
    maxWorkers: 2,
    // Files share the modules that they import, which is half of the time; none keeps state in them.
    isolate: false,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    coverage: { include: ['server/src/**', 'client/**', 'proto/*.ts'], reporter: ['text-summary', 'html'] },
    projects: FOLDERS.map((name) => ({
      extends: true,
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        setupFiles: name === 'property' ? ['test/fixed-seed.ts'] : [],
        globalSetup: name === 'interop' ? ['test/interop/build.ts'] : [],
      },
    })),
  },
});
