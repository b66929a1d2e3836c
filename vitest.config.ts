import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const src = (path: string) => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

/** What users import, from the source: `tests/package` holds the same against the built package. */
const alias = [
  { find: /^bullmq-job-status$/, replacement: src('index.ts') },
  { find: 'bullmq-job-status/memory', replacement: src('stores/memory.ts') },
  { find: 'bullmq-job-status/supabase', replacement: src('stores/supabase.ts') },
  { find: 'bullmq-job-status/postgres', replacement: src('stores/postgres.ts') },
  { find: 'bullmq-job-status/migrations', replacement: src('migrations/index.ts') },
  { find: 'bullmq-job-status/testing', replacement: src('testing/index.ts') },
];

const onRealParts = {
  globalSetup: ['tests/support/global-setup.ts'],
  testTimeout: 30_000,
  hookTimeout: 60_000,
  // What is polled for comes soon; on a machine with much to do it may come later.
  expect: { poll: { timeout: 10_000 } },
};

export default defineConfig({
  test: {
    // Two at once: the parts need cores too.
    maxWorkers: 2,
    projects: [
      { resolve: { alias }, test: { name: 'unit', include: ['tests/unit/**/*.test.ts'] } },
      {
        resolve: { alias },
        test: {
          name: 'integration',
          include: ['tests/{integration,conformance,faults}/**/*.test.ts'],
          ...onRealParts,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'parts',
          include: ['tests/{parts,package}/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect: { poll: { timeout: 10_000 } },
        },
      },
    ],
  },
});
