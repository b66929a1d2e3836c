import { createClient } from '@supabase/supabase-js';
import { checkSchema, migrationSql } from 'bullmq-job-status/migrations';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SCHEMA_VERSION } from '../../src/migrations/version.ts';
import {
  runSql,
  startPostgres,
  startSupabaseApi,
  type PostgresPart,
  type SupabasePart,
} from '../parts/index.ts';
import { JobHistory } from '../../src/testing/histories.ts';

const completed = (jobId: string, queue = 'errors') =>
  new JobHistory({ queue, id: jobId }).start().complete().snapshots.slice(1);

describe('tables of any name, in any schema', () => {
  let postgres: PostgresPart;
  let api: SupabasePart | undefined;

  beforeAll(async () => {
    postgres = await startPostgres();
  });

  afterAll(async () => {
    await api?.stop();
    await postgres.stop();
  });

  test('run again it waits for no query, and no query for it', async () => {
    const { connectionString } = postgres;
    await runSql(connectionString, migrationSql());
    const client = new Client({ connectionString });
    await client.connect();
    await client.query('begin; select count(*) from job_status');
    await runSql(connectionString, `set lock_timeout = 2000; ${migrationSql()}`);
    await client.query("update job_status set name = 'x'");
    await runSql(connectionString, `set lock_timeout = 2000; ${migrationSql()}`);
    await client.end();
  });

  test('PostgREST is told to look again where something has changed, and only there', async () => {
    const connectionString = await postgres.createDatabase('notified');
    const client = new Client({ connectionString });
    await client.connect();
    const heard: unknown[] = [];
    client.on('notification', ({ channel, payload }) => heard.push([channel, payload]));
    await client.query('listen pgrst');
    const changes = [
      migrationSql(),
      migrationSql(),
      'drop function job_status_prune',
      migrationSql(),
    ];
    const counts: number[] = [];
    for (const sql of changes) {
      await client.query(sql);
      // What was sent before the answer of a later query has come by then.
      await client.query('select 1');
      counts.push(heard.length);
    }
    expect(counts).toEqual([1, 1, 1, 2]);
    expect(heard[0]).toEqual(['pgrst', 'reload schema']);
    await client.end();
  });

  test('a role that may create tables, but no schema, may run it', async () => {
    const connectionString = await postgres.createDatabase('limited');
    await runSql(
      connectionString,
      'create role limited login; grant all on schema public to limited',
    );
    const url = new URL(connectionString);
    url.username = 'limited';
    for (let twice = 0; twice < 2; twice++) await runSql(url.href, migrationSql());
  });

  test('run again it leaves the rights and policies that you gave since', async () => {
    const connectionString = await postgres.createDatabase('granted');
    const grants = async () => {
      const ofTable = "(select relacl::text from pg_class where oid = 'job_status'::regclass)";
      const ofFunction =
        "(select proacl::text from pg_proc where oid = to_regprocedure('job_status_write(jsonb, integer)'))";
      const [row] = await runSql(connectionString, `select ${ofTable} as t, ${ofFunction} as f`);
      return row;
    };
    await runSql(
      connectionString,
      'do $$ begin create role authenticated; exception when duplicate_object then null; end $$',
    );
    await runSql(connectionString, migrationSql());
    await runSql(
      connectionString,
      'grant select on job_status to authenticated; grant execute on function job_status_write(jsonb, integer) to authenticated',
    );
    const before = await grants();
    expect(JSON.stringify(before)).toMatch(/authenticated=r.*authenticated=X/);
    await runSql(connectionString, migrationSql());
    expect(await grants()).toEqual(before);
  });

  test('the migration may be run by twenty at once, and again', async () => {
    await Promise.all(
      Array.from({ length: 20 }, () => runSql(postgres.connectionString, migrationSql())),
    );
    await runSql(postgres.connectionString, migrationSql());
    const client = new Client({ connectionString: postgres.connectionString });
    await client.connect();
    expect(await checkSchema(client)).toMatchObject({
      installed: SCHEMA_VERSION,
      differences: [],
    });
    await client.end();
  });

  test.each([
    ['My Schema', 'job status'],
    ["o'brien", 'quo"te\\d'],
    ['s$migration$y', 'x$function$y'],
    ['new\nline', 'two\r\nlines'],
    ['%I %s', '100 %'],
  ])('schema %j, table %j', async (schema, table) => {
    await api?.stop();
    const { connectionString } = postgres;
    api = await startSupabaseApi({
      connectionString,
      sql: migrationSql({ schema, table }),
      schemas: ['public', schema],
    });
    // The server's API may not serve a name of any kind; the SQL must.
    await runSql(connectionString, migrationSql({ schema, table }));
    const identifier = (name: string) => `"${name.replaceAll('"', '""')}"`;
    const [row] = await runSql(
      connectionString,
      `select ${identifier(schema)}.${identifier(`${table}_write`)}('[]') as merged`,
    );
    expect(row).toEqual({ merged: 0 });
  });

  test('a store on another schema and table', async () => {
    await api?.stop();
    const { connectionString } = postgres;
    const names = { schema: 'tracking', table: 'jobs' };
    api = await startSupabaseApi({
      connectionString,
      sql: migrationSql(names),
      schemas: ['public', 'tracking'],
    });
    // A real project serves the schemas it is set up to serve.
    if (api.pid === undefined) return;
    const store = new SupabaseStatusStore(createClient(api.url, api.secretKey), names);
    await store.write(completed('1'));
    expect(await store.count({ status: 'completed' })).toBe(1);
  });

  test.each([[''], ['x'.repeat(47)], ['a\0b'], [5]])(
    'a table name of %j is refused at once',
    (table) => {
      const expected = expect.objectContaining({
        code: 'ERR_INVALID_ARGUMENT',
        message: expect.stringContaining('Expected `options.table` to be a name of 1 to 46 bytes'),
      });
      expect(() => migrationSql({ table: table as string })).toThrow(expected);
      expect(
        () =>
          new SupabaseStatusStore(createClient('http://127.0.0.1:9', 'key'), {
            table: table as string,
          }),
      ).toThrow(expected);
    },
  );
});
