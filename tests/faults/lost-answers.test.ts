import { attachStatusTracking, MemoryStatusStore, type StatusStore } from 'bullmq-job-status';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { manyJobs } from '../support/many-jobs.ts';
import { ended } from '../support/queues.ts';
import { asText, readAll } from '../support/rows.ts';
import { agree } from '../support/truth.ts';
import { isFull, record } from './support/figures.ts';
import { openStage, type Stage } from './support/stage.ts';

/*
 * A write is done and its answer is lost, so it is done again, with what has happened since. The same jobs are
 * tracked into memory, where nothing is lost; both must tell the same of them.
 */

vi.setConfig({ testTimeout: 240_000 });

const JOBS = isFull ? 5_000 : 600;

/** A row without what differs between two who look at the same: when they looked, to the turn. */
function told(row: object): string {
  return asText({ ...row, updatedAt: null, sequence: null });
}

test.each<
  [string, (stage: Stage) => StatusStore, (stage: Stage) => void, (stage: Stage) => number]
>([
  [
    'Postgres',
    (stage) => new PostgresStatusStore(stage.pool()),
    (stage) => stage.database.loseAnswers(/job_status_write/, 3),
    (stage) => stage.database.counts.answersLost,
  ],
  [
    'the API',
    (stage) => stage.supabaseStore(),
    (stage) => {
      let turn = 0;
      const inTurn = ['lose', 'pass', 'truncate', 'pass', 'pass'] as const;
      stage.api.answers(() => inTurn[turn++ % inTurn.length]!);
    },
    (stage) => stage.api.requests.filter(({ fault }) => fault !== 'pass').length,
  ],
])('answers of %s lost after the write: rows identical', async (what, storeOf, lose, lost) => {
  await using stage = await openStage();
  const memory = new MemoryStatusStore();
  const worker = stage.worker(
    async (job) => {
      await job.updateProgress(job.data.n);
      await sleep(Math.random() * 10);
      if (job.data.n % 4 === job.attemptsMade) throw new Error(`no ${job.data.n}`);
      return { n: job.data.n };
    },
    { concurrency: 20 },
  );
  const { onError } = stage.output;
  const options = { backoff: { minMs: 5, maxMs: 20 }, maxBatchSize: 20, onError };
  attachStatusTracking(worker, memory, options);
  const store = storeOf(stage);
  const tracker = attachStatusTracking(worker, store, options);
  lose(stage);
  // The first answer is lost, and what it was about is done.
  const [update] = manyJobs(`${stage.name}-first`);
  await expect(store.write([update!])).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  expect(await stage.store.get(update!)).toMatchObject({ jobId: update!.jobId });
  const end = ended(worker, JOBS);
  await stage.queue.addBulk(
    Array.from({ length: JOBS }, (_, n) => ({
      name: 'job',
      data: { n },
      opts: { attempts: 1 + (n % 3), backoff: n % 2 },
    })),
  );
  void worker.run();
  await end;
  await expect.poll(() => tracker.stats().pending, { timeout: 30_000 }).toBe(0);

  await agree(stage.store, stage.queue, JOBS);
  const query = { queue: stage.name, limit: 1_000 };
  const [rows, truth] = await Promise.all([readAll(stage.store, query), readAll(memory, query)]);
  expect(rows.map(told)).toEqual(truth.map(told));
  // And their earlier attempts, whose end each has as it heard of it.
  for (const { jobId } of rows.slice(0, 100)) {
    const key = { queue: stage.name, jobId };
    const [ours, theirs] = await Promise.all([stage.store.attempts(key), memory.attempts(key)]);
    const heard = { endedAt: expect.any(Date) };
    expect(ours).toEqual(theirs.map((each) => ({ ...each, ...heard })));
  }
  const { retried } = tracker.stats();
  expect(lost(stage)).toBeGreaterThan(5);
  // A few may have been answers to reads.
  expect(retried).toBeGreaterThan(0.9 * lost(stage) - 1);
  record({
    fault: 'answers lost after the write',
    load: `${JOBS} jobs with retries and progress, ${what}`,
    injected: `${lost(stage)} answers lost, ${retried} writes repeated`,
    rowsWrong: `0 of ${rows.length}, identical to those of memory`,
    updatesLost: String(tracker.stats().dropped),
  });
});
