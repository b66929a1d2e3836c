import { mergeStatus } from 'bullmq-job-status';
import { checkSchema, migrationSql } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { Client, type Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { toRecord, type Row } from '../../src/stores/row.ts';
import {
  runSql,
  startPostgres,
  startRedis,
  startSupabaseApi,
  type PostgresPart,
  type RedisPart,
  type SupabasePart,
} from '../parts/index.ts';
import { JobHistory } from '../../src/testing/histories.ts';
import { startJobsUnderWay, UNDER_WAY } from '../support/jobs-under-way.ts';
import { broken } from '../../src/testing/law.ts';
import { adoption, ALICE, oldTableSql, ORGANIZATION } from '../support/old-table.ts';
import { browserClient, sqlAs } from '../support/people.ts';
import { openPool } from '../support/pool.ts';
import { readAll } from '../support/rows.ts';

/* docs/existing-table.md word for word, on a table as its authors' users had it, and with jobs under way. */

const { columns, adopt, copy, compare, swap, dependents, missing, waiting, back, others } =
  adoption;

/** Where the swap is one transaction, as the document says. */
const swapSql = () => `begin; ${swap} ${migrationSql()} ${dependents} commit`;

let postgres: PostgresPart;
let api: SupabasePart;
let redis: RedisPart;
let pool: Pool;
let store: PostgresStatusStore;

const run = (sql: string) => runSql(postgres.connectionString, sql);

beforeAll(async () => {
  // Parts of our own: the queue has the name that the document says.
  for (const name of ['DATABASE_URL', 'SUPABASE_URL', 'REDIS_URL']) vi.stubEnv(name, undefined);
  [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  const { connectionString } = postgres;
  api = await startSupabaseApi({ connectionString, sql: oldTableSql });
  pool = openPool(connectionString);
  store = new PostgresStatusStore(pool);
});

afterAll(async () => {
  await pool?.end();
  await api?.stop();
  await redis?.stop();
  await postgres?.stop();
  vi.unstubAllEnvs();
});

/** In short pages: a time of finer grain than a cursor's would lose rows between two. */
const allRows = () => readAll(store, { limit: 97 });

const count = async (table: string) =>
  Number((await run(`select count(*) as n from ${table}`))[0]?.['n']);

test('every block of the document is used here', () => {
  expect(others).toEqual([]);
});

test('the package refuses the table that is there, and changes nothing', async () => {
  await expect(run(migrationSql())).rejects.toThrow('is not bullmq-job-status');
  expect(await count('job_status')).toBe(720);
});

describe('the copy', () => {
  test('is made beside the table, again and again, while that changes', async () => {
    for (const sql of [migrationSql({ schema: 'adopting' }), columns, adopt]) await run(sql);
    expect(await run(copy)).toEqual([{ adopt: '720' }]);
    expect(await run(copy)).toEqual([{ adopt: '0' }]);
    await run(`update job_status set status = 'failed', failed_at = now() where job_id = 'old-3';
      delete from job_status where job_id = 'old-4';
      insert into job_status (job_id, status) values ('old-new', 'pending')`);
    expect(await run(copy)).toEqual([{ adopt: '2' }]);
    const counted = await run(compare);
    expect(counted.reduce((sum, row) => sum + Number(row['count']), 0)).toBe(720);
    expect(counted.map(({ was, cancelled, status }) => [was, cancelled, status])).toEqual([
      ['active', false, 'active'],
      ['active', true, 'cancelled'],
      ['completed', false, 'completed'],
      ['completed', true, 'completed'],
      ['delayed', false, 'delayed'],
      ['delayed', true, 'cancelled'],
      ['failed', false, 'failed'],
      ['failed', true, 'cancelled'],
      ['pending', false, 'waiting'],
      ['pending', true, 'cancelled'],
    ]);
  });

  test('holds nobody up, and waits for nobody', async () => {
    const client = new Client({ connectionString: postgres.connectionString });
    await client.connect();
    await client.query("begin; update job_status set user_id = null where job_id = 'old-1'");
    await run(`set statement_timeout = 2000; ${copy}`);
    await client.query('rollback');
    await client.end();
  });

  test('fails on a status of another name, and changes nothing', async () => {
    await run(`alter table job_status drop constraint job_status_status_check;
      update job_status set status = 'odd', cancelled = false where job_id = 'old-7'`);
    await expect(run(copy)).rejects.toMatchObject({
      code: '23514',
      constraint: 'job_status_status_check',
    });
    expect(await count('adopting.job_status')).toBe(720);
    await run("update job_status set status = 'active' where job_id = 'old-7'");
  });
});

describe('the swap', () => {
  /** The old table's rows at the moment of the swap, by `job_id`. */
  let old: Map<string, Row>;

  beforeAll(async () => {
    const jobs = await startJobsUnderWay(redis.connection, store);
    // Until the swap there is nothing to write to; what comes out right below was lost by no write that failed.
    const failed = () => expect([...jobs.told]).toEqual(['ERR_STORE_SETUP']);
    await vi.waitFor(failed, { timeout: 10_000 });

    await run(jobs.oldRowsSql);
    await run(copy);
    await run("update job_status set attempts = 2 where job_id = 'old-5'");
    old = new Map(
      (await run('select * from job_status')).map((row) => [row['job_id'] as string, row]),
    );
    await run(swapSql());

    // What was under way is there, as far as the old table knew it, or its worker's held-back updates said.
    for (const jobId of Object.keys(UNDER_WAY))
      expect(await store.get({ queue: 'exports', jobId })).toBeDefined();
    await jobs.finish();
    failed();
    await api.reloadSchema();
  });

  test("leaves a table that is the package's in everything, and has your CHECK too", async () => {
    expect(await checkSchema(pool)).toMatchObject({ differences: [] });
    expect(
      await run(`select conname as name, convalidated as ok from pg_constraint
        where conrelid = 'job_status'::regclass and conname like '%timestamps_check' order by 1`),
    ).toEqual([
      { name: 'job_status_own_timestamps_check', ok: true },
      { name: 'job_status_timestamps_check', ok: true },
    ]);
    expect(await run("select 1 from pg_namespace where nspname = 'adopting'")).toEqual([]);
    await run(migrationSql());
  });

  test('loses no row, and pages of them lose none either', async () => {
    expect(await run(missing)).toEqual([]);
    const rows = await allRows();
    expect(rows.map(({ jobId }) => jobId).sort()).toEqual([...old.keys()].sort());
  });

  test('gives every old row lawful times, which are the ones that the law makes of its raw readings', async () => {
    const rows = await allRows();
    for (const row of rows) {
      expect({ jobId: row.jobId, broken: broken(row) }).toEqual({ jobId: row.jobId, broken: [] });
      expect(row).toEqual(mergeStatus(undefined, { ...row, earlierAttempts: [] }));
    }
    expect(rows.filter(({ startedAtInferred }) => startedAtInferred).length).toBeGreaterThan(50);
  });

  test('keeps what each row said', async () => {
    for (const row of await allRows()) {
      if (row.jobId.startsWith('half')) continue;
      const was = old.get(row.jobId)!;
      const status =
        was['cancelled'] && was['status'] !== 'completed' ? 'cancelled' : was['status'];
      expect(row.status).toBe(status === 'pending' ? 'waiting' : status);
      expect(row).toMatchObject({
        queue: 'exports',
        name: 'export',
        attemptsMade: was['attempts'] ?? 0,
        maxAttempts: was['max_attempts'] ?? 1,
        progress: was['progress'] ?? 0,
        firstProcessedOn: (was['started_at'] as Date | null)?.getTime() ?? null,
        updatedAt: was['updated_at'] ?? was['created_at'] ?? new Date(0),
      });
      if (was['created_at'] !== null) expect(row.createdAt).toEqual(was['created_at']);
      const end = (was['completed_at'] ?? was['failed_at']) as Date | null;
      if (end !== null) expect(row.finishedOn).toBe(end.getTime());
      expect(row.metadata ?? {}).toEqual(
        Object.fromEntries(
          [
            ['organizationId', was['organization_id']],
            ['courseId', was['course_id']],
            ['userId', was['user_id']],
          ].filter(([, id]) => id !== null),
        ),
      );
      const failed =
        was['status'] !== 'completed' && (was['error_message'] ?? was['error_stack']) !== null;
      expect(row.error?.message).toBe(failed ? was['error_message'] : undefined);
      expect(row.error?.stack).toBe(failed ? (was['error_stack'] ?? undefined) : undefined);
    }
  });

  test('lets old readers go on: ids, columns, view, foreign key', async () => {
    const columnsNow = await run(
      `select id, job_id, organization_id, course_id, user_id, error_message, error_stack, attempts, max_attempts, cancelled
        from job_status where job_id like 'old-%' order by id`,
    );
    const expected = [...old.values()]
      .filter((row) => (row['job_id'] as string).startsWith('old-'))
      .map((was) => ({
        ...Object.fromEntries(Object.keys(columnsNow[0]!).map((name) => [name, was[name]])),
        attempts: was['attempts'] ?? 0,
        max_attempts: was['max_attempts'] ?? 1,
        cancelled: was['cancelled'] === true && was['status'] !== 'completed',
        ...(was['status'] === 'completed' && { error_message: null, error_stack: null }),
      }))
      .sort((a, b) => (String(a['id' as never]) < String(b['id' as never]) ? -1 : 1));
    expect(columnsNow).toEqual(expected);
    expect((await run('select job_id from failed_jobs order by 1')).length).toBe(
      await count("job_status where status = 'failed'"),
    );
    const notes = await count('job_notes');
    await run("delete from job_status where job_id = 'old-9'");
    expect(await count('job_notes')).toBe(notes - 1);
    await run("insert into job_notes select id, 'new' from job_status where job_id = 'half-fails'");
  });

  test('jobs that were under way come out right, whatever their old rows said', async () => {
    for (const [jobId, { ends }] of Object.entries(UNDER_WAY)) {
      const row = await store.get({ queue: 'exports', jobId });
      expect(row).toMatchObject({
        jobId,
        status: ends === 'retried' ? 'completed' : ends,
        attempt: ends === 'retried' ? 2 : 1,
        startedAtInferred: false,
        metadata: { organizationId: ORGANIZATION },
      });
      expect(row?.processedOn).toBeGreaterThan(0);
      const [{ id, notes } = {}] =
        await run(`select id, (select count(*)::integer from job_notes where job_status_id = id) as notes
        from job_status where job_id = '${jobId}'`);
      expect(id).toBe(old.get(jobId)?.['id']);
      expect(notes).toBeGreaterThan(0);
    }
    const left = (await run(waiting)).map((row) => row['job_id'] as string);
    expect(left.length).toBeGreaterThan(100);
    expect(left.filter((jobId) => jobId.startsWith('half'))).toEqual([]);
  });

  test('members read what they read before; nobody reads the old table', async () => {
    const member = browserClient(api, api.signedInToken({ sub: ALICE }));
    const { count: seen } = await member
      .from('job_status')
      .select('id', { count: 'exact' })
      .limit(1);
    expect(seen).toBe(await count(`job_status where organization_id = '${ORGANIZATION}'`));
    expect((await browserClient(api).from('job_status').select('id')).error?.code).toBe('42501');
    for (const role of ['anon', 'authenticated'] as const) {
      await expect(
        sqlAs(postgres.connectionString, { role, sub: ALICE }, 'select * from legacy.job_status'),
      ).rejects.toMatchObject({ code: '42501' });
    }
  });

  test('can be taken back, with what has happened since', async () => {
    const rows = await allRows();
    const notes = await count('job_notes');
    // A job that was adopted for the wrong queue: its worker has made a row beside the old one.
    const inTwo = [...old.keys()].find((jobId) => jobId.startsWith('old-'))!;
    const [, ended] = new JobHistory({ queue: 'another', id: inTwo }).start().complete().snapshots;
    await run(`select job_status_write($$${JSON.stringify([toRecord(ended!)])}$$)`);
    await run(`begin; ${back} commit`);
    expect(await count('job_status')).toBe(rows.length);
    const now = new Map(
      (await run('select * from job_status')).map((row) => [row['job_id'] as string, row]),
    );
    for (const [jobId, was] of old) {
      if (jobId === inTwo)
        expect(now.get(jobId)).toMatchObject({ id: was['id'], status: 'completed' });
      else if (jobId.startsWith('old-'))
        expect(now.get(jobId)).toEqual(jobId === 'old-9' ? undefined : was);
    }
    for (const [jobId, { ends }] of Object.entries(UNDER_WAY)) {
      expect(now.get(jobId)).toMatchObject({
        id: old.get(jobId)?.['id'],
        status: ends === 'retried' ? 'completed' : ends,
      });
    }
    expect(await count('job_notes')).toBe(notes);
    expect(await count('failed_jobs')).toBe(await count("job_status where status = 'failed'"));
    const left = await run("select proname from pg_proc where proname like 'job\\_status%'");
    expect(left).toEqual([]);
    await expect(run(migrationSql())).rejects.toThrow('is not bullmq-job-status');
  });
});
