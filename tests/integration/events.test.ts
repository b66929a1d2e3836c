import type { Job, JobsOptions, Processor, Worker } from 'bullmq';
import {
  attachStatusTracking,
  MemoryStatusStore,
  type JobStatus,
  type TrackingOptions,
} from 'bullmq-job-status';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { broken } from '../../src/testing/law.ts';
import { BULLMQ, ended, newQueue } from '../support/queues.ts';
import { STORES, type WholeStore } from '../support/stores.ts';

interface Scenario {
  readonly process: Processor;
  readonly job?: JobsOptions;
  readonly options?: TrackingOptions<Job>;
  readonly store?: WholeStore;
  readonly prefix?: string;
  /** Runs after tracking is attached and before the first job. */
  readonly prepare?: (worker: Worker) => void;
}

describe.each(Object.entries(BULLMQ))('%s', (_, bullmq) => {
  /** Runs one job to its end under tracking, closes the worker, and returns the row. */
  async function track(scenario: Scenario): Promise<JobStatus | undefined> {
    const store = scenario.store ?? new MemoryStatusStore();
    await using queue = newQueue(
      bullmq,
      scenario.prefix === undefined ? {} : { prefix: scenario.prefix },
    );
    const worker = queue.worker(scenario.process);
    attachStatusTracking(worker, store, scenario.options);
    scenario.prepare?.(worker);
    const end = ended(worker, 1);
    const job = await queue.queue.add('job', { n: 1 }, { removeOnComplete: true, ...scenario.job });
    void worker.run();
    await end;
    await worker.close();
    const key = {
      queue: scenario.prefix === undefined ? queue.name : `${scenario.prefix}:${queue.name}`,
    };
    const row = await store.get({ ...key, jobId: job.id as string });
    expect(row === undefined ? [] : broken(row)).toEqual([]);
    return row;
  }

  describe.each(Object.entries(STORES))('tracked into the %s store', (__, createStore) => {
    test.each([
      [0],
      [''],
      [false],
      [null],
      [{ deep: [{ er: null }] }],
      ['text'],
      [-1.5],
      [2 ** 60],
    ])('a result of %j is kept, though BullMQ itself forgets the job', async (result) => {
      const row = await track({ process: async () => result, store: createStore() });
      expect(row).toMatchObject({
        status: 'completed',
        result,
        attempt: 1,
        attemptsMade: 1,
        error: null,
      });
    });

    test('an undefined result is null', async () => {
      const row = await track({ process: async () => undefined, store: createStore() });
      expect(row).toMatchObject({ status: 'completed', result: null, altered: null });
    });

    test.each([[40], [{ done: 3, of: 7 }], [true], ['half way']])(
      'progress of %j',
      async (progress) => {
        const process = async (job: Job) => job.updateProgress(progress);
        expect(await track({ process, store: createStore() })).toMatchObject({ progress });
      },
    );

    test('an UnrecoverableError fails the job for good, whatever tries are left', async () => {
      const process = async () => {
        throw new bullmq.UnrecoverableError('no such file');
      };
      expect(await track({ process, job: { attempts: 5 }, store: createStore() })).toMatchObject({
        status: 'failed',
        attempt: 1,
        attemptsMade: 1,
        maxAttempts: 5,
        error: {
          name: 'UnrecoverableError',
          message: 'no such file',
          stack: expect.stringContaining('no such file'),
        },
      });
    });

    test('a retried job completes with both attempts counted and no error left', async () => {
      const process = async (job: Job) => {
        if (job.attemptsMade === 0) throw new Error('once');
      };
      const row = await track({ process, job: { attempts: 2 }, store: createStore() });
      expect(row).toMatchObject({ status: 'completed', attempt: 2, attemptsMade: 2, error: null });
    });
  });

  test('a failed attempt that will be tried again is delayed, until its backoff is over, with its error', async () => {
    const store = new MemoryStatusStore();
    await using queue = newQueue(bullmq);
    const worker = queue.worker(async () => Promise.reject(new RangeError('too far')));
    const tracker = attachStatusTracking(worker, store);
    const failed = new Promise((resolve) => worker.once('failed', resolve));
    const job = await queue.queue.add('job', {}, { attempts: 2, backoff: 60_000 });
    void worker.run();
    await failed;
    await tracker.flush();
    const row = await store.get({ queue: queue.name, jobId: job.id as string });
    expect(row).toMatchObject({
      status: 'delayed',
      attemptsMade: 1,
      failedAt: null,
      error: { name: 'RangeError' },
    });
    const until = (row?.delayedUntil?.getTime() ?? 0) - (row?.updatedAt.getTime() ?? 0);
    expect(until).toBe(60_000);
  });

  test.each([
    ['waiting', {}],
    ['prioritized', { priority: 3 }],
  ])('a failed attempt that goes back at once is %s', async (status, job) => {
    const seen: unknown[] = [];
    const log = (details: object) => void seen.push('status' in details && details.status);
    const logger = { debug: log, info: log, warn: log, error: log };
    const process = async (each: Job) =>
      each.attemptsMade === 0 ? Promise.reject(new Error('no')) : 'yes';
    await track({ process, job: { attempts: 2, ...job }, options: { logger } });
    expect(seen).toEqual(['active', status, 'active', 'completed']);
  });

  test('progress that comes after the end is added to the finished row', async () => {
    const store = new MemoryStatusStore();
    await using queue = newQueue(bullmq);
    let late: Job | undefined;
    const worker = queue.worker(async (job) => {
      late = job;
      return 0;
    });
    const tracker = attachStatusTracking(worker, store);
    const end = ended(worker, 1);
    const job = await queue.queue.add('job', {});
    void worker.run();
    await end;
    await late?.updateProgress(100);
    await tracker.flush();
    const row = await store.get({ queue: queue.name, jobId: job.id as string });
    expect(row).toMatchObject({ status: 'completed', progress: 100, result: 0 });
  });

  test('a listener of yours that throws, before or after ours, costs no row', async () => {
    const prepare = (worker: Worker) => {
      for (const event of ['active', 'completed'] as const) {
        worker.prependListener(event, () => {
          throw new Error('a listener of yours');
        });
        // Behind the one that throws, only what stands in `emit` itself still hears the event.
        worker.on(event, () => {});
      }
    };
    const store = new MemoryStatusStore();
    await using queue = newQueue(bullmq);
    const worker = queue.worker(async () => 'done');
    attachStatusTracking(worker, store);
    prepare(worker);
    const job = await queue.queue.add('job', {});
    void worker.run();
    await expect.poll(() => job.isCompleted()).toBe(true);
    await worker.close();
    expect(await store.get({ queue: queue.name, jobId: job.id as string })).toMatchObject({
      status: 'completed',
    });
  });

  test("removeAllListeners takes nothing of tracking's", async () => {
    const row = await track({
      process: async () => 1,
      prepare: (worker) => {
        worker.removeAllListeners('completed');
        worker.removeAllListeners();
        worker.on('error', () => {});
      },
    });
    expect(row).toMatchObject({ status: 'completed', result: 1 });
  });

  test('a queue with a prefix of its own has rows of its own', async () => {
    expect(await track({ process: async () => 1, prefix: 'eu:west' })).toMatchObject({
      queue: expect.stringMatching(/^eu:west:queue-/),
    });
  });

  test('data is kept only where asked for, and redacted first; metadata comes along', async () => {
    const process = async () => ({ token: 'secret', rows: 3 });
    expect(await track({ process })).toMatchObject({ data: null, metadata: null });
    const row = await track({
      process,
      options: {
        capture: { data: true },
        metadata: (job) => ({ organizationId: `org-${job.data.n}` }),
        redact: (value, field) =>
          field === 'result' ? { ...(value as object), token: '***' } : value,
      },
    });
    expect(row).toMatchObject({
      data: { n: 1 },
      metadata: { organizationId: 'org-1' },
      result: { token: '***', rows: 3 },
    });
  });

  test('a filter leaves jobs out', async () => {
    expect(
      await track({ process: async () => 1, options: { filter: () => false } }),
    ).toBeUndefined();
  });

  test('a job moved by DelayedError counts its starts, and completes as attempt 2', async () => {
    let moved = false;
    const process = async (job: Job, token?: string) => {
      if (moved) return 'later';
      moved = true;
      await job.moveToDelayed(Date.now() + 20, token);
      throw new bullmq.DelayedError();
    };
    expect(await track({ process })).toMatchObject({
      status: 'completed',
      attempt: 2,
      attemptsMade: 1,
    });
  });

  test('a job retried by hand after failing becomes active, then completed', async () => {
    const store = new MemoryStatusStore();
    await using queue = newQueue(bullmq);
    let fails = true;
    const worker = queue.worker(async () => (fails ? Promise.reject(new Error('no')) : 'yes'));
    attachStatusTracking(worker, store);
    const failed = ended(worker, 1);
    const job = await queue.queue.add('job', {});
    void worker.run();
    await failed;
    fails = false;
    const completed = ended(worker, 1);
    await sleep(5);
    await (await queue.queue.getJob(job.id as string))?.retry();
    await completed;
    await worker.close();
    expect(await store.get({ queue: queue.name, jobId: job.id as string })).toMatchObject({
      status: 'completed',
      result: 'yes',
      attempt: 2,
      failedAt: null,
      error: null,
    });
  });
});
