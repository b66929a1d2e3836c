import type { Job, Processor, WorkerListener } from 'bullmq';
import { attachStatusTracking, MemoryStatusStore } from 'bullmq-job-status';
import { describe, expect, test } from 'vitest';
import { broken } from '../../src/testing/law.ts';
import { BACKENDS, ended, newQueueOn } from '../support/queues.ts';

/* Workers as programs have them: subclasses, many on one store, one on many, late, paused. */

const done: Processor = async ({ data }) => data.n;

/** Rows that say this, in a store. */
const count = (store: MemoryStatusStore, status: 'completed' | 'active') => store.count({ status });

describe.each(Object.entries(BACKENDS))('%s', (_, backend) => {
  const jobs = (length: number) =>
    Array.from({ length }, (__, n) => ({ name: 'job', data: { n } }));

  describe('subclasses', () => {
    /** One that does what BullMQ Pro's and others' do: overrides what is called, and has fields of its own. */
    class OwnWorker extends backend.bullmq.Worker {
      #processed = 0;
      readonly told: string[] = [];

      get processed() {
        return this.#processed;
      }

      override async processJob(job: Job, token: string, fetchNext?: () => boolean) {
        this.#processed += 1;
        return super.processJob(job, token, fetchNext);
      }

      protected override async callProcessJob(job: Job, token: string, signal?: AbortSignal) {
        return { wrapped: await super.callProcessJob(job, token, signal) };
      }

      override emit<Event extends keyof WorkerListener>(
        event: Event,
        ...args: Parameters<WorkerListener[Event]>
      ): boolean {
        this.told.push(event);
        return super.emit(event, ...args);
      }

      override async close(force?: boolean): Promise<void> {
        await super.close(force);
        this.told.push('closed by itself');
      }
    }

    test('with overridden methods and private fields: tracked, and left as they were', async () => {
      const store = new MemoryStatusStore();
      await using stage = newQueueOn(backend);
      const worker = new OwnWorker(stage.name, done, {
        connection: backend.connection(),
        autorun: false,
      });
      const tracker = attachStatusTracking(worker, store);
      const end = ended(worker, 3);
      await stage.queue.addBulk(jobs(3));
      void worker.run();
      await end;
      await worker.close();
      const { items } = await store.list({ status: 'completed' });
      expect(items.map(({ result }) => result)).toEqual(
        expect.arrayContaining([{ wrapped: 0 }, { wrapped: 1 }, { wrapped: 2 }]),
      );
      expect(worker.processed).toBe(3);
      expect(worker.told.filter((event) => event === 'completed')).toHaveLength(3);
      expect(worker.told.at(-1)).toBe('closed by itself');
      await tracker.close();
      expect(worker.emit).toBe(OwnWorker.prototype.emit);
      expect(worker.close).toBe(OwnWorker.prototype.close);
    });
  });

  describe('many', () => {
    test('workers of one queue on one store', async () => {
      const store = new MemoryStatusStore();
      await using stage = newQueueOn(backend);
      const fails: Processor = async (job) => {
        if (job.attemptsMade === 0 && job.data.n % 3 === 0) throw new Error('once');
        return job.data.n;
      };
      const workers = [1, 2, 3].map((n) => stage.worker(fails, { name: `worker ${n}` }));
      for (const worker of workers) attachStatusTracking(worker, store);
      await stage.queue.addBulk(
        jobs(60).map((job) => ({ ...job, opts: { attempts: 2, removeOnComplete: true } })),
      );
      for (const worker of workers) void worker.run();
      await expect.poll(() => count(store, 'completed'), { timeout: 15_000 }).toBe(60);
      for (const worker of workers) await worker.close();
      const { items } = await store.list({ limit: 100 });
      expect(items.flatMap(broken)).toEqual([]);
      expect(items.filter(({ attempt }) => attempt === 2)).toHaveLength(20);
      for (const { worker } of items) expect(worker).toMatch(/^worker [123]$/);
    });

    test('stores of one worker, each with options of its own', async () => {
      const [all, some] = [new MemoryStatusStore(), new MemoryStatusStore()];
      await using stage = newQueueOn(backend);
      const worker = stage.worker(done);
      attachStatusTracking(worker, all, { capture: { data: true } });
      const second = attachStatusTracking(worker, some, { filter: ({ data }) => data.n < 2 });
      expect(() => attachStatusTracking(worker, all)).toThrow('into this store already');
      const end = ended(worker, 5);
      await stage.queue.addBulk(jobs(5));
      void worker.run();
      await end;
      // One goes, the other stays.
      await second.close();
      const more = ended(worker, 1);
      await stage.queue.add('job', { n: 0 });
      await more;
      await worker.close();
      expect([await count(all, 'completed'), await count(some, 'completed')]).toEqual([6, 2]);
      expect((await all.list()).items[0]?.data).toEqual({ n: 0 });
      expect((await some.list()).items[0]?.data).toBeNull();
    });

    test('queues on one store: rows of their own, though the ids are the same', async () => {
      const store = new MemoryStatusStore();
      await using one = newQueueOn(backend);
      await using other = newQueueOn(backend);
      const workers = [one, other].map((stage) => stage.worker(async () => stage.name));
      for (const worker of workers) attachStatusTracking(worker, store);
      for (const { queue } of [one, other]) await queue.add('job', {}, { jobId: 'same' });
      for (const worker of workers) void worker.run();
      await expect.poll(() => count(store, 'completed')).toBe(2);
      for (const { name } of [one, other])
        expect(await store.get({ queue: name, jobId: 'same' })).toMatchObject({ result: name });
    });
  });

  describe('late and paused', () => {
    test('attached while a job runs: its row comes with its next word, whole', async () => {
      const store = new MemoryStatusStore();
      await using stage = newQueueOn(backend);
      const { promise: gate, resolve: open } = Promise.withResolvers<void>();
      const worker = stage.worker(async (job) => {
        await gate;
        if (job.data.n === 0) await job.updateProgress(50);
        return 'late';
      });
      const active = new Promise((resolve) => worker.once('active', resolve));
      const { id: jobId = '' } = await stage.queue.add('job', { n: 0 });
      void worker.run();
      await active;
      const tracker = attachStatusTracking(worker, store);
      await tracker.flush();
      expect(await store.get({ queue: stage.name, jobId })).toBeUndefined();
      open();
      await expect.poll(() => count(store, 'completed')).toBe(1);
      const row = await store.get({ queue: stage.name, jobId });
      expect(row).toMatchObject({ attempt: 1, progress: 50, startedAtInferred: false });
      expect(row && broken(row)).toEqual([]);
    });

    test('paused and resumed: nothing is missed, and nothing runs meanwhile', async () => {
      const store = new MemoryStatusStore();
      await using stage = newQueueOn(backend);
      const worker = stage.worker(done);
      attachStatusTracking(worker, store);
      void worker.run();
      await stage.queue.addBulk(jobs(5));
      await expect.poll(() => count(store, 'completed')).toBe(5);
      await worker.pause();
      await stage.queue.addBulk(jobs(5));
      expect(await count(store, 'completed')).toBe(5);
      await worker.resume();
      await expect.poll(() => count(store, 'completed')).toBe(10);
      await worker.close();
      expect(await store.count()).toBe(10);
    });

    test('paused while a job runs: its end is told', async () => {
      const store = new MemoryStatusStore();
      await using stage = newQueueOn(backend);
      const { promise: gate, resolve: open } = Promise.withResolvers<void>();
      const worker = stage.worker(async () => gate);
      attachStatusTracking(worker, store);
      void worker.run();
      await stage.queue.add('job', {});
      await expect.poll(() => count(store, 'active')).toBe(1);
      const paused = worker.pause();
      open();
      await paused;
      await worker.close();
      expect(await count(store, 'completed')).toBe(1);
    });
  });
});
