import type { Job, Processor } from 'bullmq';
import { attachStatusTracking, type JobStatus } from 'bullmq-job-status';
import { describe, expect, test } from 'vitest';
import { BULLMQ, ended, newQueue } from '../support/queues.ts';
import { STORES } from '../support/stores.ts';

/* What a job may hold and a row can't: stored as what can be, marked so, never lost, never thrown. */

const circular: Record<string, unknown> = { n: 1 };
circular['self'] = circular;

describe.each(Object.entries(BULLMQ))('%s', (_, bullmq) => {
  describe.each(Object.entries(STORES))('tracked into the %s store', (__, createStore) => {
    async function track(
      process: Processor,
      data: unknown = {},
      jobId?: string,
    ): Promise<JobStatus | undefined> {
      const store = createStore();
      await using queue = newQueue(bullmq);
      const worker = queue.worker(process);
      const errors: unknown[] = [];
      attachStatusTracking(worker, store, {
        capture: { data: true },
        onError: (error) => errors.push(error),
      });
      const end = ended(worker, 1);
      await queue.queue.add('job', data, jobId === undefined ? {} : { jobId });
      void worker.run();
      await end;
      await worker.close();
      expect(errors).toEqual([]);
      return (await store.list({ queue: queue.name })).items[0];
    }

    test('a function as result', async () => {
      expect(await track(async () => () => 1)).toMatchObject({
        status: 'completed',
        result: null,
        altered: { result: ['function'] },
      });
    });

    test('a result with functions, U+0000 and half a surrogate pair', async () => {
      const row = await track(async () => ({ f: () => 1, text: 'a\0b\uD800c' }));
      expect(row).toMatchObject({
        status: 'completed',
        result: { text: 'a\uFFFDb\uFFFDc' },
        altered: { result: ['function', 'invalid-unicode'] },
      });
    });

    test.each([
      ['circular', circular],
      ['BigInt', { id: 1n }],
    ])(
      'a %s result, which BullMQ itself refuses: the row says failed, and why',
      async (___, result) => {
        const row = await track(async () => result);
        expect(row).toMatchObject({ status: 'failed', result: null, error: { name: 'TypeError' } });
      },
    );

    test('5 MB of result, data and progress are cut', async () => {
      const big = 'x'.repeat(5_000_000);
      const process = async (job: Job) => {
        await job.updateProgress({ big });
        return big;
      };
      const row = await track(process, { big });
      expect(row).toMatchObject({ status: 'completed' });
      expect(row?.altered).toEqual({
        data: ['too-large'],
        progress: ['too-large'],
        result: ['too-large'],
      });
      expect(row?.result).toMatch(/^x{65000,65536}$/);
    });

    test('data that the processor made circular, and a BigInt in it', async () => {
      const process = async (job: Job) => {
        job.data = { circular, big: 2n ** 70n };
        return 'done';
      };
      expect(await track(process)).toMatchObject({
        status: 'completed',
        data: { circular: { n: 1, self: '[Circular]' }, big: '1180591620717411303424' },
        altered: { data: ['circular', 'bigint'] },
      });
    });

    test('U+0000 in data, in progress, in an error and in the id', async () => {
      const process = async (job: Job) => {
        await job.updateProgress('half\0way');
        throw new Error('bad\0byte\uDFFF');
      };
      expect(await track(process, { '\0': '\0' }, 'id\0x')).toMatchObject({
        jobId: 'id\uFFFDx',
        status: 'failed',
        data: { '\uFFFD': '\uFFFD' },
        progress: 'half\uFFFDway',
        error: { message: 'bad\uFFFDbyte\uFFFD' },
      });
    });

    test('what is thrown need not be an Error', async () => {
      const process = async () => {
        throw 'just text';
      };
      expect(await track(process)).toMatchObject({ status: 'failed', error: { name: 'Error' } });
    });

    test('the times of the years 1970 to 9999 are exact to the millisecond', async () => {
      const store = createStore();
      await using queue = newQueue(bullmq);
      const worker = queue.worker(async () => 1);
      attachStatusTracking(worker, store);
      const timestamps = [
        1, 999, 86_399_999, 1_600_000_000_123, 4_102_444_799_001, 253_402_300_798_999,
      ];
      const end = ended(worker, timestamps.length);
      for (const timestamp of timestamps) await queue.queue.add('job', {}, { timestamp });
      void worker.run();
      await end;
      await worker.close();
      const { items } = await store.list({ queue: queue.name });
      expect(items.map((row) => row.createdAt.getTime()).reverse()).toEqual(timestamps);
      expect(items[0]?.completedAt?.getTime()).toBe(253_402_300_798_999 + 2);
    });
  });
});
