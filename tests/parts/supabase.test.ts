import { createClient } from '@supabase/supabase-js';
import type { SupabaseClient } from '@supabase/supabase-js';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { runSql, startPostgres, startSupabaseApi } from './index.ts';
import type { PostgresPart, SupabasePart } from './index.ts';

// A cold start may have to install Redis, and other test files start parts at the same time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const ONE = 'create function public.one() returns integer language sql as $$ select 1 $$';

let postgres: PostgresPart;
let api: SupabasePart;
let service: SupabaseClient;
let anon: SupabaseClient;

beforeAll(async () => {
  // The stand-in is what is tested here, whatever the rest of the run uses.
  for (const name of ['DATABASE_URL', 'SUPABASE_URL']) vi.stubEnv(name, undefined);
  postgres = await startPostgres();
  const sql = await readFile(new URL('supabase.test.sql', import.meta.url), 'utf8');
  const { connectionString } = postgres;
  api = await startSupabaseApi({ connectionString, sql, schemas: ['public', 'other'] });
  service = createClient(api.url, api.secretKey);
  anon = createClient(api.url, api.publishableKey);
});

afterAll(async () => {
  await api?.stop();
  await postgres?.stop();
  vi.unstubAllEnvs();
});

describe('functions', () => {
  test('a jsonb argument of 500 objects arrives as an array; a number comes back', async () => {
    const items = Array.from({ length: 500 }, (_, index) => ({ id: `bulk-${index}`, n: index }));
    const { data, error } = await service.rpc('put_items', { items });
    expect({ data, error }).toEqual({ data: 500, error: null });
  });

  test.for([{ a: [1, 'two', { three: null }] }, { text: 'äöü " \\ \n 🎉' }, [], 0, false])(
    'jsonb comes back as it went: %j',
    async (value) => {
      const { data, error } = await service.rpc('echo', { value });
      expect({ data, error }).toEqual({ data: value, error: null });
    },
  );

  test('a violated constraint arrives with its code, message and details', async () => {
    const { error, status } = await service.rpc('put_items', { items: [{ id: 'bad', n: -1 }] });
    expect(status).toBe(400);
    expect(error).toMatchObject({
      code: '23514',
      message: 'new row for relation "items" violates check constraint "items_n_check"',
      details: expect.stringContaining('Failing row contains (bad, -1'),
    });
  });

  test.for([
    ['22P02', 400],
    ['23505', 409],
    ['23514', 400],
    ['40001', 500],
    ['40P01', 500],
    ['42501', 403],
    ['53300', 503],
    ['57014', 500],
    ['P0001', 400],
    ['P0002', 500],
  ] as const)('SQLSTATE %s arrives as it is, with status %i', async ([code, expected]) => {
    const { error, status } = await service.rpc('fail_with', { code });
    expect(status).toBe(expected);
    expect(error).toMatchObject({ code, message: 'it failed', details: 'so', hint: 'try' });
  });

  test('text that jsonb refuses is told by Postgres', async () => {
    const { error, status } = await service.rpc('echo', { value: { text: '\u0000' } });
    expect({ status, code: error?.code }).toEqual({ status: 400, code: '22P05' });
  });

  test('one that does not exist is PGRST202', async () => {
    const { error, status } = await service.rpc('no_such_function');
    expect({ status, code: error?.code }).toEqual({ status: 404, code: 'PGRST202' });
  });
});

describe('tables', () => {
  const times = [
    '1970-01-01T00:00:00+00:00',
    '1970-01-01T00:00:00.001+00:00',
    '2026-02-28T23:59:59.999+00:00',
    '2026-11-23T12:34:56.123456+00:00',
    '9999-12-31T23:59:59.999+00:00',
  ];
  const ids = times.map((_, index) => `time-${index}`);

  beforeAll(async () => {
    const items = times.map((at, n) => ({ id: ids[n], n, at }));
    expect((await service.rpc('put_items', { items })).error).toBeNull();
  });

  test('timestamptz come back as ISO strings, exact from 1970 to 9999', async () => {
    const { data } = await service.from('items').select('at').in('id', ids).order('id');
    expect(data?.map(({ at }) => at)).toEqual(times);
    expect(new Date(data?.[2]?.at).getTime()).toBe(Date.parse(times[2]!));
  });

  test('order, limit and keyset `or` filters work on times', async () => {
    const at = new Date(times[1]!).toISOString();
    const { data, error } = await service
      .from('items')
      .select('id,at')
      .or(`at.gt."${at}",and(at.eq."${at}",id.gt."time-0")`)
      .order('at', { ascending: true })
      .order('id', { ascending: true })
      .limit(2);
    expect(error).toBeNull();
    expect(data?.map(({ id }) => id)).toEqual(['time-1', 'time-2']);
  });

  test.for(['9007199254740993', 'true', 'null', ' a', '"a"', String.raw`\"`, '{"a":1}', 'a)', ''])(
    'a value of a filter is the text it is, bare and quoted: %j',
    async (id) => {
      const rows = [{ id, n: 1 }];
      await service.from('items').insert(rows);
      const table = () => service.from('items').select('id, n');
      expect((await table().eq('id', id)).data).toEqual(rows);
      const quoted = id.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
      expect((await table().or(`and(id.eq."${quoted}",n.eq.1),n.eq.-1`)).data).toEqual(rows);
      await service.from('items').delete().eq('id', id);
      expect((await table().eq('id', id)).data).toEqual([]);
    },
  );

  test('rows can be counted without being sent', async () => {
    const { count, data } = await service
      .from('items')
      .select('*', { count: 'exact', head: true })
      .in('id', ids);
    expect({ count, data }).toEqual({ count: times.length, data: null });
  });

  test('rows deleted by a filter are counted', async () => {
    const items = [1, 2, 3].map((n) => ({ id: `gone-${n}`, n }));
    await service.rpc('put_items', { items });
    const gone = service.from('items').delete({ count: 'exact' }).like('id', 'gone-%');
    expect(await gone.gte('n', 2)).toMatchObject({ error: null, count: 2 });
  });

  test('one that does not exist is PGRST205', async () => {
    const { error, status } = await service.from('no_such_table').select();
    expect({ status, code: error?.code }).toEqual({ status: 404, code: 'PGRST205' });
  });

  test('other schemas are served where they are exposed', async () => {
    const other = service.schema('other');
    expect(await other.rpc('answer')).toMatchObject({ error: null, data: 42 });
    expect(await other.from('things').select()).toMatchObject({ error: null, data: [] });
    const hidden = await service.schema('auth').from('users').select();
    expect(hidden.error?.code).toBe('PGRST106');
  });

  test('what was made later is seen after a reload', async () => {
    await runSql(postgres.connectionString, 'create table public.later (id int)');
    expect((await service.from('later').select()).error?.code).toBe('PGRST205');
    await api.reloadSchema();
    expect(await service.from('later').select()).toMatchObject({ error: null, data: [] });
  });
});

describe('who may', () => {
  test('anon gets nothing from a table and a function it has no grants on', async () => {
    const read = await anon.from('items').select();
    expect(read).toMatchObject({ status: 401, data: null, error: { code: '42501' } });
    const call = await anon.rpc('put_items', { items: [] });
    expect(call).toMatchObject({ status: 401, data: null, error: { code: '42501' } });
  });

  test('requests have not granted anything to anybody', async () => {
    const rows = await runSql(
      postgres.connectionString,
      `select distinct grantee from information_schema.role_table_grants
        where table_name = 'items' order by 1`,
    );
    expect(rows.map(({ grantee }) => grantee)).toEqual(['postgres', 'service_role']);
  });

  test('a user who is signed in sees the rows a policy gives him', async () => {
    const sub = '11111111-1111-4111-8111-111111111111';
    await service.from('notes').upsert([
      { id: 1, owner: sub },
      { id: 2, owner: '22222222-2222-4222-8222-222222222222' },
    ]);
    const { data, error } = await as(api.signedInToken({ sub })).from('notes').select('id');
    expect({ data, error }).toEqual({ data: [{ id: 1 }], error: null });
    expect((await anon.from('notes').select('id')).data).toEqual([]);
  });

  test('forged and expired tokens are refused', async () => {
    const expired = api.signedInToken({ exp: Math.floor(Date.now() / 1_000) - 60 });
    const late = await as(expired).from('notes').select();
    expect(late).toMatchObject({ status: 401, error: { code: 'PGRST303' } });
    const forged = await as(api.signedInToken({}, 'a guess')).from('notes').select();
    expect(forged).toMatchObject({ status: 401, error: { code: 'PGRST301' } });
  });

  test('a key that does not exist is refused', async () => {
    const { status } = await createClient(api.url, 'sb_secret_guess').from('items').select();
    expect(status).toBe(401);
  });

  function as(token: string): SupabaseClient {
    const headers = { Authorization: `Bearer ${token}` };
    return createClient(api.url, api.publishableKey, { global: { headers } });
  }
});

test('requests are counted', async () => {
  const before = await api.requests();
  for (let n = 0; n < 3; n += 1) await service.rpc('echo', { value: n });
  expect((await api.requests()) - before).toBe(3);
});

test('a database that is gone is status 503', async () => {
  await using lost = await startPostgres();
  await using part = await startSupabaseApi({ connectionString: lost.connectionString, sql: ONE });
  const client = createClient(part.url, part.secretKey);
  expect(await client.rpc('one')).toMatchObject({ data: 1 });
  await lost.stop();
  expect(await client.rpc('one')).toMatchObject({ status: 503, error: { code: 'PGRST001' } });
});

test('a real project takes its place where the environment names one', async () => {
  vi.stubEnv('SUPABASE_URL', api.url);
  vi.stubEnv('SUPABASE_SECRET_KEY', api.secretKey);
  try {
    await using project = await startSupabaseApi({ connectionString: 'unused', sql: 'unused' });
    expect(project).toMatchObject({ url: api.url, secretKey: api.secretKey, pid: undefined });
    await expect(project.requests()).rejects.toThrow("can't be counted");
    expect(() => project.signedInToken()).toThrow('Set SUPABASE_JWT_SECRET');
  } finally {
    vi.stubEnv('SUPABASE_URL', undefined);
  }
  expect(await service.rpc('echo', { value: 1 })).toMatchObject({ data: 1 });
});
