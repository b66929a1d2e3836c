import type { Queue } from 'bullmq';
import {
  attachQueueTracking,
  attachStatusTracking,
  MemoryStatusStore,
  reconcile,
} from 'bullmq-job-status';
import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { startRedis } from '../parts/index.ts';
import { FakeStore } from '../support/fake-store.ts';
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

describe('what goes wrong', () => {
  test('what is no queue, and a queue of what nobody can read', () => {
    const store = new MemoryStatusStore();
    const attach = (queue: unknown) => attachQueueTracking(queue as Queue, store);
    expect(() => attach('redis://:secret@host')).toThrow(
      'Expected `queue` to be a BullMQ Queue, got a string',
    );
    const own = { name: 'q', qualifiedName: 'q', emit() {}, close() {}, remove() {}, getJob() {} };
    expect(() => attach(own)).toThrow(
      "Expected `queue` to be a BullMQ Queue on Redis, or on BullMQ's Postgres backend",
    );
  });

  test('a queue that is closed, one that is tracked already, and a store that is none', async () => {
    const store = new MemoryStatusStore();
    await using stage = newQueueOn(BACKENDS['BullMQ 6']!);
    expect(() => attachQueueTracking(stage.queue, {} as MemoryStatusStore)).toThrow(
      'Expected `store` to be a StatusStore',
    );
    const tracker = attachQueueTracking(stage.queue, store);
    expect(() => attachQueueTracking(stage.queue, store)).toThrow(
      expect.objectContaining({ code: 'ERR_ALREADY_ATTACHED' }),
    );
    await tracker.close();
    await attachQueueTracking(stage.queue, store).close();
    await stage.queue.close();
    expect(() => attachQueueTracking(stage.queue, store)).toThrow(
      expect.objectContaining({ code: 'ERR_QUEUE_UNAVAILABLE' }),
    );
  });

  test('connections to Redis are cut again and again: nothing is missed, and nobody is troubled', async () => {
    await using redis = await startRedis();
    const { Queue: Queue_ } = BACKENDS['BullMQ 6']!.bullmq;
    const queue = new Queue_('q', { connection: redis.connection });
    queue.on('error', () => {});
    const store = new MemoryStatusStore();
    const tracker = attachQueueTracking(queue, store, { onError: () => {} });
    const killer = new Redis({ ...redis.connection, lazyConnect: true });
    for (let cut = 0; cut < 12; cut++) {
      await killer.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await queue.add('job', {}, { delay: 60_000 });
    }
    await expect.poll(() => store.count({ status: 'delayed' }), { timeout: 10_000 }).toBe(12);
    killer.disconnect();
    await tracker.close();
    await queue.close();
  });

  test('the store is away: what changed meanwhile is there once it is back', async () => {
    const store = new FakeStore();
    await using stage = newQueueOn(BACKENDS['BullMQ 6']!);
    const told = new Set<string>();
    const tracker = attachQueueTracking(stage.queue, store, {
      backoff: { minMs: 5, maxMs: 20 },
      flushTimeoutMs: 200,
      onError: ({ code }) => void told.add(code),
    });
    await vi.waitFor(() => tracker.flush(), { timeout: 10_000 });
    store.answers({ fail: new Error('away') });
    const job = await stage.queue.add('job', {});
    const gone = await stage.queue.add('job', {});
    await expect.poll(() => tracker.stats().pending).toBe(2);
    await expect(tracker.flush()).rejects.toMatchObject({ code: 'ERR_FLUSH_INCOMPLETE' });
    await stage.queue.remove(gone.id!);
    await expect.poll(() => told.has('ERR_STORE_UNAVAILABLE')).toBe(true);
    store.answers('store');
    const statusOf = async ({ id = '' }) =>
      (await store.get({ queue: stage.name, jobId: id }))?.status;
    await expect.poll(() => statusOf(job)).toBe('waiting');
    await expect.poll(() => statusOf(gone)).toBe('removed');
    expect([...told]).toEqual(['ERR_STORE_UNAVAILABLE']);
  });
});

test('an error of the store that only looks like one of ours is told as the store’s', async () => {
  class Away extends FakeStore {
    override list = () =>
      Promise.reject(Object.assign(new Error('away'), { code: 'ERR_STORE_UNAVAILABLE' }));
  }
  await using stage = newQueueOn(BACKENDS['BullMQ 6']!);
  const told = new Set<string>();
  const tracker = attachQueueTracking(stage.queue, new Away(), {
    flushTimeoutMs: 200,
    onError: ({ code }) => void told.add(code),
  });
  await stage.queue.add('job', {});
  await expect.poll(() => [...told]).toEqual(['ERR_STORE_UNAVAILABLE']);
  await tracker.close().catch(() => {});
});

test('an update that the store refuses for good holds up no other, nor one of a job that is gone', async () => {
  const store = new FakeStore().answers({ refuse: ['poison'] });
  await using stage = newQueueOn(BACKENDS['BullMQ 6']!);
  const told: string[] = [];
  const tracker = attachQueueTracking(stage.queue, store, {
    onError: ({ code }) => void told.push(code),
  });
  const { id: jobId = '' } = await stage.queue.add('job', {});
  await tracker.flush();
  await stage.queue.add('job', {}, { jobId: 'poison' });
  await stage.queue.remove(jobId);
  const rowOf = (id: string) => store.get({ queue: stage.name, jobId: id });
  await expect.poll(() => rowOf(jobId)).toMatchObject({ status: 'removed' });
  expect(await rowOf('poison')).toBeUndefined();
  expect(new Set(told)).toEqual(new Set(['ERR_STORE_REFUSED']));
});

test('a queue that does not answer holds up neither flush nor close', async () => {
  await using stage = newQueueOn(BACKENDS['BullMQ 6']!);
  const options = { flushTimeoutMs: 200, onError: () => {} };
  const tracker = attachQueueTracking(stage.queue, new MemoryStatusStore(), options);
  await vi.waitFor(() => tracker.flush(), { timeout: 10_000 });
  const client = (await stage.queue.getBackend().client) as unknown as { runCommand: unknown };
  client.runCommand = () => new Promise(() => {});
  await expect(tracker.flush()).rejects.toMatchObject({
    code: 'ERR_FLUSH_INCOMPLETE',
    message: 'Not all of the queue was taken in within 200 ms',
  });
  await tracker.close();
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
