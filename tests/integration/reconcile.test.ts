import type { Job } from 'bullmq';
import {
  attachStatusTracking,
  cancelJob,
  MemoryStatusStore,
  reconcile,
  type StatusStore,
  type StatusUpdate,
} from 'bullmq-job-status';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, test } from 'vitest';
import { broken } from '../../src/testing/law.ts';
import { BACKENDS, ended, newQueueOn } from '../support/queues.ts';
import { readAll } from '../support/rows.ts';
import { differences } from '../support/truth.ts';

const NOW = { olderThan: 0 };

/** A store whose rows change while somebody reconciles them: after they were read, and before any is written. */
function between(store: MemoryStatusStore, happens: () => Promise<unknown>): StatusStore {
  return {
    write: (updates) => store.write(updates),
    get: (key) => store.get(key),
    async list(query) {
      const page = await store.list(query);
      if (query?.jobId !== undefined) await happens();
      return page;
    },
  };
}

describe.concurrent.each(Object.entries(BACKENDS))('%s', (_, backend) => {
  const newStage = () => {
    const stage = newQueueOn(backend);
    const store = new MemoryStatusStore();
    const rowOf = ({ id = '' }: Job) => store.get({ queue: stage.name, jobId: id });
    return { stage, store, queue: stage.queue, rowOf };
  };

  test('a queue that nobody tracked: each job that has not ended gets its row, once', async ({
    expect,
  }) => {
    const { stage, store, queue } = newStage();
    await using _stage = stage;
    await queue.addBulk(
      Array.from({ length: 30 }, (__, n) => ({
        name: 'job',
        data: { tenant: n % 2 },
        opts: { delay: n % 3 ? 60_000 : 0, priority: n % 5 },
      })),
    );
    const options = { ...NOW, metadata: (job: { data: { tenant: number } }) => ({ ...job.data }) };
    const first = await reconcile(queue, store, { ...options, batchSize: 7 });
    expect(first).toMatchObject({ checked: 30, added: 30, repaired: 0, removed: 0, reads: 7 });
    expect(await differences(store, queue)).toEqual([]);
    expect(await store.count({ metadata: { tenant: 1 } })).toBe(15);
    const second = await reconcile(queue, store, options);
    expect(second).toMatchObject({ checked: 30, added: 0, repaired: 0, removed: 0 });
  });

  test('jobs that ended with nobody to tell of it get their rows, as long as the queue keeps them', async ({
    expect,
  }) => {
    const { stage, store, queue } = newStage();
    await using _stage = stage;
    const worker = stage.worker(async (job) => {
      if (job.data.n % 3 === 0) throw new Error('no');
      return job.data.n;
    });
    const end = ended(worker, 20);
    await queue.addBulk(Array.from({ length: 20 }, (__, n) => ({ name: 'job', data: { n } })));
    void worker.run();
    await end;
    // Not of what ended before the time that is asked for.
    await sleep(2);
    const none = { ...NOW, endedWithin: 0 };
    expect(await reconcile(queue, store, none)).toMatchObject({ checked: 0, added: 0 });
    expect(await reconcile(queue, store, NOW)).toMatchObject({ checked: 20, added: 20 });
    expect(await store.count({ status: 'completed' })).toBe(13);
    expect(await store.count({ status: 'failed' })).toBe(7);
    expect(await differences(store, queue)).toEqual([]);
    // Those whose row says when they ended are not read again; failed ones are, for they may have been retried.
    expect(await reconcile(queue, store, NOW)).toMatchObject({ checked: 0, added: 0, repaired: 0 });
  });

  test('a job that was cancelled, which its queue calls failed, contradicts nothing', async ({
    expect,
  }) => {
    const { stage, store, queue, rowOf } = newStage();
    await using _stage = stage;
    const worker = stage.worker(async (_job, _token, signal) => {
      await new Promise((_, reject) => signal?.addEventListener('abort', reject));
    });
    const tracker = attachStatusTracking(worker, store);
    const end = ended(worker, 1);
    const active = new Promise((resolve) => worker.once('active', resolve));
    const job = await queue.add('job', {});
    void worker.run();
    await active;
    await cancelJob(queue, store, job.id!);
    await end;
    await tracker.flush();
    expect(await rowOf(job)).toMatchObject({ status: 'cancelled' });
    for (const endedWithin of [0, 600_000]) {
      const report = await reconcile(queue, store, { ...NOW, endedWithin });
      expect(report).toMatchObject({ repaired: 0, contradicted: [] });
    }
    expect(await rowOf(job)).toMatchObject({ status: 'cancelled' });
  });

  test('a row from a clock that was ahead is looked at all the same', async ({ expect }) => {
    const { stage, store, queue, rowOf } = newStage();
    await using _stage = stage;
    const job = await queue.add('job', {}, { delay: 60_000 });
    const ahead: StatusStore = {
      get: (key) => store.get(key),
      list: (query) => store.list(query),
      write: (updates) => {
        const updatedAt = new Date(Date.now() + 3_600_000);
        return store.write(updates.map((update) => ({ ...update, updatedAt })));
      },
    };
    await reconcile(queue, ahead, NOW);
    await job.promote();
    expect(await rowOf(job)).toMatchObject({ status: 'delayed' });
    expect(await reconcile(queue, store)).toMatchObject({ repaired: 1, contradicted: [] });
    expect(await rowOf(job)).toMatchObject({ status: 'waiting' });
  });

  test('a row of an earlier job with the id of one that ended unseen becomes that one’s', async ({
    expect,
  }) => {
    const { stage, store, queue } = newStage();
    await using _stage = stage;
    const worker = stage.worker(async (job) => job.data.n);
    void worker.run();
    for (const n of [1, 2]) {
      const end = ended(worker, 1);
      await queue.add('job', { n }, { jobId: 'again' });
      await end;
      expect(await reconcile(queue, store, NOW)).toMatchObject({ checked: 1 });
      const row = await store.get({ queue: stage.name, jobId: 'again' });
      expect(row).toMatchObject({ status: 'completed', result: n });
      await queue.remove('again');
      await sleep(2);
    }
  });

  test('what changed within `olderThan` is left alone', async ({ expect }) => {
    const { stage, store, queue, rowOf } = newStage();
    await using _stage = stage;
    const job = await queue.add('job', {});
    await reconcile(queue, store, NOW);
    await queue.remove(job.id!);
    expect(await reconcile(queue, store)).toMatchObject({ checked: 0, removed: 0 });
    expect(await rowOf(job)).toMatchObject({ status: 'waiting' });
    expect(await reconcile(queue, store, NOW)).toMatchObject({ checked: 1, removed: 1 });
    // One that is in the queue still, too.
    const delayed = await queue.add('job', {}, { delay: 60_000 });
    await reconcile(queue, store, NOW);
    await delayed.promote();
    expect(await reconcile(queue, store)).toMatchObject({ checked: 0, repaired: 0 });
    expect(await rowOf(delayed)).toMatchObject({ status: 'delayed' });
  });

  test('a job that is gone keeps its last known truth', async ({ expect }) => {
    const { stage, store, queue, rowOf } = newStage();
    await using _stage = stage;
    const gate = Promise.withResolvers<void>();
    const worker = stage.worker(async (job) => {
      await job.updateProgress({ done: 3, of: 7 });
      await gate.promise;
    });
    const tracker = attachStatusTracking(worker, store, { metadata: () => ({ tenant: 't1' }) });
    const job = await queue.add('job', {});
    void worker.run();
    await expect.poll(() => rowOf(job)).toMatchObject({ progress: { done: 3, of: 7 } });
    await tracker.close();
    const before = (await rowOf(job))!;
    await queue.obliterate({ force: true });
    await reconcile(queue, store, NOW);
    expect(await rowOf(job)).toEqual({
      ...before,
      status: 'removed',
      removedFrom: 'active',
      updatedAt: expect.any(Date),
      sequence: expect.any(Number),
    });
    gate.resolve();
  });

  test('a run that ends well while it is repaired is completed, whichever is written last', async ({
    expect,
  }) => {
    const { stage, store, queue, rowOf } = newStage();
    await using _stage = stage;
    const gate = Promise.withResolvers<string>();
    const worker = stage.worker(() => gate.promise);
    attachStatusTracking(worker, store);
    const job = await queue.add('job', {}, { removeOnComplete: true });
    void worker.run();
    await expect.poll(() => rowOf(job)).toMatchObject({ status: 'active' });
    // The rows are read; then the job completes, and is forgotten; then the queue is looked at.
    const told: StatusUpdate[][] = [];
    const late: StatusStore = {
      ...between(store, async () => {
        gate.resolve('well');
        await expect.poll(() => queue.getJobState(job.id!)).toBe('unknown');
      }),
      async write(updates) {
        told.push([...updates]);
      },
    };
    expect(await reconcile(queue, late, NOW)).toMatchObject({ removed: 1 });
    await worker.close();
    expect(await rowOf(job)).toMatchObject({ status: 'completed', result: 'well' });
    for (const updates of told) await store.write(updates);
    expect(await rowOf(job)).toMatchObject({ status: 'completed', result: 'well' });
  });

  test('a cancellation that was begun is not for another job of the same id', async ({
    expect,
  }) => {
    const { stage, store, queue } = newStage();
    await using _stage = stage;
    await queue.add('job', {}, { jobId: 'daily' });
    const { remove } = queue;
    queue.remove = () => Promise.reject(new Error('dead'));
    await expect(cancelJob(queue, store, 'daily')).rejects.toThrow('dead');
    queue.remove = remove;
    await queue.drain();
    await sleep(2);
    const again = await queue.add('job', {}, { jobId: 'daily' });
    expect(await reconcile(queue, store, NOW)).toMatchObject({ removed: 0, repaired: 1 });
    expect(await queue.getJobState('daily')).toBe('waiting');
    expect(await store.get({ queue: stage.name, jobId: 'daily' })).toMatchObject({
      status: 'waiting',
      createdAt: new Date(again.timestamp),
      cancellation: null,
    });
  });

  test('a failed job that was retried by hand, and completed, all unseen', async ({ expect }) => {
    const { stage, store, queue, rowOf } = newStage();
    await using _stage = stage;
    let fails = true;
    const worker = stage.worker(async () => {
      if (fails) throw new Error('no');
      return 'yes';
    });
    const tracker = attachStatusTracking(worker, store);
    const job = await queue.add('job', {});
    void worker.run();
    await expect.poll(() => rowOf(job)).toMatchObject({ status: 'failed' });
    await tracker.close();
    fails = false;
    await (await queue.getJob(job.id!))?.retry();
    await expect.poll(() => queue.getJobState(job.id!)).toBe('completed');
    expect(await reconcile(queue, store, NOW)).toMatchObject({ repaired: 1 });
    expect(await rowOf(job)).toMatchObject({ status: 'completed', attempt: 2, result: 'yes' });
  });

  test('three at once: every row is right', async ({ expect }) => {
    const { stage, store, queue } = newStage();
    await using _stage = stage;
    await queue.addBulk(Array.from({ length: 600 }, () => ({ name: 'job', data: {} })));
    await reconcile(queue, store, NOW);
    await queue.drain();
    await queue.addBulk(Array.from({ length: 100 }, () => ({ name: 'job', data: {} })));
    const reports = await Promise.all([1, 2, 3].map(() => reconcile(queue, store, NOW)));
    expect(await store.count({ status: 'removed' })).toBe(600);
    expect(await store.count({ status: 'waiting' })).toBe(100);
    for (const { removed } of reports) expect(removed).toBeLessThanOrEqual(600);
    expect(await differences(store, queue)).toEqual([]);
  });

  test('aborted half-way it says so, and every row is lawful', async ({ expect }) => {
    const { stage, store, queue } = newStage();
    await using _stage = stage;
    await queue.addBulk(Array.from({ length: 60 }, () => ({ name: 'job', data: {} })));
    const abort = new AbortController();
    const counting: StatusStore = {
      ...between(store, async () => {}),
      async write(updates) {
        await store.write(updates);
        abort.abort(new Error('enough'));
      },
    };
    const options = { ...NOW, batchSize: 20, signal: abort.signal };
    await expect(reconcile(queue, counting, options)).rejects.toThrow('enough');
    const rows = await readAll(store, {});
    expect(rows).toHaveLength(20);
    expect(rows.flatMap(broken)).toEqual([]);
    await reconcile(queue, store, NOW);
    expect(await store.count()).toBe(60);
  });
});
