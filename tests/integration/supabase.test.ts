import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { describe, expect, inject, test } from 'vitest';
import { runSql } from '../parts/index.ts';
import { JobHistory } from '../../src/testing/histories.ts';
import { supabaseClient } from '../support/stores.ts';

const completed = (jobId: string, queue = 'errors') =>
  new JobHistory({ queue, id: jobId }).start().complete().snapshots.slice(1);

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
