import { attachQueueTracking, attachStatusTracking, MemoryStatusStore } from 'bullmq-job-status';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, test } from 'vitest';
import { BACKENDS, newQueueOn } from '../support/queues.ts';
import { agree } from '../support/truth.ts';

/* Ids that are used again, retries that count anew, schedulers, and what jobs are deduplicated by. */

describe.concurrent.each(Object.entries(BACKENDS))('%s', (_, backend) => {
  /** A queue and a worker of it, both tracked. */
  function tracked(process = async (job: { name: string }): Promise<unknown> => job.name) {
    const store = new MemoryStatusStore();
    const stage = newQueueOn(backend);
    const tracker = attachQueueTracking(stage.queue, store);
    const worker = stage.worker(process);
    attachStatusTracking(worker, store);
    return { store, stage, tracker, worker, queue: stage.queue, name: stage.name };
  }

  test('an id used again and again, after removal and after obliterate, is each time a new job', async ({
    expect,
  }) => {
    const { store, stage, tracker, worker, queue, name } = tracked();
    await using _stage = stage;
    void worker.run();
    for (const how of ['remove', 'obliterate', 'remove'] as const) {
      const { id: jobId = '', timestamp } = await queue.add('job', {}, { jobId: 'again' });
      await expect
        .poll(() => store.get({ queue: name, jobId }))
        .toMatchObject({ status: 'completed', createdAt: new Date(timestamp), attempt: 1 });
      expect(await store.attempts({ queue: name, jobId })).toHaveLength(1);
      await sleep(2);
      if (how === 'remove') await queue.remove(jobId);
      else await queue.obliterate({ force: true });
      if (how === 'obliterate') await queue.resume();
    }
    // Without an id, the counter begins anew after obliterate: 1 again.
    await queue.obliterate({ force: true });
    await queue.resume();
    const first = await queue.add('job', {});
    expect(first.id).toBe('1');
    await expect
      .poll(() => store.get({ queue: name, jobId: '1' }))
      .toMatchObject({ status: 'completed' });
    await queue.obliterate({ force: true });
    await tracker.flush();
    const second = await queue.add('job', {}, { delay: 60_000 });
    expect(second.id).toBe('1');
    await tracker.flush();
    expect(await store.get({ queue: name, jobId: '1' })).toMatchObject({
      status: 'delayed',
      createdAt: new Date(second.timestamp),
      attempt: 0,
    });
  });

  test('retried by hand with its counters reset, 5 s after its last start: waiting, then a first attempt', async ({
    expect,
  }) => {
    let fails = true;
    const { store, stage, tracker, worker, queue, name } = tracked(async () => {
      if (fails) throw new Error('no');
      return 'yes';
    });
    await using _stage = stage;
    const job = await queue.add('job', {}, { attempts: 2 });
    const key = { queue: name, jobId: job.id! };
    void worker.run();
    await expect.poll(() => store.get(key)).toMatchObject({ status: 'failed', attempt: 2 });
    await queue.pause();
    await sleep(5_100);
    fails = false;
    const options = { resetAttemptsMade: true, resetAttemptsStarted: true };
    await (await queue.getJob(job.id!))?.retry('failed', options);
    await tracker.flush();
    expect(await store.get(key)).toMatchObject({
      status: 'waiting',
      attempt: 0,
      attemptsMade: 0,
      failedAt: null,
    });
    await queue.resume();
    await expect.poll(() => store.get(key)).toMatchObject({ status: 'completed', attempt: 1 });
    expect((await store.attempts(key)).map(({ attempt, outcome }) => [attempt, outcome])).toEqual([
      [1, 'failed'],
      [2, 'failed'],
      [1, 'completed'],
    ]);
  }, 20_000);

  test('a scheduler over thirty iterations: each job names it, and every row is true', async ({
    expect,
  }) => {
    const { store, stage, worker, queue, name } = tracked();
    await using _stage = stage;
    void worker.run();
    await queue.upsertJobScheduler('every-30', { every: 30, limit: 30 }, { name: 'tick' });
    await expect
      .poll(() => store.count({ queue: name, status: 'completed' }), { timeout: 10_000 })
      .toBe(30);
    await agree(store, queue, 30);
    const { items } = await store.list({ queue: name });
    expect(new Set(items.map((row) => row.schedulerId))).toEqual(new Set(['every-30']));
  });

  test('a deduplicated job names what it was deduplicated by, and the one left out has no row', async ({
    expect,
  }) => {
    const { store, stage, tracker, queue, name } = tracked();
    await using _stage = stage;
    const options = { deduplication: { id: 'once' }, delay: 60_000 };
    const first = await queue.add('job', {}, options);
    await queue.add('job', {}, options);
    await tracker.flush();
    const { items } = await store.list({ queue: name });
    expect(items).toMatchObject([{ jobId: first.id, deduplicationId: 'once', status: 'delayed' }]);
  });
});
