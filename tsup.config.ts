import { defineConfig } from 'tsup';

export default defineConfig({
  entry: {
    index: 'src/index.ts',
    memory: 'src/stores/memory.ts',
    supabase: 'src/stores/supabase.ts',
    postgres: 'src/stores/postgres.ts',
    migrations: 'src/migrations/index.ts',
  },
  format: ['esm', 'cjs'],
  target: 'node20',
  dts: true,
  clean: true,
  // Without it each CJS entry would hold a class of its own, and `instanceof` fail across them.
  splitting: true,
});
