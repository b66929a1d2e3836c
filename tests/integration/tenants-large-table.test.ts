import { migrationSql } from 'bullmq-job-status/migrations';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { runSql, startPostgres } from '../parts/index.ts';
import { A, B, GONE, people, recipe } from '../support/organizations.ts';

/* docs/tenants.md word for word, where a table is too large to be written anew under a lock. */

const { tables, column, unfit, plainColumn, backfill, indexConcurrently, validate } = recipe;

test('the query finds the rows that no organisation fits, and the slower way ends in the same rows', async () => {
  await using postgres = await startPostgres();
  const connectionString = await postgres.createDatabase('large');
  const there = (sql: string) => runSql(connectionString, sql);
  const authOfSupabase = `create schema auth; create function auth.uid() returns uuid language sql as 'select null::uuid'`;
  const roles = readFileSync(new URL('../parts/supabase-roles.sql', import.meta.url), 'utf8');
  await there([roles, authOfSupabase, migrationSql(), tables, people].join(';\n'));
  const row = (id: string, organization: string) =>
    `('q', '${id}', 'n', 'waiting', 0, 0, 1, timestamptz '2026-01-0${id}', now(), 1, '${organization}'::jsonb)`;
  const insert = (...rows: string[]) =>
    there(`insert into job_status (queue, job_id, name, status, attempt, attempts_made, max_attempts,
      created_at, updated_at, sequence, metadata) values ${rows.join(', ')}`);
  const of = (id: string) => JSON.stringify({ organizationId: id });
  await insert(
    row('1', of(A)),
    row('2', of(B)),
    row('3', '{}'),
    row('4', of(GONE)),
    row('5', of('no uuid')),
    row('9', of(A.toUpperCase())),
  );

  expect((await there(unfit)).map((found) => found['organization']).sort()).toEqual([
    GONE,
    'no uuid',
  ]);
  await expect(there(column)).rejects.toMatchObject({ code: '22P02' });
  await there("delete from job_status where job_id in ('4', '5')");

  await there(plainColumn);
  await insert(row('6', of(B)));
  await expect(insert(row('7', of(GONE)))).rejects.toMatchObject({ code: '23503' });
  for (const alone of [backfill, indexConcurrently, validate]) await there(alone);
  expect(await there('select job_id, organization_id as o from job_status order by 1')).toEqual(
    [
      ['1', A],
      ['2', B],
      ['3', null],
      ['6', B],
      ['9', A],
    ].map(([job_id, o]) => ({ job_id, o })),
  );
  const [state] = await there(
    `select (select convalidated from pg_constraint where conname = 'job_status_organization_fkey') as validated,
      (select indisvalid from pg_index where indexrelid = 'job_status_organization_idx'::regclass) as indexed`,
  );
  expect(state).toEqual({ validated: true, indexed: true });
  await there(`delete from organizations where id = '${B}'`);
  expect(await there('select job_id from job_status order by 1')).toEqual(
    ['1', '3', '9'].map((job_id) => ({ job_id })),
  );
});
