import { createClient } from '@supabase/supabase-js';
import { migrate, migrationSql } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import {
  startPostgres,
  startSupabaseApi,
  type PostgresPart,
  type SupabasePart,
} from '../parts/index.ts';
import { JobHistory } from '../../src/testing/histories.ts';
import type { WholeStore } from '../support/stores.ts';
import { openPool } from '../support/pool.ts';

/*
 * Every query that the stores issue, at a million rows: the plans are those that Postgres itself took,
 * told by auto_explain, also of the statements within functions.
 */

const support = new URL('../support/', import.meta.url);
const sqlFile = (name: string) => readFileSync(new URL(name, support), 'utf8');

const START = 1_767_225_600_000;
/** The time of the job of this number. */
const at = (n: number) => new Date(START + n * 2_000);

let postgres: PostgresPart;
let api: SupabasePart;
let pool: Pool;

beforeAll(async () => {
  postgres = await startPostgres({
    settings: {
      session_preload_libraries: 'auto_explain',
      'auto_explain.log_min_duration': '0',
      'auto_explain.log_nested_statements': 'on',
      // So that a node that was planned but never run says so.
      'auto_explain.log_analyze': 'on',
      'auto_explain.log_timing': 'off',
      // What a table of this size is given to be quick in.
      shared_buffers: '256MB',
      max_wal_size: '4GB',
    },
  });
  const { connectionString } = postgres;
  pool = openPool(connectionString);
  await pool.query(sqlFile('schema-versions/1.sql'));
  await pool.query(sqlFile('million.sql'));
  // An upgrade of a table that is full, on the way.
  await migrate(pool);
  // Every fifth job took two attempts. Their triggers are not for the log.
  await pool.query(`set auto_explain.log_min_duration = -1; insert into job_status_attempts
    select queue, job_id, created_at, 0, processed_on - 1, 'failed', null, null, null, worker, processed_on, true, 0
    from job_status where queue = 'queue-1'; reset auto_explain.log_min_duration`);
  await pool.query('vacuum analyze job_status, job_status_attempts');
  api = await startSupabaseApi({ connectionString, sql: migrationSql() });
}, 300_000);

afterAll(async () => {
  await pool?.end();
  await api?.stop();
  await postgres?.stop();
});

const STORES: Readonly<Record<string, () => WholeStore>> = {
  Postgres: () => new PostgresStatusStore(pool),
  Supabase: () =>
    new SupabaseStatusStore(
      createClient(api.url, api.secretKey, { realtime: { transport: WebSocket as never } }),
    ),
};

let marks = 0;

/** What the server logs while something is done: a mark is logged after it, and waited for. */
async function logOf(act: () => Promise<unknown>): Promise<string> {
  const before = (await postgres.logText()).length;
  await act();
  const mark = `mark ${++marks} of this test`;
  await pool.query(`do $$ begin raise log '${mark}'; end $$`);
  for (;;) {
    const log = (await postgres.logText()).slice(before);
    if (log.includes(`${mark}\n`)) return log;
    await sleep(5);
  }
}

/** The nodes of every plan that did read the table, such as `Index Scan using job_status_pkey`. */
function readsOf(log: string): string[] {
  const nodes = log.matchAll(
    /^\s*(?:->\s+)?(?:Parallel )?((?:Seq|Index|Index Only|Bitmap Heap|Bitmap Index|Tid)\b[^(\n]*?(?:job_status\w*)[^(\n]*)\(cost[^)]*\) \(actual/gm,
  );
  return [...nodes].map(([, node]) => (node as string).trim());
}

/** Jobs of one queue. */
const MANY = Array.from({ length: 1_000 }, (_, n) => `${n * 50 + 1}`);

const QUERIES: Readonly<Record<string, (store: WholeStore) => Promise<unknown>>> = {
  get: (store) => store.get({ queue: 'queue-1', jobId: '500001' }),
  attempts: (store) => store.attempts({ queue: 'queue-1', jobId: '500001' }),
  list: (store) => store.list(),
  'list, a later page': async (store) => {
    const { nextCursor } = await store.list({ createdBefore: at(500_000) });
    await store.list({ cursor: nextCursor ?? undefined });
  },
  'list of a queue': (store) => store.list({ queue: 'queue-1' }),
  'list of a queue, a later page': async (store) => {
    const { nextCursor } = await store.list({ queue: 'queue-1', createdBefore: at(500_000) });
    await store.list({ queue: 'queue-1', cursor: nextCursor ?? undefined });
  },
  'list of some jobs': (store) => store.list({ queue: 'queue-1', jobId: ['500001', '6', '11'] }),
  'list of a thousand jobs': (store) => store.list({ queue: 'queue-1', jobId: MANY }),
  'list of those of them that run': (store) =>
    store.list({ queue: 'queue-1', jobId: MANY, status: 'active' }),
  'list of what fails': (store) => store.list({ status: 'failed' }),
  'list of what is unfinished': (store) =>
    store.list({ status: ['active', 'waiting', 'delayed'], updatedBefore: at(900_000) }),
  'list of what a queue never has': (store) => store.list({ queue: 'queue-1', status: 'delayed' }),
  'list of a name': (store) => store.list({ name: 'rare' }),
  'list of a tenant': (store) => store.list({ metadata: { organizationId: 'org-7' } }),
  "list of a user's failures": (store) =>
    store.list({ metadata: { userId: 'user-700' }, status: 'failed' }),
  'list of an hour': (store) =>
    store.list({ createdFrom: at(500_000), createdBefore: at(501_800) }),
  'list of what ended in an hour': (store) =>
    store.list({ finishedFrom: at(500_000), finishedBefore: at(501_800) }),
  count: (store) => store.count(),
  'count of a queue': (store) => store.count({ queue: 'queue-1' }),
  'count of what is completed': (store) => store.count({ status: 'completed' }),
  'count of what failed': (store) => store.count({ status: 'failed' }),
  "count of a queue's completions": (store) =>
    store.count({ queue: 'queue-1', status: 'completed' }),
  'count of what a queue ended in half of all time': (store) =>
    store.count({ queue: 'queue-1', finishedBefore: at(500_000) }),
  "count of a queue's failures": (store) => store.count({ queue: 'queue-1', status: 'failed' }),
  'count of some jobs': (store) => store.count({ queue: 'queue-1', jobId: MANY }),
  'count of a tenant': (store) => store.count({ metadata: { organizationId: 'org-7' } }),
  'count of a day': (store) =>
    store.count({ createdFrom: at(500_000), createdBefore: at(543_200) }),
  'count of what ended in a day': (store) =>
    store.count({ finishedFrom: at(500_000), finishedBefore: at(543_200) }),
  'delete of some jobs': (store) => store.delete({ queue: 'queue-1', jobId: ['1', '6'] }),
  // Of so many rows that to read them all would cost more than to look each up.
  'delete of a user': (store) => store.delete({ metadata: { userId: 'user-701' } }),
  'delete of an hour': (store) => store.delete({ queue: 'queue-2', createdBefore: at(1_800) }),
  prune: (store) => store.prune({ olderThan: at(5_000) }),
  'write of attempts': async (store) => {
    const jobs = Array.from({ length: 500 }, (_, n) =>
      new JobHistory({ queue: 'queue-1', id: `${n * 2_000 + 1}` }).start().fail(1, 0).start(),
    );
    // Each row goes on to another attempt, and then an older snapshot comes.
    for (const step of [0, 2, 1]) await store.write(jobs.map(({ snapshots }) => snapshots[step]!));
  },
  write: (store) =>
    store.write(
      Array.from(
        { length: 500 },
        (_, n) =>
          new JobHistory({ queue: 'queue-1', id: `${n * 2_000 + 1}` }).start().complete().snapshots,
      ).flat(),
    ),
};

describe.each(Object.entries(STORES))('%s store, a million rows', (_, createStore) => {
  test.each(Object.entries(QUERIES))('%s: by an index', async (name, query) => {
    const reads = readsOf(await logOf(() => query(createStore())));
    // A write's reads of the primary key are part of its insert, and no node of their own.
    if (!name.startsWith('write')) expect(reads).not.toEqual([]);
    expect(reads.filter((read) => read.startsWith('Seq'))).toEqual([]);
  });
});

/** The index that docs/database.md names for each. */
test.each<[string, string, (store: WholeStore) => Promise<unknown>]>([
  ['a list', 'created_idx', (store) => store.list()],
  [
    'a list of what fails',
    'status_idx',
    (store) => store.list({ queue: 'queue-1', status: 'delayed' }),
  ],
  [
    'a list of a tenant',
    'metadata_idx',
    (store) => store.list({ metadata: { userId: 'user-700' } }),
  ],
  ['a count of what is completed', 'status_idx', (store) => store.count({ status: 'completed' })],
  [
    "a count of a queue's completions",
    'status_idx',
    (store) => store.count({ queue: 'queue-1', status: 'completed' }),
  ],
  [
    'a count of what ended in a day',
    'finished_idx',
    (store) => store.count({ finishedFrom: at(500_000), finishedBefore: at(543_200) }),
  ],
  ['prune', 'finished_idx', (store) => store.prune({ olderThan: at(6_000) })],
])('%s reads %s', async (_, index, query) => {
  const reads = readsOf(await logOf(() => query(new PostgresStatusStore(pool))));
  expect(reads.join()).toContain(`job_status_${index}`);
});

/** What docs/database.md says of these; and if a plan could not be seen here, nor could it above. */
test.each<[string, (store: WholeStore) => Promise<unknown>]>([
  ['a count of a name', (store) => store.count({ name: 'export' })],
  ['a list of a name that none has', (store) => store.list({ name: 'nobody' })],
  ['a count of what has not changed', (store) => store.count({ updatedBefore: at(500_000) })],
])('%s reads the whole table', async (_, query) => {
  const reads = readsOf(await logOf(() => query(new PostgresStatusStore(pool))));
  expect(reads).toEqual([expect.stringMatching(/^Seq Scan on job_status/)]);
});
