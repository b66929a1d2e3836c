import { createClient } from '@supabase/supabase-js';
import getPort from 'get-port';
import { createServer } from 'node:http';
import { inspect } from 'node:util';
import type { AddressInfo } from 'node:net';
import { migrationSql } from 'bullmq-job-status/migrations';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { createBatcher } from '../../src/batcher.ts';
import type { JobStatusError, JobStatusErrorCode } from '../../src/errors.ts';
import type { StatusUpdate } from '../../src/types.ts';
import { resolveOptions } from '../../src/options.ts';
import {
  runSql,
  startPostgres,
  startSupabaseApi,
  type PostgresPart,
  type SupabasePart,
} from '../parts/index.ts';
import { JobHistory } from '../support/histories.ts';
import { supabaseClient } from '../support/stores.ts';

const completed = (jobId: string, queue = 'errors') =>
  new JobHistory({ queue, id: jobId }).start().complete().snapshots.slice(1);

/** A server that gives every request one answer. */
async function answering(status: number, body: string) {
  const server = createServer((_, response) => {
    response.writeHead(status, {
      'content-type': body.startsWith('<') ? 'text/html' : 'application/json',
    });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () => {
      server.closeAllConnections();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

describe('what went wrong is told apart', () => {
  test('a publishable key may not write: not set up, with what to do', async () => {
    const { publishableKey } = inject('parts');
    const store = new SupabaseStatusStore(supabaseClient(publishableKey));
    const key = { queue: 'errors', jobId: '1' };
    for (const request of [
      () => store.write(completed('1')),
      () => store.get(key),
      () => store.count(),
    ]) {
      await expect(request()).rejects.toMatchObject({
        code: 'ERR_STORE_SETUP',
        message: expect.stringContaining('it must be the secret one'),
        cause: { code: '42501' },
      });
    }
  });

  test('a wrong key: not set up', async () => {
    const store = new SupabaseStatusStore(supabaseClient('sb_secret_wrong'));
    await expect(store.write(completed('1'))).rejects.toMatchObject({ code: 'ERR_STORE_SETUP' });
  });

  test('no such table: not set up, with what to run', async () => {
    const store = new SupabaseStatusStore(supabaseClient(), { table: 'nowhere' });
    const message = expect.stringContaining(
      'migrationSql() of bullmq-job-status/migrations was run: it creates public.nowhere and public.nowhere_write',
    );
    await expect(store.write(completed('1'))).rejects.toMatchObject({
      code: 'ERR_STORE_SETUP',
      message,
    });
    await expect(store.list()).rejects.toMatchObject({ code: 'ERR_STORE_SETUP', message });
  });

  test('nobody at the address: unavailable, and the cause is kept', async () => {
    const store = new SupabaseStatusStore(
      createClient(`http://127.0.0.1:${await getPort()}`, 'key'),
    );
    await expect(store.write(completed('1'))).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      message: expect.stringContaining('fetch failed'),
      cause: { message: expect.stringContaining('fetch failed') },
    });
  });

  test.each<[number, string, JobStatusErrorCode]>([
    // What a gateway, a wrong URL or an empty page says; supabase-js takes several for a success.
    [200, '', 'ERR_STORE_SETUP'],
    [200, '{"ok":true}', 'ERR_STORE_SETUP'],
    [204, '', 'ERR_STORE_SETUP'],
    [404, '', 'ERR_STORE_SETUP'],
    [404, '[]', 'ERR_STORE_SETUP'],
    [404, '<html>not found</html>', 'ERR_STORE_SETUP'],
    [413, 'too large', 'ERR_STORE_REFUSED'],
    [413, '{"code":413,"message":"too large"}', 'ERR_STORE_REFUSED'],
    [401, '{"code":401,"message":"no"}', 'ERR_STORE_SETUP'],
    [502, '"just text"', 'ERR_STORE_UNAVAILABLE'],
    [429, 'slow down', 'ERR_STORE_UNAVAILABLE'],
    [502, '<html>bad gateway</html>', 'ERR_STORE_UNAVAILABLE'],
    [500, '{"code":"57014","message":"canceling statement"}', 'ERR_STORE_UNAVAILABLE'],
    [500, '{"code":"PGRSTX00","message":"internal"}', 'ERR_STORE_UNAVAILABLE'],
    [503, '{"code":"PGRST001","message":"no database"}', 'ERR_STORE_UNAVAILABLE'],
    [401, '{"code":"PGRST301","message":"JWT expired"}', 'ERR_STORE_SETUP'],
    [400, '{"code":"P0001","message":"a trigger of yours"}', 'ERR_STORE_REFUSED'],
  ])('a server that answers %d %j has stored nothing', async (status, body, code) => {
    await using server = await answering(status, body);
    const store = new SupabaseStatusStore(createClient(server.url, 'key'));
    for (const request of [() => store.write(completed('1')), () => store.delete({ queue: 'q' })]) {
      await expect(request()).rejects.toMatchObject({ code });
    }
  });

  test("a refusal's message has nothing of the row, whose values Postgres quotes in its details", async () => {
    const details = 'Failing row contains (q, 1, "s3cret").';
    const body = JSON.stringify({ code: '23514', message: 'violates check constraint', details });
    await using server = await answering(400, body);
    const refused = await new SupabaseStatusStore(createClient(server.url, 'key'))
      .write(completed('1'))
      .catch((error: JobStatusError) => error);
    expect(refused).toMatchObject({ code: 'ERR_STORE_REFUSED', cause: { details } });
    expect(inspect(refused)).not.toContain('s3cret');
  });

  test.each<[string, unknown[], string]>([
    [
      'no client',
      [undefined],
      "Expected `client` to be what supabase-js's createClient returns, got undefined",
    ],
    ['a URL', ['https://x.supabase.co'], 'got a string'],
    [
      'a misspelt option',
      [createClient('http://localhost', 'k'), { tabel: 'x' }],
      'Unknown key `tabel` in options; known are schema, table',
    ],
    [
      'null',
      [createClient('http://localhost', 'k'), null],
      'Expected `options` to be an object, got null',
    ],
  ])('%s is refused at once', (_, args, message) => {
    const create = () =>
      new SupabaseStatusStore(...(args as ConstructorParameters<typeof SupabaseStatusStore>));
    expect(create).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
    expect(create).toThrow(message);
  });

  test('an id too long for its index is refused, found, told, and costs the others nothing', async () => {
    const store = new SupabaseStatusStore(supabaseClient());
    const told: { error: JobStatusError; jobs: string[] }[] = [];
    const batcher = createBatcher(store, resolveOptions(), (error, updates) => {
      told.push({ error, jobs: updates.map((update) => update.jobId) });
    });
    // Letters at random, for Postgres compresses repetition away.
    const long = Array.from({ length: 10_000 }, () => Math.random().toString(36)[2]).join('');
    for (let id = 0; id < 50; id++)
      for (const update of completed(id === 33 ? long : `ok-${id}`, 'long')) batcher.take(update);
    await expect(batcher.flush()).rejects.toMatchObject({
      code: 'ERR_FLUSH_INCOMPLETE',
      updates: [{ jobId: long }],
    });
    expect(told.map(({ jobs }) => jobs)).toEqual([[long]]);
    expect(told[0]?.error).toMatchObject({ code: 'ERR_STORE_REFUSED', cause: { code: '54000' } });
    expect(await store.count({ queue: 'long' })).toBe(49);
  });

  test('an aborted request ends at once', async () => {
    const store = new SupabaseStatusStore(supabaseClient());
    await expect(
      store.write(completed('1'), { signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  });
});

describe('hostile names are data', () => {
  const hostileNames = [
    "'; drop table job_status; --",
    '"',
    'a,b)(c',
    'new\nline',
    'repeat:s1:1700000000000',
    '%',
    'ünï©ödé 😀',
    '*',
  ];

  test.each(hostileNames)('a queue, a name and an id of %j', async (hostile) => {
    const store = new SupabaseStatusStore(supabaseClient());
    const [update] = completed(hostile, hostile);
    await store.write([{ ...update!, name: hostile }, ...completed('other', hostile)]);
    expect(await store.get({ queue: hostile, jobId: hostile })).toMatchObject({
      queue: hostile,
      jobId: hostile,
      name: hostile,
    });
    expect(await store.count({ queue: hostile, name: hostile })).toBe(1);
    const page = await store.list({ queue: hostile, limit: 1 });
    const rest = await store.list({
      queue: hostile,
      limit: 1,
      cursor: page.nextCursor ?? undefined,
    });
    expect([...page.items, ...rest.items].map((row) => row.jobId).sort()).toEqual(
      [hostile, 'other'].sort(),
    );
    expect(await store.delete({ queue: hostile })).toBe(2);
  });

  // The tests' stand-in for Supabase misreads these two in a filter, where PostgREST does not; so what
  // was written to it is read by SQL.
  test.each(['\\', '{"x":1}'])('an id of %j is written as it is', async (hostile) => {
    const store = new SupabaseStatusStore(supabaseClient());
    const [update] = completed(hostile, 'hostile') as [StatusUpdate];
    await store.write([update]);
    const { connectionString, isRealProject } = inject('parts');
    const sql = `select job_id as "jobId" from job_status where queue = 'hostile'`;
    const rows = isRealProject ? [await store.get(update)] : await runSql(connectionString, sql);
    expect(rows).toContainEqual(expect.objectContaining({ jobId: hostile }));
  });
});

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
      const ofFunction = "(select proacl::text from pg_proc where proname = 'job_status_write')";
      const [row] = await runSql(connectionString, `select ${ofTable} as t, ${ofFunction} as f`);
      return row;
    };
    await runSql(
      connectionString,
      'do $$ begin create role reader; exception when duplicate_object then null; end $$',
    );
    await runSql(connectionString, migrationSql());
    await runSql(
      connectionString,
      'grant select on job_status to reader; grant execute on function job_status_write to reader',
    );
    const before = await grants();
    expect(JSON.stringify(before)).toMatch(/reader=r.*reader=X/);
    await runSql(connectionString, migrationSql());
    expect(await grants()).toEqual(before);
  });

  test('the migration may be run by twenty at once, and again', async () => {
    await Promise.all(
      Array.from({ length: 20 }, () => runSql(postgres.connectionString, migrationSql())),
    );
    await runSql(postgres.connectionString, migrationSql());
    const [row] = await runSql(
      postgres.connectionString,
      "select obj_description('public.job_status'::regclass) as version",
    );
    expect(row).toEqual({ version: 'bullmq-job-status, schema version 1' });
  });

  test.each([
    ['My Schema', 'job status'],
    ["o'brien", 'quo"te\\d'],
    ['s$sql$y', 'x$_sql$y'],
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

describe('nobody but the secret key', () => {
  test('anon and signed-in users see nothing, write nothing, call nothing', async () => {
    const { connectionString, publishableKey, isRealProject } = inject('parts');
    const secret = new SupabaseStatusStore(supabaseClient());
    await secret.write(completed('1', 'private'));
    const anon = supabaseClient(publishableKey);
    for (const { error } of [
      await anon.from('job_status').select('*'),
      await anon.from('job_status').delete().eq('queue', 'private'),
      await anon.from('job_status').insert({ queue: 'x' }),
      await anon.rpc('job_status_write', { updates: [] }),
    ]) {
      expect(error).toMatchObject({ code: '42501' });
    }
    // Its database is out of reach, and nothing more is known of it than what its API lets through.
    if (isRealProject) return;
    const grants = await runSql(
      connectionString,
      `select r.rolname from pg_roles r where r.rolname in ('anon', 'authenticated')
        and (has_table_privilege(r.rolname, 'public.job_status', 'select, insert, update, delete, truncate, references, trigger')
          or has_function_privilege(r.rolname, 'public.job_status_write(jsonb)', 'execute'))`,
    );
    expect(grants).toEqual([]);
  });
});
