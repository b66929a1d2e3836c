import type { Queue } from 'bullmq';
import {
  attachQueueTracking,
  attachStatusTracking,
  MemoryStatusStore,
  reconcile,
} from 'bullmq-job-status';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { BACKENDS, newQueueOn } from '../support/queues.ts';
import { agree } from '../support/truth.ts';

describe.concurrent.each(Object.entries(BACKENDS))('%s', (_, backend) => {
  test('after a flush there is a row of every job that was added before, whoever added it', async ({
    expect,
  }) => {
    const store = new MemoryStatusStore();
    await using stage = newQueueOn(backend);
    await using elsewhere = newQueueOn(backend, { name: stage.name });
    const tracker = attachQueueTracking(stage.queue, store);
    await stage.queue.add('one', {});
    await elsewhere.queue.addBulk([
      { name: 'two', data: {} },
      { name: 'three', data: {} },
    ]);
    const { name: queueName } = stage;
    await elsewhere.flow.add({ name: 'four', queueName, children: [{ name: 'five', queueName }] });
    await elsewhere.queue.upsertJobScheduler('s', { every: 3_600_000 }, { name: 'six' });
    await tracker.flush();
    // On Postgres BullMQ writes no event where a scheduler adds a job.
    if (!backend.hasPrefix) await reconcile(stage.queue, store, { olderThan: 0 });
    const { items } = await store.list();
    expect(new Set(items.map((row) => row.name))).toEqual(
      new Set(['one', 'two', 'three', 'four', 'five', 'six']),
    );
  });

  test('jobs that were there before are taken in; queue.close() stores all', async ({ expect }) => {
    const store = new MemoryStatusStore();
    await using stage = newQueueOn(backend);
    const jobs = (count: number) =>
      Array.from({ length: count }, () => ({ name: 'job', data: {} }));
    await stage.queue.addBulk(jobs(1_200));
    attachQueueTracking(stage.queue, store);
    await expect.poll(() => store.count({ status: 'waiting' }), { timeout: 5_000 }).toBe(1_200);
    await stage.queue.addBulk(jobs(300));
    await stage.queue.close();
    expect(await store.count({ status: 'waiting' })).toBe(1_500);
  });

  test('three track one queue, with a tracked worker: each row is as the queue has it', async ({
    expect,
  }) => {
    const store = new MemoryStatusStore();
    await using stage = newQueueOn(backend);
    await using second = newQueueOn(backend, { name: stage.name });
    await using third = newQueueOn(backend, { name: stage.name });
    for (const { queue } of [stage, second, third]) attachQueueTracking(queue, store);
    const worker = stage.worker(
      async (job) => {
        if (job.attemptsMade < job.data.fails) throw new Error('again');
        return job.attemptsMade;
      },
      { concurrency: 10 },
    );
    attachStatusTracking(worker, store);
    await stage.queue.addBulk(
      Array.from({ length: 200 }, (__, n) => ({
        name: 'job',
        data: { fails: n % 3 },
        opts: { attempts: 2, delay: n % 4 ? 0 : 100, priority: n % 5, backoff: n % 2 ? 30 : 0 },
      })),
    );
    void worker.run();
    await agree(store, stage.queue, 200, 20_000);
    await expect
      .poll(() => store.count({ status: ['completed', 'failed'] }), { timeout: 10_000 })
      .toBe(200);
    await agree(store, stage.queue, 200);
  }, 40_000);

  test('a worker that is not tracked is seen all the same: its starts, ends, progress and errors', async ({
    expect,
  }) => {
    const store = new MemoryStatusStore();
    await using stage = newQueueOn(backend);
    attachQueueTracking(stage.queue, store, { metadata: (job) => ({ n: job.data.n as number }) });
    const worker = stage.worker(
      async (job) => {
        await job.updateProgress(job.data.n);
        if (job.data.n === 2) throw new RangeError('two');
        return { n: job.data.n };
      },
      { name: 'host-1' },
    );
    const jobs = await stage.queue.addBulk([1, 2].map((n) => ({ name: 'job', data: { n } })));
    void worker.run();
    const rowOf = (at: number) => store.get({ queue: stage.name, jobId: jobs[at]!.id! });
    await expect
      .poll(() => rowOf(0))
      .toMatchObject({
        status: 'completed',
        result: { n: 1 },
        progress: 1,
        metadata: { n: 1 },
        worker: 'host-1',
        startedAtInferred: false,
      });
    await expect
      .poll(() => rowOf(1))
      .toMatchObject({
        status: 'failed',
        progress: 2,
        error: { name: 'RangeError', message: 'two', stack: expect.stringContaining('two') },
        worker: 'host-1',
      });
  });
});

describe('what it costs', () => {
  test('under load the queue is read at most once for 100 events', async () => {
    const store = new MemoryStatusStore();
    await using stage = newQueueOn(BACKENDS['BullMQ 6']!);
    const reads = countReads(stage.queue);
    const tracker = attachQueueTracking(stage.queue, store);
    const JOBS = 10_000;
    const worker = stage.worker(async () => {}, { concurrency: 50 });
    void worker.run();
    for (let at = 0; at < JOBS; at += 500) {
      await stage.queue.addBulk(Array.from({ length: 500 }, () => ({ name: 'job', data: {} })));
    }
    await expect.poll(() => stage.queue.getCompletedCount(), { timeout: 20_000 }).toBe(JOBS);
    await tracker.flush();
    expect(await store.count({ status: 'completed' })).toBe(JOBS);
    // Each job is added, waits, is taken, and completes.
    const events = 4 * JOBS;
    expect(events / (await reads)()).toBeGreaterThanOrEqual(100);
  }, 40_000);

  test('events one by one share a look too: ten looks a second at most', async () => {
    await using stage = newQueueOn(BACKENDS['BullMQ 6']!);
    const tracker = attachQueueTracking(stage.queue, new MemoryStatusStore());
    await tracker.flush();
    const reads = await countReads(stage.queue);
    const end = performance.now() + 1_000;
    while (performance.now() < end) {
      await stage.queue.add('job', {});
      await sleep(1);
    }
    // Each look reads what has happened, and the jobs that it happened to: fewer than a piece of them.
    expect(reads()).toBeLessThanOrEqual(2 * 13);
  });

  test('at rest it asks nothing: it waits', async () => {
    await using stage = newQueueOn(BACKENDS['BullMQ 6']!);
    const reads = await countReads(stage.queue);
    const tracker = attachQueueTracking(stage.queue, new MemoryStatusStore());
    await tracker.flush();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const before = reads();
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(reads()).toBe(before);
  });
});

/** Counts how often this package asks the queue something. */
async function countReads(queue: Queue): Promise<() => number> {
  const client = (await queue.getBackend().client) as unknown as {
    runCommand(name: string, args: unknown[]): Promise<unknown>;
  };
  const run = client.runCommand.bind(client);
  let reads = 0;
  client.runCommand = (name, args) => {
    if (name.startsWith('jobStatus.')) reads += 1;
    return run(name, args);
  };
  return () => reads;
}
