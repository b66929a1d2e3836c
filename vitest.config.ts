import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const src = (path: string) => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

export default defineConfig({
  resolve: {
    // What users import, from the source: `tests/package` holds the same against the built package.
    alias: [
      { find: /^bullmq-job-status$/, replacement: src('index.ts') },
      { find: 'bullmq-job-status/memory', replacement: src('stores/memory.ts') },
      { find: 'bullmq-job-status/supabase', replacement: src('stores/supabase.ts') },
      { find: 'bullmq-job-status/migrations', replacement: src('migrations/index.ts') },
    ],
  },
  test: { include: ['tests/**/*.test.ts'] },
});
