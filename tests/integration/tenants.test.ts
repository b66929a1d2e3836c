import type { SupabaseClient } from '@supabase/supabase-js';
import { Queue, Worker } from 'bullmq';
import { attachStatusTracking } from 'bullmq-job-status';
import { migrationSql } from 'bullmq-job-status/migrations';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import {
  runSql,
  startPostgres,
  startSupabaseApi,
  type PostgresPart,
  type SupabasePart,
} from '../parts/index.ts';
import { docsBlocks } from '../support/docs.ts';
import { A, ALICE, B, BOB, GONE, people, recipe, STRANGER } from '../support/organizations.ts';
import { browserClient, sqlAs, type Claims } from '../support/people.ts';
import { ended } from '../support/queues.ts';

/* docs/tenants.md word for word, on rows that real workers write through the Supabase store. */

const { tables, column, byMembers, byClaim, fewerColumns, others } = recipe;

let postgres: PostgresPart;
let api: SupabasePart;

beforeAll(async () => {
  // A stand-in of our own, for its database must be in reach.
  for (const name of ['DATABASE_URL', 'SUPABASE_URL']) vi.stubEnv(name, undefined);
  postgres = await startPostgres();
  const sql = [migrationSql(), tables, column, people].join('\n');
  api = await startSupabaseApi({ connectionString: postgres.connectionString, sql });
});

afterAll(async () => {
  await api?.stop();
  await postgres?.stop();
  vi.unstubAllEnvs();
});

const run = (sql: string) => runSql(postgres.connectionString, sql);
const server = () => browserClient({ ...api, publishableKey: api.secretKey });

/** What a real worker makes of jobs with these `organizationId`s, and what `onError` was told. */
async function track(organizations: readonly unknown[]) {
  const name = `queue-${randomUUID()}`;
  const { redis: connection } = inject('parts');
  const worker = new Worker(name, async () => ({ done: true }), { connection, autorun: false });
  const told: { code: string; cause: unknown; organizations: unknown[] }[] = [];
  attachStatusTracking(worker, new SupabaseStatusStore(server()), {
    metadata: (job) => ({ organizationId: job.data.organizationId }),
    onError: ({ code, cause }, updates) => {
      told.push({
        code,
        cause: (cause as { code?: string } | null)?.code,
        organizations: updates.map(({ metadata }) => metadata?.['organizationId']),
      });
    },
  });
  const queue = new Queue(name, { connection });
  await queue.addBulk(
    organizations.map((organizationId) => ({ name: 'export', data: { organizationId } })),
  );
  const all = ended(worker, organizations.length);
  void worker.run();
  await all;
  await worker.close();
  await queue.close();
  return { queue: name, told };
}

const organizationsOf = async (client: SupabaseClient) => {
  const { data, count, error } = await client
    .from('job_status')
    .select('organization_id', { count: 'exact' });
  expect(error).toBeNull();
  expect(count).toBe(data?.length);
  return data?.map((row) => row.organization_id as string | null).sort();
};

/** The same by SQL, as the API would ask. */
const organizationsBySql = async (claims: Claims) => {
  const { rows } = await sqlAs(
    postgres.connectionString,
    claims,
    'select organization_id from job_status order by 1',
  );
  return rows.map((row) => row['organization_id']);
};

beforeEach(() => run('delete from job_status'));

test('every block of the document is used here', () => {
  expect(others).toEqual([]);
  expect(fewerColumns).toContain('error_message');
});

describe('a column for the tenant', () => {
  test('is filled from metadata; what names no organisation, or none that is there, is refused and told', async () => {
    const { queue, told } = await track([A, B, undefined, GONE, 'no uuid', A]);
    const store = new SupabaseStatusStore(server());
    expect(await store.count({ queue, status: 'completed' })).toBe(4);
    expect(await run('select organization_id as o from job_status order by 1')).toEqual(
      [A, A, B, null].map((o) => ({ o })),
    );
    // Once for each update of the job that was not merged with another on its way.
    const refused = told.filter(({ code }) => code !== 'ERR_FLUSH_INCOMPLETE');
    const codes = new Map(
      refused.map(({ organizations, code, cause }) => [String(organizations), { code, cause }]),
    );
    expect(codes).toEqual(
      new Map([
        [GONE, { code: 'ERR_STORE_REFUSED', cause: '23503' }],
        ['no uuid', { code: 'ERR_STORE_REFUSED', cause: '22P02' }],
      ]),
    );
  });

  test('an organisation that is deleted takes its rows, and no others', async () => {
    await run(`insert into organizations values ('${GONE}', 'C')`);
    await track([A, GONE, undefined]);
    await run(`delete from organizations where id = '${GONE}'`);
    expect(await run('select organization_id as o from job_status order by 1')).toEqual([
      { o: A },
      { o: null },
    ]);
  });

  test('the store reads, counts and deletes as before', async () => {
    const { queue } = await track([A, B]);
    const store = new SupabaseStatusStore(server());
    const page = await store.list({ queue });
    expect(page.items.map(({ metadata }) => metadata?.['organizationId']).sort()).toEqual([A, B]);
    const [row] = page.items;
    expect(await store.get(row!)).toEqual(row);
    expect(Object.keys(row!)).not.toContain('organization_id');
    expect(await store.delete({ queue })).toBe(2);
  });
});

describe.each([
  ['by a table of members', byMembers],
  ['by a claim in the token', byClaim],
])('who may read, %s', (way, policy) => {
  /** What stands in the token of a member of an organisation. */
  const claimsOf = (sub: string, organization?: string): Claims => ({
    role: 'authenticated',
    sub,
    ...(way.includes('claim') && { app_metadata: { organization_id: organization } }),
  });
  const signedIn = (claims: Claims, secret?: string) =>
    browserClient(api, api.signedInToken(claims, secret));

  beforeAll(() => run(policy));
  beforeEach(async () => void (await track([A, A, B, undefined])));
  afterAll(() =>
    run(`drop policy ${/"[^"]+"/.exec(policy)?.[0]} on job_status;
      revoke all on job_status from authenticated`),
  );

  test('a member reads the rows of his organisation and counts them, and no others', async () => {
    for (const [claims, expected] of [
      [claimsOf(ALICE, A), [A, A]],
      [claimsOf(BOB, B), [B]],
      [claimsOf(STRANGER), []],
      [{ ...claimsOf(STRANGER), user_metadata: { organization_id: A } }, []],
    ] as const) {
      expect(await organizationsOf(signedIn(claims))).toEqual(expected);
      expect(await organizationsBySql(claims)).toEqual(expected);
    }
    const asked = signedIn(claimsOf(ALICE, A)).from('job_status').select('*');
    expect((await asked.eq('organization_id', B)).data).toEqual([]);
  });

  test('a row without a tenant is seen by nobody', async () => {
    const asked = signedIn(claimsOf(ALICE, A)).from('job_status').select('*');
    expect((await asked.is('organization_id', null)).data).toEqual([]);
    expect(await organizationsOf(server())).toContain(null);
  });

  test('anon, a forged and an expired token read nothing', async () => {
    const member = claimsOf(ALICE, A);
    const expired = { ...member, exp: Math.floor(Date.now() / 1_000) - 60 };
    for (const [client, code] of [
      [browserClient(api), '42501'],
      [signedIn(member, 'a guess'), 'PGRST301'],
      [signedIn(expired), 'PGRST303'],
    ] as const) {
      const { data, error } = await client.from('job_status').select('*');
      expect({ data, code: error?.code }).toEqual({ data: null, code });
    }
    await expect(organizationsBySql({ role: 'anon' })).rejects.toMatchObject({ code: '42501' });
  });

  test('a member may only read', async () => {
    const before = await run('select to_jsonb(t) as row from job_status t order by job_id');
    const table = () => signedIn(claimsOf(ALICE, A)).from('job_status');
    const { data } = await table().select('*').limit(1).single();
    const { organization_id: _, finished_at: __, ...row } = data as Record<string, unknown>;
    for (const { error } of [
      await table().insert({ ...row, job_id: 'forced' }),
      await table().upsert(row),
      await table().update({ name: 'forced' }).eq('name', 'export'),
      await table().delete().eq('name', 'export'),
    ]) {
      expect(error).toMatchObject({ code: '42501' });
    }
    for (const sql of [
      "update job_status set name = 'forced'",
      'delete from job_status',
      'insert into job_status select * from job_status',
      'truncate job_status',
      "select job_status_write('[]')",
    ]) {
      await expect(sqlAs(postgres.connectionString, claimsOf(ALICE, A), sql)).rejects.toMatchObject(
        { code: expect.stringMatching('42501|428C9') },
      );
    }
    expect(await run('select to_jsonb(t) as row from job_status t order by job_id')).toEqual(
      before,
    );
  });

  test('no function may be called', async () => {
    const functions = await run(
      `select p.oid::regprocedure::text as name from pg_proc p where proname like 'job\\_status%'
        and has_function_privilege('authenticated', p.oid, 'execute')`,
    );
    expect(functions).toEqual([]);
  });

  test('our migration, run again, leaves policy, grant, column and index', async () => {
    const objects = () =>
      run(`select (select relacl::text from pg_class where oid = 'job_status'::regclass) as acl,
        (select jsonb_agg(to_jsonb(p) order by policyname) from pg_policies p) as policies,
        (select jsonb_agg(indexdef order by 1) from pg_indexes where tablename = 'job_status') as indexes,
        (select jsonb_agg(conname order by 1) from pg_constraint where conrelid = 'job_status'::regclass) as constraints`);
    const before = await objects();
    expect(JSON.stringify(before)).toContain('authenticated=r/');
    await run(migrationSql());
    expect(await objects()).toEqual(before);
    expect(await organizationsOf(signedIn(claimsOf(ALICE, A)))).toEqual([A, A]);
  });
});

test('a user in two organisations reads the rows of both', async () => {
  await run(`${byMembers} insert into memberships values ('${ALICE}', '${B}')`);
  await track([A, B, undefined]);
  const claims: Claims = { role: 'authenticated', sub: ALICE };
  expect(await organizationsOf(browserClient(api, api.signedInToken(claims)))).toEqual([A, B]);
  await run(`delete from memberships where user_id = '${ALICE}' and organization_id = '${B}'`);
  expect(await organizationsBySql(claims)).toEqual([A]);
});

test('fewer columns: those granted are read, the others and * are refused', async () => {
  await run(fewerColumns);
  await api.reloadSchema();
  await track([A]);
  await run(
    `update job_status set error = '{"name":"Error","message":"no disk","stack":"at s3cret"}'`,
  );
  const [, shown = ''] = docsBlocks('tenants.md', 'ts');
  const [, columns = ''] = /select\('(.*)'\)/.exec(shown) ?? [];
  const table = () => browserClient(api, api.signedInToken({ sub: ALICE })).from('job_status');
  const { data, error } = await table()
    .select(columns)
    .order('created_at', { ascending: false })
    .limit(20);
  expect(error).toBeNull();
  expect(data).toMatchObject([{ status: 'completed', error_message: 'no disk' }]);
  for (const refused of ['*', 'data', 'error', 'result', 'error->stack']) {
    expect((await table().select(refused)).error).toMatchObject({ code: '42501' });
  }
  for (const column of ['error', '*', 'job_status']) {
    await expect(
      sqlAs(
        postgres.connectionString,
        { role: 'authenticated', sub: ALICE },
        `select ${column} from job_status`,
      ),
    ).rejects.toMatchObject({ code: '42501' });
  }
});
