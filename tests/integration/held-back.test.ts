import { attachStatusTracking, cancelJob, MemoryStatusStore } from 'bullmq-job-status';
import type { Job } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { BACKENDS, newQueueOn } from '../support/queues.ts';

/*
 * A start may be held back for a second. What looks for jobs that left without an event, and for cancellations,
 * is no later for that.
 */

/** So that a start is held for as long as can be. */
const HOLDING = { flushIntervalMs: 200 };
const HOUR = 3_600_000;

describe.concurrent.each(Object.entries(BACKENDS))('%s', (_, backend) => {
  /** A job that a tracked worker has just started, and when that was. */
  async function start() {
    const store = new MemoryStatusStore();
    const stage = newQueueOn(backend);
    const worker = stage.worker(null);
    const tracker = attachStatusTracking(worker, store, HOLDING);
    const { id: jobId = '' } = await stage.queue.add('job', {});
    const job: Job = await worker.getNextJob('mine');
    const since = performance.now();
    return {
      store,
      stage,
      tracker,
      job,
      row: () => store.get({ queue: stage.name, jobId }),
      elapsedMs: () => performance.now() - since,
      [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
    };
  }

  test('a job that left unseen is looked up a second after it started, and is in the row with the next write', async () => {
    await using on = await start();
    await on.job.moveToDelayed(Date.now() + HOUR, 'mine');
    const isDelayed = async () => expect(await on.row()).toMatchObject({ status: 'delayed' });
    await vi.waitFor(isDelayed, { timeout: 5_000, interval: 10 });
    expect(on.elapsedMs()).toBeLessThan(2_100);
  });

  test('a job that left unseen while its start is held is in the row when tracking ends', async () => {
    await using on = await start();
    await on.job.moveToDelayed(Date.now() + HOUR, 'mine');
    await on.tracker.close();
    expect(on.elapsedMs()).toBeLessThan(1_000);
    expect(await on.row()).toMatchObject({ status: 'delayed' });
  });

  test('who is to be cancelled learns of it two seconds after the start', async () => {
    await using on = await start();
    await cancelJob(on.stage.queue, on.store, on.job.id!);
    while (on.job.opts.attempts !== 1 && on.elapsedMs() < 5_000) await sleep(10);
    expect(on.elapsedMs()).toBeLessThan(2_900);
  });
});
