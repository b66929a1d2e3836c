import { migrationSql } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import type { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type PostgresPart } from '../parts/index.ts';
import { JobHistory } from '../../src/testing/histories.ts';
import { openPool } from '../support/pool.ts';

let postgres: PostgresPart;
let pool: Pool;
let store: PostgresStatusStore;

beforeAll(async () => {
  postgres = await startPostgres({ settings: { deadlock_timeout: '10ms' } });
  pool = openPool(postgres.connectionString, { max: 8 });
  await pool.query(migrationSql());
  store = new PostgresStatusStore(pool);
});

afterAll(async () => {
  await pool?.end();
  await postgres?.stop();
});

const JOBS = 400;

/** Every job of a batch, ended, then retried by hand and started again, as often as asked. */
function batches(rounds: number) {
  const histories = Array.from({ length: JOBS }, (_, n) => {
    const history = new JobHistory({ queue: 'q', id: `${(n * 7_919) % JOBS}` }).start().fail();
    for (let round = 1; round < rounds; round++) history.retryByHand(10).start().fail();
    return history.snapshots;
  });
  return Array.from({ length: rounds * 2 }, (_, step) =>
    histories.map((snapshots) => snapshots[step]!),
  );
}

describe('retention beside writes that finish jobs and open them again', () => {
  test.each([
    ['prune', () => store.prune({ olderThan: 0 })],
    ['delete', () => store.delete({ status: 'failed' })],
  ])('%s: no deadlock, and no job that runs is deleted', async (_, clean) => {
    await pool.query('truncate job_status cascade');
    const others = batches(1)[0]!.map((snapshot) => ({ ...snapshot, queue: 'running' }));
    await store.write(others);
    const before = await postgres.countInLog(/deadlock detected/);
    let isWriting = true;
    const cleaner = async () => {
      let deleted = 0;
      while (isWriting) deleted += await clean();
      return deleted;
    };
    const write = async () => {
      // Each in its own order: it is for the function to take the rows in one.
      for (const batch of batches(5)) await store.write(batch.toSorted(() => Math.random() - 0.5));
    };
    const cleaned = Promise.all([cleaner(), cleaner()]);
    await Promise.all([write(), write(), write()]);
    isWriting = false;
    expect((await cleaned).reduce((a, b) => a + b)).toBeGreaterThan(0);
    expect(await postgres.countInLog(/deadlock detected/)).toBe(before);

    await clean();
    expect(await store.count({ queue: 'q' })).toBe(0);
    expect(await store.count({ queue: 'running', status: 'active' })).toBe(JOBS);
  });
});

test('prune goes in steps of 1,000 rows, and a signal ends it after the one under way', async () => {
  await pool.query('truncate job_status cascade');
  const [, template] = new JobHistory({ queue: 'q', id: '' }).start().complete().snapshots;
  const jobs = Array.from({ length: 2_500 }, (_, id) => ({ ...template!, jobId: `${id}` }));
  await store.write(jobs);
  const controller = new AbortController();
  const left: number[] = [];
  const watched = new PostgresStatusStore({
    async query(text, values) {
      const result = await pool.query(text, values);
      left.push(await store.count());
      if (left.length === 2) controller.abort(new Error('enough'));
      return result;
    },
  });
  const { signal } = controller;
  await expect(watched.prune({ olderThan: 0, signal })).rejects.toThrow('enough');
  expect(left).toEqual([1_500, 500]);
  expect(await watched.prune({ olderThan: 0 })).toBe(500);
  expect(left).toEqual([1_500, 500, 0]);
});

test('a step of prune takes so many rows in all, the oldest of each status first', async () => {
  await pool.query('truncate job_status cascade');
  const ended = (id: number, ends: 'fail' | 'complete') =>
    new JobHistory({ queue: 'q', id: `${id}` }).start(id)[ends]().snapshots[1]!;
  await store.write([5, 3, 1, 4, 2].map((id) => ended(id, 'complete')));
  await store.write([9, 8, 7].map((id) => ended(id, 'fail')));
  const left = async () =>
    (await store.list()).items.map((row) => Number(row.jobId)).toSorted((a, b) => a - b);
  const step = (atMost: number) =>
    pool.query("select job_status_prune(now(), '{completed,failed}', $1) as pruned", [atMost]);
  expect((await step(2)).rows).toEqual([{ pruned: 2 }]);
  expect(await left()).toEqual([3, 4, 5, 7, 8, 9]);
  expect((await step(4)).rows).toEqual([{ pruned: 4 }]);
  expect(await left()).toEqual([8, 9]);
});

test('prune passes over a row that somebody holds, and takes it the next time', async () => {
  await pool.query('truncate job_status cascade');
  await store.write(batches(1).flat());
  const holder = await pool.connect();
  await holder.query("begin; select * from job_status where job_id = '7' for update");
  expect(await store.prune({ olderThan: 0 })).toBe(JOBS - 1);
  await holder.query('commit');
  holder.release();
  expect(await store.prune({ olderThan: 0 })).toBe(1);
});
