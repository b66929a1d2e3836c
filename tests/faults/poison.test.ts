import { attachStatusTracking, type StatusStore } from 'bullmq-job-status';
import { migrationSql } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { expect, inject, test, vi } from 'vitest';
import { createDatabase, runSql } from '../parts/index.ts';
import { openPool } from '../support/pool.ts';
import { ended } from '../support/queues.ts';
import { isFull, record } from './support/figures.ts';
import { openStage } from './support/stage.ts';

vi.setConfig({ testTimeout: 240_000 });

/* Updates that the database will never take, among others that it would. */

/** A store in a database of its own, which refuses some jobs for a reason of its own. */
async function refusingStore(reason: string) {
  const { connectionString } = inject('parts');
  const url = await createDatabase(connectionString, `poison_${randomUUID().slice(0, 8)}`);
  await runSql(url, `${migrationSql()}; ${reason}`);
  const pool = openPool(url);
  let connections = 0;
  pool.on('connect', () => void (connections += 1));
  const store = new PostgresStatusStore(pool);
  let writes = 0;
  const counted: StatusStore = {
    write: (updates, options) => {
      writes += 1;
      return store.write(updates, options);
    },
    get: (key) => store.get(key),
  };
  return {
    store,
    counted,
    writes: () => writes,
    connections: () => connections,
    [Symbol.asyncDispose]: () => pool.end(),
  };
}

const CONSTRAINT = `alter table job_status add constraint no_poison check (name <> 'poison')`;

/** Too long for the index of queue and id, and random, so that it does not get shorter. */
const LONG_ID = `p${randomBytes(3_000).toString('base64url')}`;

test.each<[string, string, { name: string; jobId?: string; data?: object }, RegExp]>([
  ['a constraint', CONSTRAINT, { name: 'poison' }, /violates check constraint "no_poison"/],
  [
    'a type',
    `alter table job_status add column length int generated always as ((result ->> 'length')::int) stored`,
    { name: 'poison', data: { length: 's3cret' } },
    /invalid input syntax for type integer: "\.\.\."/,
  ],
  ['a size', '', { name: 'poison', jobId: LONG_ID }, /index row size/],
])(
  'one update in 500 refused by %s: found in O(log n) writes, told with its key and reason, and the others stored',
  async (reason, sql, { name, jobId, data = {} }, message) => {
    await using stage = await openStage();
    await using refusing = await refusingStore(sql);
    const worker = stage.worker(async (job) => job.data, { concurrency: 50 });
    const { onError } = stage.output;
    // All in one batch, which the flush sets off.
    const options = { flushIntervalMs: 60_000, maxBatchSize: 501, onError };
    const tracker = attachStatusTracking(worker, refusing.counted, options);
    const end = ended(worker, 500);
    const at = Math.floor(Math.random() * 500);
    const jobs = await stage.queue.addBulk(
      Array.from({ length: 500 }, (_, n) =>
        n === at
          ? { name, data, opts: jobId === undefined ? {} : { jobId } }
          : { name: 'job', data: { length: n } },
      ),
    );
    void worker.run();
    await end;
    await expect(tracker.flush()).rejects.toMatchObject({ code: 'ERR_FLUSH_INCOMPLETE' });
    expect(tracker.stats()).toMatchObject({ written: 499, refused: 1, retried: 0 });
    expect(await refusing.store.count({ queue: stage.name, status: 'completed' })).toBe(499);
    const [error, ...others] = stage.output.errors;
    expect(others).toEqual([]);
    // What Postgres quotes of the job's values is left out.
    expect(inspect(error, { depth: 10 })).not.toContain('s3cret');
    expect(error).toMatchObject({
      code: 'ERR_STORE_REFUSED',
      message: expect.stringMatching(message) as string,
      updates: [{ queue: stage.name, jobId: jobs[at]!.id, name: 'poison' }],
    });
    // The batch, and its two halves, down to the one: log2(500) = 9 times.
    expect(refusing.writes()).toBeLessThanOrEqual(1 + 2 * 9);
    // A connection on which Postgres has answered is as good as before.
    expect(refusing.connections()).toBeLessThanOrEqual(2);
    record({
      fault: 'one update in 500 that the database refuses',
      load: '500 jobs in one batch',
      injected: `refused by ${reason}: found in ${refusing.writes()} writes`,
      rowsWrong: '0 of 499',
      updatesLost: '1, told with its key and reason',
    });
  },
);

test('ten poisoned updates a second do not starve the rest', async () => {
  const [seconds, perSecond] = isFull ? [60, 500] : [3, 300];
  await using stage = await openStage();
  await using refusing = await refusingStore(CONSTRAINT);
  const worker = stage.worker(async () => 1, { concurrency: 50 });
  const { onError } = stage.output;
  const tracker = attachStatusTracking(worker, refusing.counted, { onError });
  void worker.run();
  const total = seconds * perSecond;
  const end = ended(worker, total);
  let mostPending = 0;
  let longestLagMs = 0;
  const sampling = setInterval(() => {
    const { pending, lagMs } = tracker.stats();
    mostPending = Math.max(mostPending, pending);
    longestLagMs = Math.max(longestLagMs, lagMs);
  }, 10);
  const start = performance.now();
  for (let n = 0; n < total; n += perSecond / 10) {
    const jobs = Array.from({ length: perSecond / 10 }, (_, at) => ({
      name: at === 7 ? 'poison' : 'job',
      data: {},
      opts: { removeOnComplete: true },
    }));
    await stage.queue.addBulk(jobs);
    const due = ((n + perSecond / 10) / perSecond) * 1_000;
    await sleep(Math.max(0, start + due - performance.now()));
  }
  await end;
  await expect.poll(() => tracker.stats().pending).toBe(0);
  clearInterval(sampling);
  const poisoned = seconds * 10;
  const rows = await refusing.store.count({ queue: stage.name, status: 'completed' });
  expect(rows).toBe(total - poisoned);
  // A start and an end that did not meet are two updates of one poisoned job.
  const { refused } = tracker.stats();
  expect(refused).toBeGreaterThanOrEqual(poisoned);
  expect(refused).toBeLessThanOrEqual(2 * poisoned);
  expect(Object.keys(stage.output.counts())).toEqual(['ERR_STORE_REFUSED']);
  expect(mostPending).toBeLessThan(2 * perSecond);
  record({
    fault: 'ten poisoned updates a second',
    load: `${perSecond} jobs/s for ${seconds} s`,
    injected: `${refused} updates refused, ${refusing.writes()} writes`,
    jobsSlowed: `no row waited longer than ${longestLagMs} ms, no more than ${mostPending} at once`,
    rowsWrong: `0 of ${total - poisoned}`,
    updatesLost: `the ${poisoned} poisoned ones, each told`,
  });
}, 120_000);

test('a batch that a gateway finds too large goes in parts, and what is too large by itself is told', async () => {
  await using stage = await openStage();
  stage.api.answers((request) =>
    Number(request.headers['content-length']) > 100_000
      ? { status: 413, body: 'too large' }
      : 'pass',
  );
  const worker = stage.worker(async (job) => 'x'.repeat(job.data.length), { concurrency: 50 });
  const { onError } = stage.output;
  const options = { flushIntervalMs: 60_000, maxBatchSize: 201, maxValueLength: 200_000, onError };
  const tracker = attachStatusTracking(worker, stage.supabaseStore(), options);
  const end = ended(worker, 200);
  await stage.queue.addBulk(
    Array.from({ length: 200 }, (_, n) => ({
      name: 'job',
      data: { length: n === 100 ? 150_000 : 1_000 },
    })),
  );
  void worker.run();
  await end;
  await expect(tracker.flush()).rejects.toMatchObject({ code: 'ERR_FLUSH_INCOMPLETE' });
  expect(tracker.stats()).toMatchObject({ written: 199, refused: 1, retried: 0 });
  expect(stage.output.errors).toMatchObject([{ code: 'ERR_STORE_REFUSED' }]);
  expect(await stage.store.count({ queue: stage.name, status: 'completed' })).toBe(199);
  record({
    fault: 'a batch that a gateway finds too large (413)',
    load: '200 jobs in one batch of 330 kB, of which one is 150 kB',
    injected: `a limit of 100 kB: ${stage.api.requests.length} requests`,
    rowsWrong: '0 of 199',
    updatesLost: '1, told with its key and reason',
  });
});
