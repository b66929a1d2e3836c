import type { Job } from 'bullmq';
import {
  attachQueueTracking,
  attachStatusTracking,
  cancelJob,
  MemoryStatusStore,
} from 'bullmq-job-status';
import { describe, expect, test, vi } from 'vitest';
import { broken } from '../../src/testing/law.ts';
import { BACKENDS, newQueueOn } from '../support/queues.ts';

/*
 * Workers without a processor: a program takes jobs and ends them by itself, and the worker tells of the
 * start alone. What becomes of a job is looked up in its queue.
 */

// Tests run beside each other, for most of what they do is wait; `expect.poll` can't tell them apart.

const HOUR = 3_600_000;
const TOKEN = 'mine';

/** How soon a row must be right: one look a second, and patience with a busy machine. */
const SOON_MS = 3_000;

describe.concurrent.each(Object.entries(BACKENDS))('%s', (_, backend) => {
  /** A job of a queue, taken by hand by a tracked worker. */
  async function take(options: object = {}) {
    const store = new MemoryStatusStore();
    const stage = newQueueOn(backend);
    const worker = stage.worker(null);
    const tracker = attachStatusTracking(worker, store);
    const { id = '' } = await stage.queue.add('job', {}, options);
    const job = await worker.getNextJob(TOKEN);
    const row = (jobId = id) => store.get({ queue: stage.name, jobId });
    return {
      store,
      stage,
      worker,
      tracker,
      job,
      row,
      /** Within how many ms the row says this. */
      async becomes(expected: object): Promise<number> {
        const since = performance.now();
        const holds = async () => expect(await row()).toMatchObject(expected);
        await vi.waitFor(holds, { timeout: 10_000, interval: 10 });
        expect(broken((await row())!)).toEqual([]);
        return performance.now() - since;
      },
      [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
    };
  }

  test('taken: active at once, with its worker', async () => {
    await using by = await take();
    await by.tracker.flush();
    expect(await by.row()).toMatchObject({ status: 'active', attempt: 1, worker: by.worker.id });
  });

  test.each<[string, object, (job: Job) => Promise<unknown>, object]>([
    [
      'completed',
      {},
      (job) => job.moveToCompleted({ pages: 3 }, TOKEN, false),
      { status: 'completed', result: { pages: 3 }, attempt: 1, attemptsMade: 1 },
    ],
    [
      'failed for good',
      {},
      (job) => job.moveToFailed(new RangeError('too far'), TOKEN, false),
      { status: 'failed', error: { name: 'RangeError', message: 'too far' } },
    ],
    [
      'failed, to be tried again',
      { attempts: 2, backoff: HOUR },
      (job) => job.moveToFailed(new RangeError('too far'), TOKEN, false),
      { status: 'delayed', attempt: 1, attemptsMade: 1, failedAt: null },
    ],
    [
      'put off',
      {},
      (job) => job.moveToDelayed(Date.now() + HOUR, TOKEN),
      { status: 'delayed', attempt: 1, attemptsMade: 0, error: null },
    ],
    [
      'put back',
      {},
      (job) => job.moveToWait(TOKEN),
      { status: 'waiting', attempt: 1, attemptsMade: 0 },
    ],
    [
      'completed, and forgotten by the queue',
      { removeOnComplete: true },
      (job) => job.moveToCompleted('done', TOKEN, false),
      // Nobody but the program knows how it ended.
      { status: 'removed', removedFrom: 'active', result: null },
    ],
  ])('%s: in the row within about a second', async (__, options, move, expected) => {
    await using by = await take(options);
    await move(by.job);
    const ms = await by.becomes(expected);
    expect(ms).toBeLessThan(SOON_MS);
  });

  test('failed, and retried at once: its start is the one that it had', async () => {
    await using by = await take();
    const { processedOn = 0 } = by.job;
    await by.job.moveToFailed(new RangeError('too far'), TOKEN, false);
    await by.job.retry();
    const again = await by.worker.getNextJob(TOKEN);
    await by.becomes({ status: 'active', attempt: 2 });
    await again.moveToCompleted('done', TOKEN, false);
    await by.becomes({ status: 'completed' });
    expect((await by.row())?.startedAt?.getTime()).toBeLessThanOrEqual(processedOn + 1);
    const attempts = await by.store.attempts({ queue: by.stage.name, jobId: by.job.id! });
    expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 2]);
  });

  test('completed, and forgotten by the queue, where the queue is tracked too', async () => {
    await using by = await take({ removeOnComplete: true });
    await using queueTracker = attachQueueTracking(by.stage.queue, by.store);
    await queueTracker.flush();
    await by.job.moveToCompleted('done', TOKEN, false);
    await by.becomes({ status: 'completed', result: 'done' });
  });

  test('worker.close() looks once more, so that a program may end at once', async () => {
    await using by = await take();
    await by.job.moveToCompleted('done', TOKEN, false);
    await by.worker.close();
    expect(await by.row()).toMatchObject({ status: 'completed', result: 'done' });
  });

  test('the job that BullMQ hands out with the end of another is told by nobody but its queue', async () => {
    await using by = await take();
    await using queueTracker = attachQueueTracking(by.stage.queue, by.store);
    const { id = '' } = await by.stage.queue.add('next', {});
    // The third parameter is true unless it is given: the next job is active with that.
    const next = (await by.job.moveToCompleted('done', TOKEN)) as unknown[];
    expect(next[1]).toBe(id);
    await queueTracker.flush();
    expect(await by.row(id)).toMatchObject({ name: 'next', status: 'active', attempt: 1 });
  });

  test('its cancellation is in the row, for the program to look at; a failure is then the last', async () => {
    await using by = await take({ attempts: 3 });
    expect(await cancelJob(by.stage.queue, by.store, by.job.id!, { by: 'ann' })).toBe('requested');
    await vi.waitFor(() => expect(by.job.opts.attempts).toBe(1), { timeout: 5_000 });
    expect(await by.row()).toMatchObject({ status: 'active', cancellation: { by: 'ann' } });
    await by.job.moveToFailed(new Error('as you wish'), TOKEN, false);
    await by.becomes({ status: 'cancelled', attempt: 1, error: { message: 'as you wish' } });
  });
});
