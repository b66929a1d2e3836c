import { createClient } from '@supabase/supabase-js';
import { Queue, Worker, type Job } from 'bullmq';
import { attachStatusTracking, type JobStatus } from 'bullmq-job-status';
import { migrationSql } from 'bullmq-job-status/migrations';
import { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { execa } from 'execa';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startParts, type Parts } from '../parts/index.ts';
import { broken } from '../../src/testing/law.ts';

/*
 * What the team this package was born from asked for, on parts of its own, so that the constraint's
 * violations can be counted in Postgres' own log.
 */

let parts: Parts;
let store: SupabaseStatusStore;

beforeAll(async () => {
  parts = await startParts({ sql: migrationSql() });
  store = new SupabaseStatusStore(createClient(parts.supabase.url, parts.supabase.secretKey));
});

afterAll(() => parts.stop());

async function allRows(queue: string): Promise<JobStatus[]> {
  const rows: JobStatus[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list({ queue, limit: 900, cursor });
    rows.push(...page.items);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return rows;
}

function newQueue(): Queue {
  return new Queue(`queue-${randomUUID()}`, { connection: parts.redis.connection });
}

describe('acceptance', () => {
  test('ten jobs, five at once, each under 100 ms, some retried: every row right and lawful', async () => {
    for (let round = 0; round < 10; round++) {
      const queue = newQueue();
      const fails = (job: Job) => job.data.n % 3 === 0 && job.attemptsMade === 0;
      const worker = new Worker(
        queue.name,
        async (job) => {
          await sleep(job.data.n * 8);
          if (fails(job)) throw new Error('try again');
          return job.data.n;
        },
        { connection: parts.redis.connection, concurrency: 5, autorun: false },
      );
      attachStatusTracking(worker, store);
      const completed = new Promise<void>((resolve) => {
        let left = 10;
        worker.on('completed', () => --left === 0 && resolve());
      });
      const jobs = Array.from({ length: 10 }, (_, n) => ({
        name: 'job',
        data: { n },
        opts: { attempts: 2 },
      }));
      await queue.addBulk(jobs);
      void worker.run();
      await completed;
      await worker.close();

      const rows = await allRows(queue.name);
      expect(rows.length).toBe(10);
      for (const row of rows) {
        const n = row.result as number;
        const attempts = n % 3 === 0 ? 2 : 1;
        expect(row).toMatchObject({
          status: 'completed',
          attempt: attempts,
          attemptsMade: attempts,
          error: null,
        });
        expect(broken(row)).toEqual([]);
      }
      await queue.obliterate({ force: true });
      await queue.close();
    }
  });

  test('5,000 no-op jobs at concurrency 50 on two workers in two processes: every row right', async () => {
    const queue = newQueue();
    const jobs = Array.from({ length: 5_000 }, (_, n) => ({
      name: 'job',
      data: { n },
      opts: { removeOnComplete: true },
    }));
    const worker = () =>
      execa(
        process.execPath,
        [fileURLToPath(new URL('../fixtures/one-line.ts', import.meta.url))],
        {
          env: {
            QUEUE: queue.name,
            REDIS: JSON.stringify(parts.redis.connection),
            SUPABASE_URL: parts.supabase.url,
            SUPABASE_KEY: parts.supabase.secretKey,
            JOBS: '5000',
          },
        },
      );
    const processes = [worker(), worker()];
    await expect.poll(async () => (await queue.getWorkers()).length).toBe(2);
    await queue.addBulk(jobs);
    await expect
      .poll(async () => Object.values(await queue.getJobCounts('waiting', 'active')), {
        timeout: 60_000,
      })
      .toEqual([0, 0]);
    for (const each of processes) each.kill('SIGTERM');
    for (const each of processes) expect((await each).stderr).toBe('');

    const rows = await allRows(queue.name);
    expect(rows.length).toBe(5_000);
    expect(new Set(rows.map((row) => row.worker)).size).toBe(2);
    for (const row of rows) {
      expect(broken(row)).toEqual([]);
      if (row.status !== 'completed' || row.attempt !== 1)
        throw new Error(`not completed: ${JSON.stringify(row)}`);
    }
    await queue.close();
  });

  test("the constraint was never tripped: Postgres' own log has no violation", async () => {
    // A real project's log is out of reach; there the rows above and the answer below must do.
    const hasLog = parts.supabase.pid !== undefined;
    const violations = async () =>
      hasLog
        ? parts.postgres.countInLog(/violates check constraint "job_status_timestamps_check"/)
        : NaN;
    const byHand = createClient(parts.supabase.url, parts.supabase.secretKey);
    expect(await violations()).toBe(hasLog ? 0 : NaN);
    // That the log would tell is shown by tripping it by hand.
    const { items } = await store.list({ limit: 1 });
    const { jobId, queue, createdAt } = items[0] as JobStatus;
    const { error } = await byHand
      .from('job_status')
      .update({ started_at: createdAt.toISOString() })
      .match({ queue, job_id: jobId });
    expect(error).toMatchObject({
      code: '23514',
      message: expect.stringContaining('job_status_timestamps_check'),
    });
    expect(await violations()).toBe(hasLog ? 1 : NaN);
  });
});
