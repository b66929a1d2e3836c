import { checkSchema, migrate, migrationSql } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tableNames } from '../../src/migrations/names.ts';
import { STEPS } from '../../src/migrations/steps/index.ts';
import { SCHEMA_VERSION } from '../../src/migrations/version.ts';
import { toRecord } from '../../src/stores/row.ts';
import { startPostgres, type PostgresPart } from '../parts/index.ts';
import { JobHistory } from '../../src/testing/histories.ts';
import { openPool } from '../support/pool.ts';

/* Databases of every earlier version, as they were set up by its own SQL, are brought to this one. */

const folder = new URL('../support/schema-versions/', import.meta.url);

/** The whole SQL of a version that is no longer this package's. */
const sqlOf = (version: number) => readFileSync(new URL(`${version}.sql`, folder), 'utf8');
const EARLIER = Array.from({ length: SCHEMA_VERSION - 1 }, (_, at) => at + 1);

/** A released step never changes: it has run on databases that nobody can see. */
const RELEASED = ['258f1d4b461a14df', 'a784ad36d78298ce', 'a6b9cbe8045515e4', 'a05f7fbec9f64756'];

let postgres: PostgresPart;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

let databases = 0;

async function newDatabase(version: number): Promise<Pool> {
  const connectionString = await postgres.createDatabase(`upgrade_${version}_${++databases}`);
  const pool = openPool(connectionString, { max: 20 });
  await pool.query(sqlOf(version));
  return pool;
}

const history = new JobHistory({ queue: 'upgrade', id: '1' }).start().fail(1, 0).start().complete();
const [first, , , last] = history.snapshots;

test('every earlier version is there to start from, and no step has changed', () => {
  expect(readdirSync(folder)).toEqual(EARLIER.map((version) => `${version}.sql`));
  expect(STEPS.length).toBe(SCHEMA_VERSION);
  const hash = (sql: string) => createHash('sha256').update(sql).digest('hex').slice(0, 16);
  expect(STEPS.map((step) => hash(step(tableNames())))).toEqual(RELEASED);
});

describe.each(EARLIER)('from version %i', (version) => {
  test('the rows stay, and all is as in a new database', async () => {
    const pool = await newDatabase(version);
    await pool.query('select job_status_write($1)', [JSON.stringify([toRecord(first!)])]);
    expect(await checkSchema(pool)).toEqual({
      installed: version,
      current: SCHEMA_VERSION,
      differences: [
        `"public"."job_status" is at schema version ${version}, this package's is ${SCHEMA_VERSION}`,
      ],
    });
    await migrate(pool);
    expect(await checkSchema(pool)).toMatchObject({ installed: SCHEMA_VERSION, differences: [] });
    const store = new PostgresStatusStore(pool);
    expect(await store.get(first!)).toMatchObject({ status: 'active', attempt: 1 });
    await store.write([last!]);
    expect(await store.get(first!)).toMatchObject({ status: 'completed', attempt: 2 });
    const old = { ...last!, jobId: 'old' };
    await pool.query('select job_status_write($1)', [JSON.stringify([toRecord(old)])]);
    const { completedAt } = (await store.get(old))!;
    expect(await store.count({ finishedFrom: completedAt! })).toBe(2);
    await pool.end();
  });

  test('twenty processes upgrade at once, while others go on writing as before', async () => {
    const pool = await newDatabase(version);
    const older = (id: number) =>
      pool.query('select job_status_write($1)', [
        JSON.stringify([toRecord({ ...last!, jobId: `${id}` })]),
      ]);
    await Promise.all(
      Array.from({ length: 20 }, async (_, at) => {
        await older(at);
        await migrate(pool);
        await older(100 + at);
      }),
    );
    expect(await checkSchema(pool)).toMatchObject({ differences: [] });
    expect(await new PostgresStatusStore(pool).count({ status: 'completed' })).toBe(40);
    await pool.end();
  });

  test('its own SQL, run again by a program that was not upgraded, does no harm', async () => {
    const pool = await newDatabase(version);
    await Promise.all(
      Array.from({ length: 20 }, (_, at) => (at % 2 ? migrate(pool) : pool.query(sqlOf(version)))),
    );
    await pool.query(sqlOf(version));
    const written = [JSON.stringify([toRecord(last!)])];
    await pool.query('select job_status_write($1)', written);
    const store = new PostgresStatusStore(pool);
    await store.write([{ ...last!, jobId: 'new' }]);
    await migrate(pool);
    await pool.query('select job_status_write($1)', written);
    expect(await checkSchema(pool)).toMatchObject({ installed: SCHEMA_VERSION, differences: [] });
    expect(await store.count({ status: 'completed' })).toBe(2);
    await pool.end();
  });

  test('who could write may write, and prune, as before', async () => {
    const pool = await newDatabase(version);
    await pool.query(
      'do $$ begin create role app bypassrls; exception when duplicate_object then null; end $$',
    );
    const [types, call] =
      version === 1
        ? ['jsonb', 'job_status_write($1)']
        : ['jsonb, integer', `job_status_write($1, ${version})`];
    await pool.query(`
      grant select, insert, update, delete on job_status to app;
      grant execute on function job_status_write(${types}) to app;
    `);
    await migrate(pool);
    const client = await pool.connect();
    await client.query('set role app');
    const store = new PostgresStatusStore(client);
    await client.query(`select ${call}`, [JSON.stringify([toRecord(first!)])]);
    // Its row goes on to another attempt, so this writes to both tables.
    await store.write([last!]);
    expect((await store.attempts(last!)).length).toBe(2);
    expect(await store.prune({ olderThan: 0 })).toBe(1);
    await client.query('reset role');
    client.release();
    await pool.end();
  });

  test('a table that was described anew is still known', async () => {
    const pool = await newDatabase(version);
    await pool.query("comment on table job_status is 'what our jobs do'");
    for (let twice = 0; twice < 2; twice++) await migrate(pool);
    await pool.query("comment on table job_status is 'what our jobs do'");
    await migrate(pool);
    expect(await checkSchema(pool)).toMatchObject({ installed: SCHEMA_VERSION, differences: [] });
    await pool.end();
  });

  test('a store on it works as it is, or says what to run, and loses nothing', async () => {
    const pool = await newDatabase(version);
    const store = new PostgresStatusStore(pool);
    const told = {
      code: 'ERR_STORE_SETUP',
      message: expect.stringContaining('Run `npx bullmq-job-status migrate --database-url <url>`'),
    };
    const calls: [since: number, call: () => Promise<unknown>][] = [
      [2, () => store.list({ finishedBefore: new Date() })],
      [2, () => store.prune({ olderThan: 0 })],
      [3, () => store.write([first!])],
      [3, () => store.attempts(first!)],
    ];
    for (const [since, call] of calls) {
      if (version < since) await expect(call()).rejects.toMatchObject(told);
      else await call();
    }
    await migrate(pool);
    await store.write([first!]);
    await pool.end();
  });
});

test('a database of a newer version is left as it is, and goes on serving this package', async () => {
  const pool = await newDatabase(1);
  await migrate(pool);
  await pool.query("comment on table job_status is 'bullmq-job-status, schema version 99'");
  await pool.query('alter function job_status_write(jsonb, integer) stable');
  await migrate(pool);
  const { rows } = await pool.query(
    "select provolatile from pg_proc where oid = 'job_status_write(jsonb, integer)'::regprocedure",
  );
  expect(rows).toEqual([{ provolatile: 's' }]);
  expect(await checkSchema(pool)).toMatchObject({ installed: 99 });
  await pool.end();
});

test('a store of a newer package is told that the function is too old for it', async () => {
  const pool = await newDatabase(1);
  await migrate(pool);
  await expect(pool.query("select job_status_write('[]', 99)")).rejects.toMatchObject({
    code: '42883',
    message: `"public"."job_status" is at schema version ${SCHEMA_VERSION}, and version 99 is needed`,
  });
  await pool.end();
});

test("a table that is not the package's is left alone", async () => {
  const pool = await newDatabase(1);
  await pool.query('create table jobs (id integer)');
  await expect(migrate(pool, { table: 'jobs' })).rejects.toMatchObject({
    code: '42P07',
    message: `"public"."jobs" is there already, and is not bullmq-job-status's`,
    hint: expect.stringContaining('docs/existing-table.md'),
  });
  const { rows } = await pool.query("select proname from pg_proc where proname like 'jobs%'");
  expect(rows).toEqual([]);
  await pool.end();
});

test('a migration that fails half-way leaves nothing behind', async () => {
  const pool = await newDatabase(1);
  // The second step's index is there already, under its name.
  await pool.query('create index job_status_metadata_idx on job_status (name)');
  await expect(migrate(pool)).rejects.toMatchObject({ code: '42P07' });
  expect(await checkSchema(pool)).toMatchObject({ installed: 1 });
  const columns = await pool.query(
    "select from information_schema.columns where column_name = 'finished_at'",
  );
  expect(columns.rowCount).toBe(0);
  await pool.end();
});

test.each(['repeatable read', 'serializable'])(
  'where %s is the default, twenty at once are told so, and nothing is half done',
  async (isolation) => {
    const connectionString = await postgres.createDatabase(`upgrade_${isolation.slice(0, 6)}`);
    const options = `-c default_transaction_isolation=${isolation.replace(' ', '\\ ')}`;
    const strict = openPool(connectionString, { options, max: 20 });
    const answers = await Promise.allSettled(Array.from({ length: 20 }, () => migrate(strict)));
    for (const answer of answers)
      expect(answer).toMatchObject({
        status: 'rejected',
        reason: { message: expect.stringContaining('must run in a read committed transaction') },
      });
    expect(await checkSchema(strict)).toMatchObject({ installed: 0 });
    await strict.query(`begin isolation level read committed; ${migrationSql()} commit`);
    expect(await checkSchema(strict)).toMatchObject({ differences: [] });
    const store = new PostgresStatusStore(strict);
    await store.write([first!]);
    await strict.end();
  },
);

test('times have no microseconds, whoever writes them', async () => {
  const pool = await newDatabase(1);
  await migrate(pool);
  const store = new PostgresStatusStore(pool);
  await store.write([first!]);
  await pool.query("update job_status set created_at = created_at - interval '123456 us'");
  const { rows } = await pool.query(
    'select extract(microseconds from created_at)::int % 1000 as us from job_status',
  );
  expect(rows).toEqual([{ us: 0 }]);
  await pool.end();
});

test('the table joins the publication of Realtime once', async () => {
  const pool = await newDatabase(1);
  await expect(migrate(pool, { realtime: true })).rejects.toThrow(
    'there is no publication supabase_realtime',
  );
  await pool.query('create publication supabase_realtime');
  for (let twice = 0; twice < 2; twice++) await migrate(pool, { realtime: true });
  const { rows } = await pool.query('select tablename from pg_publication_tables');
  expect(rows).toEqual([{ tablename: 'job_status' }]);
  expect(migrationSql()).not.toContain('publication');
  await pool.end();
});
