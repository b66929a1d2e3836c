import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, matchesGlob, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

/*
 * Data flows one way: BullMQ event -> snapshot -> merge -> batcher -> store. So a file of `src` imports
 * from floors below its own, never from its own or one above, and a cycle can't arise.
 */

/** From the ground up. Each file stands on the first floor that names it; a file on none is an error. */
const FLOORS: readonly (readonly string[])[] = [
  // What everybody may speak of.
  ['types.ts'],
  ['secrets.ts'],
  ['errors.ts', 'key.ts', 'deadline.ts', 'at-once.ts'],
  ['validate.ts', 'ask-store.ts'],
  // The law, the store's contract, BullMQ's shapes.
  ['phase.ts', 'store.ts', 'bullmq.ts', 'storable.ts', 'sequence.ts', 'readings.ts'],
  ['attempts.ts', 'capture.ts'],
  ['merge.ts'],
  // From what is seen of a job to a write.
  ['snapshot.ts', 'options.ts', 'pending.ts', 'batch-size.ts', 'rest.ts', 'dropped.ts'],
  ['queue-snapshot.ts', 'reporter.ts', 'flush-waiters.ts', 'under-way.ts'],
  ['batcher.ts'],
  // Looking at a queue, and at rows.
  ['queue/reader.ts', 'rows.ts'],
  ['queue/{fields,redis-wait,postgres-cursor}.ts'],
  ['queue/{redis-scripts,postgres-sql}.ts'],
  ['queue/{redis,postgres}.ts'],
  ['queue/create.ts'],
  ['queue/check.ts'],
  // What hangs on a worker or a queue.
  ['tap.ts', 'tracker.ts'],
  ['cancel-requests.ts', 'cancel.ts'],
  ['worker-watch.ts'],
  ['reconciliation.ts'],
  ['queue-watch.ts'],
  ['attach.ts', 'queue-tracking.ts', 'reconcile.ts'],
  // Where rows end: the database's schema, and the stores.
  ['migrations/names.ts', 'migrations/law.ts', 'migrations/version.ts'],
  ['migrations/steps/0*.ts'],
  ['migrations/steps/index.ts'],
  ['migrations/attempts.ts'],
  ['migrations/triggers.ts', 'migrations/write.ts'],
  ['migrations/functions.ts'],
  ['migrations/script.ts'],
  ['migrations/survey.ts'],
  ['migrations/check.ts'],
  ['migrations/index.ts'],
  ['stores/containment.ts', 'stores/row.ts', 'stores/{setup,sqlstate,postgres-query}.ts'],
  ['stores/query.ts'],
  ['stores/matching.ts', 'stores/prune.ts', 'stores/supabase-api.ts'],
  ['stores/*.ts'],
  // The kit: what it tells stores, how it holds them to it, its tests, one law a file.
  ['testing/{differences,shortest,law,payload,through-batcher}.ts'],
  ['testing/histories.ts'],
  ['testing/{canonical,random-histories,kit}.ts'],
  ['testing/{failure,many-jobs,history-table,narrowing}.ts'],
  ['testing/telling.ts', 'testing/queries.ts'],
  ['testing/laws/*.ts'],
  ['testing/conformance.ts'],
  ['testing/index.ts'],
  ['index.ts'],
  // The command line: what its commands share, one file for each command, and the program.
  [
    'cli/options.ts',
    'cli/supabase-migrations.ts',
    'cli/packages.ts',
    'cli/address.ts',
    'cli/store-module.ts',
  ],
  ['cli/database.ts'],
  ['cli/queue.ts'],
  ['cli/{init,migrate,check,reconcile,verify}.ts'],
  ['cli/main.ts'],
];

const MAX_LINES = 300;

const SRC = fileURLToPath(new URL('../../src', import.meta.url));
const files = readdirSync(SRC, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => relative(SRC, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
  .toSorted();

function floorOf(file: string): number {
  return FLOORS.findIndex((patterns) => patterns.some((pattern) => matchesGlob(file, pattern)));
}

/** What a file imports or re-exports, types included; TypeScript's `import('x')` types too. */
function importsOf(source: string): string[] {
  const statements = source.matchAll(/^(?:import|export)\b[^;]*?\bfrom\s*'([^']+)'/gm);
  const bare = source.matchAll(/^import\s*'([^']+)'/gm);
  const calls = source.matchAll(/\b(?:import|require)\(\s*'([^']+)'\s*\)/g);
  return [...statements, ...bare, ...calls].map(([, specifier]) => specifier as string);
}

test('imports are seen in all their forms', () => {
  expect(files).toContain('index.ts');
  const source = [
    "import { a } from './a.ts';",
    "import type {\n  B,\n} from './b.ts';",
    "export { c } from './c.ts';",
    "export type * from './d.ts';",
    "import './e.ts';",
    "type F = import('./f.ts').F;",
  ].join('\n');
  const seen = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `./${name}.ts`);
  expect(importsOf(source).toSorted()).toEqual(seen);
});

describe.each(files)('src/%s', (file) => {
  const source = readFileSync(`${SRC}/${file}`, 'utf8');
  const own = importsOf(source).filter((specifier) => specifier.startsWith('.'));
  const foreign = importsOf(source).filter((specifier) => !specifier.startsWith('.'));

  test('stands on a floor', () => {
    expect(floorOf(file), `name ${file} in FLOORS`).toBeGreaterThanOrEqual(0);
  });

  test('imports from lower floors only', () => {
    const upward = own
      .map((specifier) => posix.join(posix.dirname(file), specifier))
      .filter((imported) => !files.includes(imported) || floorOf(imported) >= floorOf(file));
    expect(upward).toEqual([]);
  });

  test('imports nothing that a user would have to install', () => {
    // Peers neither, not even their types: users' types then never depend on a second copy of them.
    // Commander is bundled into the command line, fast-check into the kit, and neither into anything else.
    const itself = ['bullmq-job-status/package.json', 'bullmq-job-status/testing'];
    const ofCli = file.startsWith('cli/') ? ['commander', ...itself] : [];
    const bundled = file.startsWith('testing/') ? ['fast-check'] : ofCli;
    const installed = foreign.filter((specifier) => !isBuiltin(specifier));
    expect(installed.filter((specifier) => !bundled.includes(specifier))).toEqual([]);
  });

  test(`has ${MAX_LINES} lines at most`, () => {
    expect(source.trimEnd().split('\n').length).toBeLessThanOrEqual(MAX_LINES);
  });
});
