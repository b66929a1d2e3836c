import { migrate } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { readFileSync } from 'node:fs';
import type { Pool } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { toRecord, type Row } from '../../src/stores/row.ts';
import type { JobStatus, StatusUpdate } from '../../src/types.ts';
import { startPostgres, type PostgresPart } from '../parts/index.ts';
import { JobHistory, START } from '../../src/testing/histories.ts';
import { attemptsOf, foldHistory } from '../../src/testing/law.ts';
import { openPool } from '../support/pool.ts';

/* What rows and programs of version 2 say, read and told on by this version. */

const version2 = readFileSync(new URL('../support/schema-versions/2.sql', import.meta.url), 'utf8');

/** What a snapshot of version 2 did not tell. */
const LATER = [
  'removed_from',
  'cancellation',
  'parent',
  'children',
  'scheduler_id',
  'deduplication_id',
  'attempt_ended_on',
  'attempt_failed',
  'queued_on',
  'earlier_attempts',
];

/** A snapshot as a program of version 2 writes it. */
function asBefore(update: StatusUpdate): Row {
  return Object.fromEntries(
    Object.entries(toRecord(update)).filter(([column]) => !LATER.includes(column)),
  );
}

let postgres: PostgresPart;
let connectionString: string;
let pool: Pool;
let store: PostgresStatusStore;
let databases = 0;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

beforeEach(async () => {
  connectionString = await postgres.createDatabase(`attempts_${++databases}`);
  pool = openPool(connectionString, { max: 4 });
  store = new PostgresStatusStore(pool);
  await pool.query(version2);
  return () => pool.end();
});

async function writeAsBefore(updates: readonly StatusUpdate[]): Promise<void> {
  for (const update of updates)
    await pool.query('select job_status_write($1, 2)', [JSON.stringify([asBefore(update)])]);
}

const newJobs = () => [
  new JobHistory({ queue: 'q', id: 'active' }).start(),
  new JobHistory({ queue: 'q', id: 'completed' }).start().complete(9),
  new JobHistory({ queue: 'q', id: 'failed' }).start().fail(9),
  new JobHistory({ queue: 'q', id: 'delayed' }).start().fail(9, 5_000),
];

/** A row but for what version 2 does not say of an attempt: of one that was the last, its job's end tells both. */
function known(row: JobStatus | undefined) {
  const { attemptEndedOn: _, attemptFailed, ...rest } = row!;
  return { ...rest, attemptFailed: attemptFailed && rest.failedAt === null };
}

test('its rows are those that this version would have written', async () => {
  const jobs = newJobs();
  for (const { snapshots } of jobs) await writeAsBefore(snapshots);
  const before = (await store.list({ queue: 'q' })).items;
  expect(before.length).toBe(4);
  for (const row of before) expect(row).toMatchObject({ children: null, attemptFailed: false });
  await migrate(pool);
  for (const { snapshots } of jobs) {
    const [key] = snapshots as [StatusUpdate];
    expect(known(await store.get(key))).toEqual(known(foldHistory(snapshots)));
    expect(await store.attempts(key)).toEqual(attemptsOf(snapshots));
  }
});

test('a row that goes on keeps the attempt that version 2 wrote', async () => {
  const jobs = newJobs();
  for (const { snapshots } of jobs) await writeAsBefore(snapshots);
  await migrate(pool);
  for (const job of jobs) {
    if (job.state === 'active') job.vanish();
    if (job.state === 'completed' || job.state === 'failed') job.retryByHand(9);
    const { snapshots } = job.start(5_000);
    await store.write([snapshots.at(-1)!]);
    expect(await store.attempts(snapshots[0]!)).toEqual(attemptsOf(snapshots));
  }
});

test('its programs write on as before, and their failed attempts are told as such', async () => {
  await migrate(pool);
  const history = new JobHistory({ queue: 'q', id: 'old' }).start().fail(1, 0).start().vanish();
  history.start().complete();
  await writeAsBefore(history.snapshots.toReversed());
  await writeAsBefore(history.snapshots);
  const [key] = history.snapshots as [StatusUpdate];
  expect(known(await store.get(key))).toEqual(known(foldHistory(history.snapshots)));
  const [failed, lost, completed] = attemptsOf(history.snapshots);
  // When a failed attempt ended they don't say.
  expect(await store.attempts(key)).toEqual([{ ...failed, endedAt: null }, lost, completed]);
});

test('beside programs of this version the same rows come of it', async () => {
  await migrate(pool);
  const history = new JobHistory({ queue: 'q', id: 'both' }).look().start().look().fail(1, 0);
  history.look().start().cancel(1, 'u1').fail().look();
  for (const [at, snapshot] of history.snapshots.entries()) {
    const isWorkers = snapshot.worker !== null && snapshot.cancellation === null;
    await (at % 2 === 0 && isWorkers ? writeAsBefore([snapshot]) : store.write([snapshot]));
  }
  const [key] = history.snapshots as [StatusUpdate];
  expect(await store.get(key)).toMatchObject({
    status: 'cancelled',
    attempt: 2,
    cancellation: { by: 'u1' },
    createdAt: new Date(START),
  });
  const outcomes = (await store.attempts(key)).map(({ outcome }) => outcome);
  expect(outcomes).toEqual(['failed', 'cancelled']);
});

test('a role of your own with a policy on the table writes on, and sees the attempts of what it sees', async () => {
  await pool.query(`
    do $$ begin create role app; exception when duplicate_object then null; end $$;
    do $$ begin create role reader; exception when duplicate_object then null; end $$;
    grant select, insert, update, delete on job_status to app;
    grant execute on function job_status_write(jsonb, integer) to app;
    create policy "the application" on job_status to app using (true) with check (true);
    create policy "a reader" on job_status for select to reader using (job_id = 'seen');
    grant select on job_status to reader;
  `);
  await migrate(pool);
  await pool.query('grant select on job_status_attempts to reader');
  const client = openPool(connectionString, { max: 1 });
  const asRole = new PostgresStatusStore(client);
  const histories = ['seen', 'unseen'].map((id) =>
    new JobHistory({ queue: 'q', id }).start().fail(1, 0).start().fail(1, 0).start(),
  );
  await client.query('set role app');
  for (const { snapshots } of histories)
    for (const snapshot of snapshots) await asRole.write([snapshot]);
  await client.query('set role reader');
  for (const [at, { snapshots }] of histories.entries())
    expect((await asRole.attempts(snapshots[0]!)).length).toBe(at === 0 ? 3 : 0);
  const { rows } = await client.query('select distinct job_id from job_status_attempts');
  expect(rows).toEqual([{ job_id: 'seen' }]);
  await expect(client.query('delete from job_status_attempts')).rejects.toMatchObject({
    code: '42501',
  });
  await client.end();
});
