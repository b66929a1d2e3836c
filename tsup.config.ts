import { readFileSync, writeFileSync } from 'node:fs';
import { defineConfig } from 'tsup';

/** What of others is within the built files: commander in the command line, the others in `testing`. */
const BUNDLED = ['commander', 'fast-check', 'pure-rand'];

/** Their licences ask to be passed on with them. */
async function writeLicenses(): Promise<void> {
  const licenses = BUNDLED.map(
    (name) => `${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, 'utf8')}`,
  );
  writeFileSync('dist/licenses.txt', licenses.join('\n---\n\n'));
}

export default defineConfig([
  {
    entry: {
      index: 'src/index.ts',
      memory: 'src/stores/memory.ts',
      supabase: 'src/stores/supabase.ts',
      postgres: 'src/stores/postgres.ts',
      migrations: 'src/migrations/index.ts',
      testing: 'src/testing/index.ts',
    },
    format: ['esm', 'cjs'],
    target: 'node20',
    dts: true,
    // The command line may be there first: the two are built at the same time.
    clean: ['!cli.js'],
    // Without it each CJS entry would hold a class of its own, and `instanceof` fail across them.
    splitting: true,
    onSuccess: writeLicenses,
  },
  {
    // Apart, so that it shares no chunk with the entries and they weigh what they did without it.
    entry: { cli: 'src/cli/main.ts' },
    format: ['esm'],
    target: 'node20',
    splitting: false,
    noExternal: ['commander'],
    external: ['bullmq-job-status/testing'],
    banner: {
      // Commander is CommonJS, and requires Node's own modules.
      js: `import { createRequire as createRequireOfBundle } from 'node:module';
const require = createRequireOfBundle(import.meta.url);`,
    },
  },
]);
