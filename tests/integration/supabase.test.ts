import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { describe, expect, inject, test } from 'vitest';
import { type StatusUpdate } from '../../src/types.ts';
import { runSql } from '../parts/index.ts';
import { JobHistory } from '../support/histories.ts';
import { supabaseClient } from '../support/stores.ts';

const completed = (jobId: string, queue = 'errors') =>
  new JobHistory({ queue, id: jobId }).start().complete().snapshots.slice(1);

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
          or has_function_privilege(r.rolname, 'public.job_status_write(jsonb, integer)', 'execute'))`,
    );
    expect(grants).toEqual([]);
  });
});
