import { checkSchema, migrate, migrationSql } from 'bullmq-job-status/migrations';
import { Client, type Pool } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startPostgres, type PostgresPart } from '../parts/index.ts';
import { openPool } from '../support/pool.ts';

/* Each object of the schema is damaged in turn, and the check must name it. */

let postgres: PostgresPart;
let pool: Pool;
let databases = 0;

beforeAll(async () => {
  postgres = await startPostgres();
  pool = openPool(postgres.connectionString);
  await pool.query('create role anon');
  await pool.query('create role authenticated');
  await pool.query('create role service_role bypassrls');
  await pool.end();
});
afterAll(() => postgres.stop());

beforeEach(async () => {
  const connectionString = await postgres.createDatabase(`drift_${++databases}`);
  pool = openPool(connectionString);
  await migrate(pool);
  return () => pool.end();
});

test.each<[string, string]>([
  ['alter table job_status drop column worker', 'column worker is missing'],
  [
    'alter table job_status alter column attempts_made type bigint',
    'column attempts_made is bigint not null, not integer not null',
  ],
  [
    'alter table job_status alter column name drop not null',
    'column name is text, not text not null',
  ],
  [
    'alter table job_status drop constraint job_status_timestamps_check',
    'constraint job_status_timestamps_check is missing',
  ],
  [
    `alter table job_status drop constraint job_status_timestamps_check,
      add constraint job_status_timestamps_check check (started_at > created_at)`,
    'constraint job_status_timestamps_check is CHECK ((started_at > created_at)), not CHECK',
  ],
  [
    "update pg_index set indisvalid = false where indexrelid = 'job_status_queue_idx'::regclass",
    'index job_status_queue_idx is using btree (queue, created_at) (invalid), not',
  ],
  ['drop index job_status_metadata_idx', 'index job_status_metadata_idx is missing'],
  [
    'drop index job_status_queue_idx; create index job_status_queue_idx on job_status (queue)',
    'index job_status_queue_idx is using btree (queue), not using btree (queue, created_at)',
  ],
  ['alter table job_status disable row level security', 'row level security is off, not on'],
  [
    'drop function job_status_prune',
    'function "public"."job_status_prune"(timestamptz, text[], integer) is missing',
  ],
  [
    `create or replace function job_status_write(updates jsonb, schema_version integer) returns integer
      language sql set search_path = '' as 'select 0'`,
    'function "public"."job_status_write"(jsonb, integer) has another body',
  ],
  [
    'alter function job_status_write(jsonb, integer) security definer',
    'function "public"."job_status_write"(jsonb, integer) is not volatile, security invoker and of search_path pg_catalog, pg_temp',
  ],
  [
    'alter function job_status_write(jsonb, integer) reset search_path',
    'function "public"."job_status_write"(jsonb, integer) is not volatile, security invoker and of search_path pg_catalog, pg_temp',
  ],
  [
    'alter function job_status_write(jsonb) stable',
    'function "public"."job_status_write"(jsonb) is not volatile, security invoker',
  ],
  ['alter table job_status force row level security', 'row level security is forced, not on'],
  [
    'alter table job_status alter column name type text collate "POSIX"',
    'column name is text collate "POSIX" not null, not text not null',
  ],
  ['grant insert (name) on job_status to anon', 'anon may write "public"."job_status"'],
  [
    'revoke delete on job_status from service_role',
    'service_role may not delete "public"."job_status"',
  ],
  [
    'revoke execute on function job_status_prune from service_role',
    'service_role may not call "public"."job_status_prune"(timestamptz, text[], integer)',
  ],
  [
    'alter table job_status_attempts drop column error',
    'column error of job_status_attempts is missing',
  ],
  [
    'drop table job_status_attempts',
    'constraint job_status_attempts_fkey of job_status_attempts is missing',
  ],
  [
    `alter table job_status_attempts drop constraint job_status_attempts_fkey,
      add constraint job_status_attempts_fkey foreign key (queue, job_id) references job_status`,
    'constraint job_status_attempts_fkey of job_status_attempts is FOREIGN KEY (queue, job_id) REFERENCES the table(queue, job_id), not FOREIGN KEY (queue, job_id) REFERENCES the table(queue, job_id) ON DELETE CASCADE',
  ],
  [
    `create table other (like job_status including all);
      alter table job_status_attempts drop constraint job_status_attempts_fkey,
      add constraint job_status_attempts_fkey foreign key (queue, job_id) references other on delete cascade`,
    'constraint job_status_attempts_fkey of job_status_attempts is FOREIGN KEY (queue, job_id) REFERENCES other',
  ],
  [
    'alter table job_status_attempts drop constraint job_status_attempts_pkey',
    'index job_status_attempts_pkey of job_status_attempts is missing',
  ],
  [
    'drop trigger job_status_attempts_keep on job_status',
    'trigger job_status_attempts_keep is missing',
  ],
  [
    'alter table job_status disable trigger job_status_attempts_keep',
    'job_status_attempts_keep (disabled), not AFTER UPDATE FOR EACH ROW WHEN',
  ],
  [
    `create or replace trigger job_status_attempts_keep after update on job_status
      for each row when (old.attempt <> new.attempt) execute function job_status_attempts_keep()`,
    'trigger job_status_attempts_keep is AFTER UPDATE FOR EACH ROW WHEN ((old.attempt <> new.attempt))',
  ],
  [
    `create function other() returns trigger language plpgsql as 'begin return null; end';
      create or replace trigger job_status_attempts_max after insert on job_status_attempts for each row execute function other()`,
    'trigger job_status_attempts_max of job_status_attempts is AFTER INSERT FOR EACH ROW other, not AFTER INSERT FOR EACH ROW job_status_attempts_max',
  ],
  [
    `create or replace function job_status_attempts_max() returns trigger
      language plpgsql set search_path = pg_catalog, pg_temp as 'begin return null; end'`,
    'function "public"."job_status_attempts_max"() has another body',
  ],
  [
    'alter function job_status_attempts_keep() security definer',
    'function "public"."job_status_attempts_keep"() is not volatile, security invoker',
  ],
  [
    'drop policy "as to the row" on job_status_attempts',
    'policy as to the row of job_status_attempts is missing',
  ],
  [
    'alter policy "as to the row" on job_status_attempts using (true)',
    'policy as to the row of job_status_attempts is * to {0} using true, not',
  ],
  [
    'alter table job_status_attempts disable row level security',
    'row level security of job_status_attempts is off, not on',
  ],
  [
    'alter function job_status_by_id volatile',
    'function "public"."job_status_by_id"(text, text[]) is not stable, security invoker',
  ],
  [
    'grant update on job_status_attempts to authenticated',
    'authenticated may write "public"."job_status_attempts"',
  ],
  [
    'revoke insert on job_status_attempts from service_role',
    'service_role may not insert "public"."job_status_attempts"',
  ],
  [
    'grant execute on function job_status_attempts_keep() to anon',
    'anon may call "public"."job_status_attempts_keep"()',
  ],
  ['grant insert on job_status to anon', 'anon may write "public"."job_status"'],
  [
    'grant execute on function job_status_write(jsonb, integer) to public',
    'authenticated may call "public"."job_status_write"(jsonb, integer)',
  ],
])('%s', async (damage, difference) => {
  await pool.query(damage);
  const { differences } = await checkSchema(pool);
  expect(differences).toContainEqual(expect.stringContaining(difference));
});

test('the migration, run again, makes a trigger that is missing', async () => {
  await pool.query(`drop trigger job_status_attempts_keep on job_status;
    drop function job_status_attempts_max cascade`);
  await migrate(pool);
  expect(await checkSchema(pool)).toMatchObject({ differences: [] });
});

describe('no difference', () => {
  test('what you add: columns, indexes, constraints, policies, the right to read', async () => {
    await pool.query(`
      alter table job_status add column tenant text generated always as (metadata ->> 'tenant') stored;
      alter table job_status add constraint own check (name <> '');
      create index own_idx on job_status (tenant);
      create policy own on job_status for select to authenticated using (tenant = 'a');
      grant select on job_status, job_status_attempts to authenticated;
      alter table job_status_attempts add column own text;
      create policy own on job_status_attempts for select to authenticated using (attempt > 1);
    `);
    expect(await checkSchema(pool)).toMatchObject({ differences: [] });
  });

  test('SQL that was saved with line ends of Windows', async () => {
    const names = { table: 'windows' };
    await pool.query(migrationSql(names).replaceAll('\n', '\r\n'));
    expect(await checkSchema(pool, names)).toMatchObject({ differences: [] });
  });

  test('odd names', async () => {
    const names = { schema: "o'brien", table: String.raw`quo"te\d` };
    await migrate(pool, names);
    expect(await checkSchema(pool, names)).toMatchObject({ differences: [] });
  });
});

test('a table that is not there, and one of somebody else, are told', async () => {
  await pool.query('create table theirs (id integer)');
  expect(await checkSchema(pool, { table: 'nowhere' })).toMatchObject({
    installed: 0,
    differences: ['there is no table "public"."nowhere"'],
  });
  expect(await checkSchema(pool, { table: 'theirs' })).toMatchObject({
    installed: null,
    differences: [`table "public"."theirs" is not bullmq-job-status's`],
  });
});

test('the check leaves nothing behind, and a role that may only connect may run it', async () => {
  const { rows } = await pool.query('select current_database() as name');
  const url = new URL(postgres.connectionString);
  url.pathname = `/${rows[0].name}`;
  await pool.query(
    'do $$ begin create role looker login; exception when duplicate_object then null; end $$',
  );
  url.username = 'looker';
  const client = new Client({ connectionString: url.href });
  await client.connect();
  const relations = async () => (await client.query('select count(*) from pg_class')).rows;
  const before = await relations();
  for (let twice = 0; twice < 2; twice++)
    expect(await checkSchema(client)).toMatchObject({ differences: [] });
  expect(await relations()).toEqual(before);
  await client.end();
});
