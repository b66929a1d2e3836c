import type { Queue } from 'bullmq';
import { attachQueueTracking, MemoryStatusStore } from 'bullmq-job-status';
import { Redis } from 'ioredis';
import { describe, expect, test, vi } from 'vitest';
import { startRedis } from '../parts/index.ts';
import { FakeStore } from '../support/fake-store.ts';
import { BACKENDS, newQueueOn } from '../support/queues.ts';

/* What attachQueueTracking does where the queue, its connections or the store are not as they should be. */

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
