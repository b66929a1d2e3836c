import type { Worker } from 'bullmq';
import { attachStatusTracking, type StatusStore } from 'bullmq-job-status';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { Client, Pool, type PoolConfig } from 'pg';
import { describe, expect, test, vi } from 'vitest';
import { manyJobs } from '../support/many-jobs.ts';
import { ended } from '../support/queues.ts';
import { agree } from '../support/truth.ts';
import { record } from './support/figures.ts';
import { openStage, type Stage } from './support/stage.ts';

vi.setConfig({ testTimeout: 240_000 });

/* Nobody answers, and nobody says so: what waits for it must end by itself, and let go of what it holds. */

async function runJobs(stage: Stage, worker: Worker, count: number): Promise<void> {
  const end = ended(worker, count);
  await stage.queue.addBulk(Array.from({ length: count }, () => ({ name: 'job', data: {} })));
  await end;
}

describe.each<[string, (stage: Stage) => StatusStore, (stage: Stage) => void]>([
  ['Postgres', (stage) => new PostgresStatusStore(stage.pool()), (stage) => stage.database.stall()],
  ['the API', (stage) => stage.supabaseStore(), (stage) => stage.api.answers('hang')],
])('%s never answers', (what, storeOf, stall) => {
  test('flush and close end at their deadline and say what is unsaved; the worker runs on', async () => {
    await using stage = await openStage();
    const { onError } = stage.output;
    const worker = stage.worker(async () => 1, { concurrency: 10 });
    const options = { writeTimeoutMs: 300, flushTimeoutMs: 700, onError };
    const tracker = attachStatusTracking(worker, storeOf(stage), options);
    void worker.run();
    await runJobs(stage, worker, 10);
    await tracker.flush();
    stall(stage);
    await runJobs(stage, worker, 50);
    const start = performance.now();
    const failure = await tracker.flush().catch((error: unknown) => error);
    const flushMs = Math.round(performance.now() - start);
    expect(failure).toMatchObject({ code: 'ERR_FLUSH_INCOMPLETE' });
    expect((failure as { updates: unknown[] }).updates).toHaveLength(50);
    expect(flushMs).toBeGreaterThanOrEqual(690);
    expect(flushMs).toBeLessThan(3_000);
    // The worker has not noticed.
    await runJobs(stage, worker, 50);
    expect(worker.isRunning()).toBe(true);
    const closing = performance.now();
    await worker.close();
    const closeMs = Math.round(performance.now() - closing);
    expect(closeMs).toBeLessThan(3_000);
    // Nor is anybody's answer waited for.
    await expect.poll(() => stage.api.waitedFor()).toBe(0);
    expect(stage.output.errors.at(-1)).toMatchObject({ code: 'ERR_FLUSH_INCOMPLETE' });
    expect(stage.output.errors.at(-1)!.updates).toHaveLength(100);
    expect(tracker.stats().pending).toBe(100);
    record({
      fault: 'the store never answers',
      load: '110 jobs',
      injected: `${what}, from the 10th job on`,
      jobsSlowed: `flush ended after ${flushMs} ms and close after ${closeMs} ms, of flushTimeoutMs 700`,
      rowsWrong: 'the 50 that flush, and the 100 that close named as unsaved',
    });
  });
});

describe('connections that are dead, of which nobody is told', () => {
  test('a pool is never held: the write after the one that hung is stored, and so is what the jobs do', async () => {
    await using stage = await openStage();
    // With one connection, whoever keeps it has all.
    const pool = stage.pool({ max: 1 });
    const { onError } = stage.output;
    const options = { writeTimeoutMs: 300, backoff: { minMs: 10, maxMs: 50 }, onError };
    const worker = stage.worker(async () => (await pool.query('select 1 as one')).rows);
    attachStatusTracking(worker, new PostgresStatusStore(pool), options);
    void worker.run();
    await runJobs(stage, worker, 3);
    stage.database.freeze();
    // While no job uses it: then it is tracking that meets the dead connection.
    const idle = stage.worker(async () => 2);
    const other = attachStatusTracking(idle, new PostgresStatusStore(pool), options);
    await worker.pause();
    void idle.run();
    await runJobs(stage, idle, 20);
    await expect.poll(() => other.stats().pending).toBe(0);
    void worker.resume();
    await idle.close();
    await runJobs(stage, worker, 20);
    await agree(stage.store, stage.queue, 43);
    expect(stage.output.counts()).toHaveProperty('ERR_STORE_TIMEOUT');
    record({
      fault: 'a dead connection that nobody reports',
      load: '43 jobs, on a pool of 1 that they share',
      injected: 'the open connection frozen',
      rowsWrong: '0 of 43',
      updatesLost: String(other.stats().dropped),
    });
  });

  test.each<[string, PoolConfig]>([
    ['that is being made', {}],
    ['on which the client’s own time limit ends the statement', { query_timeout: 100 }],
  ])('a connection %s is left for a new one', async (_, config) => {
    await using stage = await openStage();
    const isMade = config.query_timeout !== undefined;
    const pool = stage.pool({ max: 5, ...config });
    const { onError } = stage.output;
    const options = { writeTimeoutMs: 300, backoff: { minMs: 10, maxMs: 20 }, onError };
    const worker = stage.worker(async () => 1);
    const tracker = attachStatusTracking(worker, new PostgresStatusStore(pool), options);
    if (isMade) (await pool.connect()).release();
    else stage.database.stall();
    stage.database.freeze();
    void worker.run();
    await runJobs(stage, worker, 5);
    await expect.poll(() => tracker.stats().retried).toBeGreaterThanOrEqual(1);
    stage.database.passNew();
    await expect.poll(() => tracker.stats().pending).toBe(0);
    await agree(stage.store, stage.queue, 5);
  });

  test('a server that takes connections and says nothing gets three from tracking at most, however often it tries', async () => {
    await using stage = await openStage();
    const pool = stage.pool({ max: 10 });
    const { onError } = stage.output;
    const options = { writeTimeoutMs: 100, backoff: { minMs: 10, maxMs: 20 }, onError };
    const worker = stage.worker(async () => 1);
    const tracker = attachStatusTracking(worker, new PostgresStatusStore(pool), options);
    void worker.run();
    stage.database.stall();
    await runJobs(stage, worker, 20);
    await expect.poll(() => tracker.stats().retried).toBeGreaterThanOrEqual(12);
    // Of ten, so that the jobs have the others.
    expect({ total: pool.totalCount, waiting: pool.waitingCount }).toEqual({
      total: 3,
      waiting: 0,
    });
    await stage.database.pass();
    await expect.poll(() => tracker.stats().pending).toBe(0);
    await agree(stage.store, stage.queue, 20);
    // Nothing is left in anybody's hands.
    await expect.poll(() => pool.idleCount === pool.totalCount).toBe(true);
  });
});

test('a connection that comes when nobody waits any more goes back to the pool', async () => {
  await using stage = await openStage();
  const pool = stage.pool({ max: 1 });
  const { onError } = stage.output;
  const options = { writeTimeoutMs: 100, flushTimeoutMs: 300, onError };
  const worker = stage.worker(async () => 1);
  attachStatusTracking(worker, new PostgresStatusStore(pool), options);
  void worker.run();
  stage.database.stall();
  await runJobs(stage, worker, 5);
  await worker.close();
  await stage.database.pass();
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('reading rows ends at its limit too, and takes a dead connection out of the pool', async () => {
  await using stage = await openStage();
  const pool = stage.pool({ max: 1 });
  const { onError } = stage.output;
  // Jobs that run for more than a second are looked up in the store, once a second.
  const gate = Promise.withResolvers<void>();
  const worker = stage.worker(() => gate.promise, { concurrency: 5 });
  const options = { writeTimeoutMs: 200, backoff: { minMs: 10, maxMs: 20 }, onError };
  const tracker = attachStatusTracking(worker, new PostgresStatusStore(pool), options);
  void worker.run();
  const done = runJobs(stage, worker, 5);
  await expect.poll(() => tracker.stats().written).toBe(5);
  stage.database.freeze();
  const lookedUp = () => stage.output.errors.some(({ message }) => /looked up/.test(message));
  await expect.poll(lookedUp).toBe(true);
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  gate.resolve();
  await done;
  await tracker.flush();
  await agree(stage.store, stage.queue, 5);
});

test('what a store has not answered by the time that the worker is closed holds no process', async () => {
  await using stage = await openStage();
  const gate = Promise.withResolvers<void>();
  const worker = stage.worker(() => gate.promise);
  const signals: AbortSignal[] = [];
  const silent: StatusStore = {
    write: (updates) => stage.store.write(updates),
    get: (key) => stage.store.get(key),
    list: (_query, { signal } = {}) => {
      signals.push(signal!);
      return new Promise(() => {});
    },
  };
  attachStatusTracking(worker, silent, { onError: stage.output.onError });
  void worker.run();
  const done = runJobs(stage, worker, 1);
  // A job that runs for more than a second is looked up.
  await expect.poll(() => signals.length).toBe(1);
  gate.resolve();
  await done;
  await worker.close();
  expect(signals[0]!.aborted).toBe(true);
});

test('a write waits for a lock for less long than for its answer, and only where nobody has set another limit', async () => {
  await using stage = await openStage();
  for (const [options, limit] of [
    ['', '25s'],
    ['-c lock_timeout=7s', '7s'],
  ]) {
    const client = new Client({ connectionString: stage.databaseUrl, options });
    await client.connect();
    await client.query('begin');
    const [update] = manyJobs(stage.name);
    await new PostgresStatusStore(client).write([update!]);
    expect((await client.query('show lock_timeout')).rows).toEqual([{ lock_timeout: limit }]);
    await client.query('commit');
    // For that statement alone.
    const before = limit === '25s' ? '0' : limit;
    expect((await client.query('show lock_timeout')).rows).toEqual([{ lock_timeout: before }]);
    await client.end();
  }
});

test('connections that are cut while nobody uses them end no process', async () => {
  await using stage = await openStage();
  // As most programs have it: nobody listens to its errors.
  const pool = new Pool({ connectionString: stage.databaseUrl });
  const { onError } = stage.output;
  const worker = stage.worker(async () => 1);
  const tracker = attachStatusTracking(worker, new PostgresStatusStore(pool), { onError });
  void worker.run();
  for (let cut = 0; cut < 3; cut++) {
    await runJobs(stage, worker, 5);
    await tracker.flush();
    expect(pool.idleCount).toBe(1);
    stage.database.cut();
    await expect.poll(() => pool.totalCount).toBe(0);
  }
  await agree(stage.store, stage.queue, 15);
  expect(stage.output.counts()).toEqual({});
  await pool.end();
});
