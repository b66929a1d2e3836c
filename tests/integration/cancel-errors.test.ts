import type { Queue } from 'bullmq';
import { cancelJob, MemoryStatusStore, reconcile, type StatusStore } from 'bullmq-job-status';
import { describe, expect, test } from 'vitest';
import { BACKENDS, newQueueOn } from '../support/queues.ts';

describe.concurrent.each(Object.entries(BACKENDS))('%s', (_, backend) => {
  test('a store is given a time limit at each step, and what it fails with is told as its fault', async ({
    expect,
  }) => {
    await using stage = newQueueOn(backend);
    const { queue } = stage;
    const store = new MemoryStatusStore();
    const job = await queue.add('job', {}, { delay: 60_000 });
    const signals: unknown[] = [];
    const watched: StatusStore = {
      write: (updates, { signal } = {}) => (signals.push(signal), store.write(updates)),
      get: (key, { signal } = {}) => (signals.push(signal), store.get(key)),
    };
    await cancelJob(queue, watched, job.id!);
    expect(signals).toEqual(Array(3).fill(expect.any(AbortSignal)));
    const broken: StatusStore = {
      write: (updates) => store.write(updates),
      get: () => {
        throw new Error('at once');
      },
    };
    await expect(cancelJob(queue, broken, 'another')).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      cause: { message: 'at once' },
    });
  });

  test('an unknown job is told so, and a job that its scheduler holds', async ({ expect }) => {
    await using stage = newQueueOn(backend);
    const { queue } = stage;
    const store = new MemoryStatusStore();
    await expect(cancelJob(queue, store, 'nobody')).rejects.toMatchObject({
      code: 'ERR_JOB_UNKNOWN',
      message: expect.stringContaining('"nobody"'),
    });
    expect(await store.count()).toBe(0);
    const next = await queue.upsertJobScheduler('s', { every: 60_000 });
    await expect(cancelJob(queue, store, String(next?.id))).rejects.toMatchObject({
      code: 'ERR_CANCEL_REFUSED',
      cause: expect.any(Error),
    });
    // Which holds up nothing else.
    const told: string[] = [];
    const onError = ({ code }: { code: string }) => void told.push(code);
    await reconcile(queue, store, { olderThan: 0, onError });
    expect(told).toEqual(['ERR_CANCEL_REFUSED']);
  });
});

test('what is no queue, store, id or option is told so', async () => {
  const queue = { qualifiedName: 'bull:q', name: 'q' } as unknown as Queue;
  await expect(cancelJob(queue, new MemoryStatusStore(), '1')).rejects.toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
    message:
      'Expected `queue` to be a BullMQ Queue, got an object with the keys qualifiedName, name',
  });
});
