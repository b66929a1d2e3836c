import { migrationSql } from 'bullmq-job-status/migrations';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runSql, startPostgres } from '../parts/index.ts';
import { docsBlocks } from '../support/docs.ts';

/* docs/live.md: the client it shows is the one that is tested, and its SQL does what the option does. */

const [shown = '', use = '', ...others] = docsBlocks('live.md', 'ts');

test('shows examples/live.ts', () => {
  const file = fileURLToPath(new URL('../../examples/live.ts', import.meta.url));
  expect(shown).toBe(readFileSync(file, 'utf8'));
  expect(use).toContain('watchJobs(supabase, {');
  expect(others).toEqual([]);
});

test('its SQL is what the option does; the option may be used again', async () => {
  await using postgres = await startPostgres();
  const connectionString = await postgres.createDatabase('publication');
  const there = (sql: string) => runSql(connectionString, sql);
  const published = () =>
    there(
      "select schemaname || '.' || tablename as name from pg_publication_tables where pubname = 'supabase_realtime'",
    );
  const [sql = ''] = docsBlocks('live.md', 'sql');

  // Without the publication: told, and nothing is made.
  await expect(there(migrationSql({ realtime: true }))).rejects.toThrow(
    'there is no publication supabase_realtime',
  );
  expect(await there("select 1 from pg_class where relname = 'job_status'")).toEqual([]);

  await there('create publication supabase_realtime');
  await there(migrationSql());
  expect(await published()).toEqual([]);
  for (let twice = 0; twice < 2; twice++) await there(migrationSql({ realtime: true }));
  expect(await published()).toEqual([{ name: 'public.job_status' }]);
  await there('alter publication supabase_realtime drop table job_status');
  await there(sql);
  await there(migrationSql());
  expect(await published()).toEqual([{ name: 'public.job_status' }]);
});
