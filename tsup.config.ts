import { readFileSync } from 'node:fs';
import { defineConfig } from 'tsup';

const commanderLicense = readFileSync('node_modules/commander/LICENSE', 'utf8');

export default defineConfig([
  {
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
    // The command line may be there first: the two are built at the same time.
    clean: ['!cli.js'],
    // Without it each CJS entry would hold a class of its own, and `instanceof` fail across them.
    splitting: true,
  },
  {
    // Apart, so that it shares no chunk with the entries and they weigh what they did without it.
    entry: { cli: 'src/cli/main.ts' },
    format: ['esm'],
    target: 'node20',
    splitting: false,
    noExternal: ['commander'],
    banner: {
      // Commander is CommonJS, and requires Node's own modules.
      js: `/*! commander is in this file:\n\n${commanderLicense}*/
import { createRequire as createRequireOfBundle } from 'node:module';
const require = createRequireOfBundle(import.meta.url);`,
    },
  },
]);
