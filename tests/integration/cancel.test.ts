import type { Job } from 'bullmq';
import {
  attachQueueTracking,
  attachStatusTracking,
  cancelJob,
  MemoryStatusStore,
  reconcile,
  type StatusStore,
} from 'bullmq-job-status';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { BACKENDS, newQueueOn } from '../support/queues.ts';
import { agree } from '../support/truth.ts';

/** How soon a running job must have heard of it, in ms. */
const SOON = 6_000;

describe.concurrent.each(Object.entries(BACKENDS))('%s', (_, backend) => {
  const newStage = () => {
    const stage = newQueueOn(backend);
    const store = new MemoryStatusStore();
    const cancel = (id: string | undefined, store_: StatusStore = store) =>
      cancelJob(stage.queue, store_, String(id), { by: 'user-7', reason: 'no longer needed' });
    const rowOf = ({ id = '' }: Job) => store.get({ queue: stage.name, jobId: id });
    return { stage, store, queue: stage.queue, cancel, rowOf };
  };
  const request = { by: 'user-7', reason: 'no longer needed', requestedOn: expect.any(Number) };

  test.each([
    ['waiting', {}],
    ['delayed', { delay: 60_000 }],
    ['prioritized', { priority: 2 }],
  ])('a %s job is taken out, and is cancelled', async (state, options) => {
    const { stage, queue, cancel, rowOf } = newStage();
    await using _stage = stage;
    const job = await queue.add('job', {}, options);
    expect(await cancel(job.id)).toBe('cancelled');
    expect(await queue.getJobState(job.id!)).toBe('unknown');
    expect(await rowOf(job)).toMatchObject({
      status: 'cancelled',
      removedFrom: state,
      cancellation: request,
      startedAt: null,
      cancelledAt: expect.any(Date),
    });
    expect(await cancel(job.id)).toBe('finished');
  });

  test('a parent that waits for its children is taken out with them', async ({ expect }) => {
    const { stage, store, queue, cancel, rowOf } = newStage();
    await using _stage = stage;
    const tracker = attachQueueTracking(queue, store);
    const { job } = await stage.flow.add({
      name: 'parent',
      queueName: stage.name,
      children: [{ name: 'child', queueName: stage.name, opts: { delay: 60_000 } }],
    });
    await agree(store, queue, 2);
    expect(await cancel(job.id)).toBe('cancelled');
    expect(await rowOf(job)).toMatchObject({
      status: 'cancelled',
      removedFrom: 'waiting-children',
      children: [expect.anything()],
    });
    await tracker.close();
    // On Postgres the queue writes no event of what is removed.
    await reconcile(queue, store, { olderThan: 0 });
    expect(await store.count({ status: 'removed' })).toBe(1);
  });

  test('a running job hears of it on its host; it fails, for good, and is cancelled', async ({
    expect,
  }) => {
    const { stage, store, queue, cancel, rowOf } = newStage();
    await using _stage = stage;
    const reasons: unknown[] = [];
    const worker = stage.worker(
      // BullMQ gives a signal to those who take three.
      async (_job, _token, signal) => {
        await sleep(20_000, undefined, { signal }).catch(() => reasons.push(signal?.reason));
        throw new Error('stopped half-way');
      },
    );
    attachStatusTracking(worker, store);
    const job = await queue.add('job', {}, { attempts: 5 });
    void worker.run();
    await expect.poll(() => rowOf(job)).toMatchObject({ status: 'active' });
    expect(await cancel(job.id)).toBe('requested');
    expect(await rowOf(job)).toMatchObject({ status: 'active', cancellation: request });
    await expect
      .poll(() => rowOf(job), { timeout: SOON })
      .toMatchObject({
        status: 'cancelled',
        cancellation: request,
        removedFrom: null,
        failedAt: null,
        cancelledAt: expect.any(Date),
        error: { message: 'stopped half-way' },
        attempt: 1,
      });
    expect(reasons).toEqual(['no longer needed']);
    expect(await queue.getJobState(job.id!)).toBe('failed');
    expect(await store.attempts({ queue: stage.name, jobId: job.id! })).toMatchObject([
      { attempt: 1, outcome: 'cancelled' },
    ]);
    // By hand it may be tried again, and that attempt nobody wanted cancelled.
    await (await queue.getJob(job.id!))?.retry();
    await expect
      .poll(() => rowOf(job), { timeout: SOON })
      .toMatchObject({ status: 'active', attempt: 2, cancellation: null });
    await sleep(2_500);
    expect(reasons).toHaveLength(1);
    await worker.close(true);
  }, 20_000);

  test('no value of the job gets into its row that tracking has kept out of it', async ({
    expect,
  }) => {
    const { stage, store, queue, cancel, rowOf } = newStage();
    await using _stage = stage;
    const worker = stage.worker(async (job) => {
      await job.updateProgress({ iban: 'secret' });
      throw new Error('card secret');
    });
    attachStatusTracking(worker, store, {
      capture: { progress: false },
      redact: (value, field) => (field === 'error' ? { message: '***' } : value),
      metadata: () => ({ tenant: 't1' }),
    });
    const job = await queue.add('job', { card: 'secret' }, { attempts: 2, backoff: 60_000 });
    void worker.run();
    await expect.poll(() => rowOf(job)).toMatchObject({ status: 'delayed' });
    expect(await cancel(job.id)).toBe('cancelled');
    const row = await rowOf(job);
    expect(row).toMatchObject({
      status: 'cancelled',
      error: { message: '***' },
      metadata: { tenant: 't1' },
    });
    expect(JSON.stringify(row)).not.toContain('secret');
    const unseen = await queue.add('job', { card: 'secret' }, { delay: 60_000 });
    await cancel(unseen.id);
    expect(JSON.stringify(await rowOf(unseen))).not.toContain('secret');
  });

  test('one that goes back to the queue without failing is taken out there', async ({ expect }) => {
    const { stage, store, queue, cancel, rowOf } = newStage();
    await using _stage = stage;
    const gate = Promise.withResolvers<void>();
    const worker = stage.worker(async (job, token) => {
      await gate.promise;
      await job.moveToDelayed(Date.now() + 60_000, token);
      throw new backend.bullmq.DelayedError();
    });
    attachStatusTracking(worker, store);
    const job = await queue.add('job', {});
    void worker.run();
    await expect.poll(() => rowOf(job)).toMatchObject({ status: 'active' });
    await sleep(1_500);
    await cancel(job.id);
    gate.resolve();
    await expect
      .poll(() => rowOf(job), { timeout: SOON })
      .toMatchObject({ status: 'cancelled', removedFrom: 'delayed' });
    expect(await queue.getJobState(job.id!)).toBe('unknown');
  });

  test('one that has ended is left as it is, in the queue and in its row', async ({ expect }) => {
    const { stage, store, queue, cancel, rowOf } = newStage();
    await using _stage = stage;
    const worker = stage.worker(async () => 'done');
    attachStatusTracking(worker, store);
    const job = await queue.add('job', {});
    void worker.run();
    await expect.poll(() => rowOf(job)).toMatchObject({ status: 'completed' });
    const before = await rowOf(job);
    expect(await cancel(job.id)).toBe('finished');
    expect(await rowOf(job)).toEqual(before);
    expect(await queue.getJobState(job.id!)).toBe('completed');
  });

  test('one that completes all the same is completed', async ({ expect }) => {
    const { stage, store, queue, cancel, rowOf } = newStage();
    await using _stage = stage;
    const worker = stage.worker(async (_job, _token, signal) => {
      await sleep(20_000, undefined, { signal }).catch(() => {});
      return 'almost done, so done';
    });
    attachStatusTracking(worker, store);
    const job = await queue.add('job', {});
    void worker.run();
    await expect.poll(() => rowOf(job)).toMatchObject({ status: 'active' });
    await cancel(job.id);
    await expect
      .poll(() => rowOf(job), { timeout: SOON })
      .toMatchObject({ status: 'completed', cancelledAt: null, cancellation: request });
  });

  test('one that fails before its worker heard of it is cancelled too', async ({ expect }) => {
    const { stage, store, queue, cancel, rowOf } = newStage();
    await using _stage = stage;
    const gate = Promise.withResolvers<void>();
    const worker = stage.worker(async () => gate.promise);
    const tracker = attachStatusTracking(worker, store);
    const job = await queue.add('job', {});
    void worker.run();
    await expect.poll(() => rowOf(job)).toMatchObject({ status: 'active' });
    await cancel(job.id);
    gate.reject(new Error('by itself'));
    await expect.poll(() => rowOf(job)).toMatchObject({ status: 'cancelled' });
    await tracker.close();
    expect(await rowOf(job)).toMatchObject({
      status: 'cancelled',
      error: { message: 'by itself' },
    });
  });

  test('one that ran long, failed by itself and waits to be tried again is taken out', async ({
    expect,
  }) => {
    const { stage, store, queue, cancel, rowOf } = newStage();
    await using _stage = stage;
    const gate = Promise.withResolvers<void>();
    const worker = stage.worker(async () => gate.promise);
    attachStatusTracking(worker, store);
    const job = await queue.add('job', {}, { attempts: 3, backoff: 60_000 });
    void worker.run();
    await expect.poll(() => rowOf(job)).toMatchObject({ status: 'active' });
    await sleep(1_500);
    await cancel(job.id);
    gate.reject(new Error('by itself'));
    await expect
      .poll(() => rowOf(job), { timeout: SOON })
      .toMatchObject({ status: 'cancelled', removedFrom: 'delayed' });
    expect(await queue.getJobState(job.id!)).toBe('unknown');
  });

  test('whoever cancels dies over it, and reconcile ends what was begun', async ({ expect }) => {
    const { stage, store, queue, cancel, rowOf } = newStage();
    await using _stage = stage;
    const job = await queue.add('job', {}, { delay: 60_000 });
    let writes = 0;
    const dying: StatusStore = {
      write: (updates) =>
        ++writes === 1 ? store.write(updates) : Promise.reject(new Error('dead')),
      get: (key) => store.get(key),
    };
    const { remove } = queue;
    queue.remove = () => Promise.reject(new Error('dead'));
    await expect(cancel(job.id, dying)).rejects.toMatchObject({ code: 'ERR_CANCEL_REFUSED' });
    queue.remove = remove;
    expect(await rowOf(job)).toMatchObject({ status: 'delayed', cancellation: request });
    expect(await reconcile(queue, store, { olderThan: 0 })).toMatchObject({ removed: 1 });
    expect(await rowOf(job)).toMatchObject({ status: 'cancelled' });
    expect(await queue.getJobState(job.id!)).toBe('unknown');
  });
});
