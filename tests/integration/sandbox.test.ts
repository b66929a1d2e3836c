import type { JobsOptions, Processor } from 'bullmq';
import { attachStatusTracking, cancelJob, MemoryStatusStore } from 'bullmq-job-status';
import { fileURLToPath } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import { broken } from '../../src/testing/law.ts';
import { BACKENDS, newQueueOn } from '../support/queues.ts';

/* Sandboxed processors: the job runs in a process or a thread of its own, and its worker tells of it. */

const url = new URL('../fixtures/sandbox.ts', import.meta.url);
const HOUR = 3_600_000;

const KINDS = {
  'a process, by its path': { file: fileURLToPath(url), useWorkerThreads: false },
  'a thread, by its URL': { file: url, useWorkerThreads: true },
};

describe.concurrent.each(Object.entries(BACKENDS))('%s', (_, backend) => {
  describe.each(Object.entries(KINDS))('%s', (__, { file, useWorkerThreads }) => {
    function open() {
      const store = new MemoryStatusStore();
      const queue = newQueueOn(backend);
      // The support's type names functions only.
      const worker = queue.worker(file as unknown as Processor, { useWorkerThreads });
      attachStatusTracking(worker, store);
      void worker.run();
      return {
        add: async (name: string, options?: JobsOptions) =>
          String((await queue.queue.add(name, {}, options)).id),
        row: (jobId: string) => store.get({ queue: queue.name, jobId }),
        cancel: (jobId: string) => cancelJob(queue.queue, store, jobId, { reason: 'no more' }),
        [Symbol.asyncDispose]: () => queue[Symbol.asyncDispose](),
      };
    }

    /** Waits until a job's row says this. */
    async function becomes(
      { row }: Pick<ReturnType<typeof open>, 'row'>,
      id: string,
      expected: object,
    ): Promise<void> {
      // The tests run beside each other, and `expect.poll` can't tell them apart.
      const holds = async () => expect(await row(id)).toMatchObject(expected);
      await vi.waitFor(holds, { timeout: 15_000 });
      expect(broken((await row(id))!)).toEqual([]);
    }

    test.each<[string, object]>([
      [
        'complete',
        {
          status: 'completed',
          progress: { done: 1, of: 2 },
          result: { pages: 3 },
          attempt: 1,
          attemptsMade: 1,
        },
      ],
      ['nothing', { status: 'completed', progress: 0, result: null }],
      [
        'fail',
        {
          status: 'failed',
          error: { message: 'no such page', stack: expect.stringMatching(/^RangeError: no such/) },
        },
      ],
      ['die', { status: 'failed', error: { message: 'Unexpected exit code: 3 signal: null' } }],
      ['delay', { status: 'delayed', attempt: 1, attemptsMade: 0, error: null }],
    ])('%s', async (name, expected) => {
      await using stage = open();
      await becomes(stage, await stage.add(name), expected);
    });

    test('fail, with a try left', async () => {
      await using stage = open();
      const id = await stage.add('fail', { attempts: 2, backoff: HOUR });
      await becomes(stage, id, { status: 'delayed', attempt: 1, failedAt: null });
    });

    test('cancelled while it runs', async () => {
      await using stage = open();
      const id = await stage.add('until cancelled', { attempts: 3 });
      await becomes(stage, id, { status: 'active' });
      expect(await stage.cancel(id)).toBe('requested');
      await becomes(stage, id, { status: 'cancelled', attempt: 1, error: { name: 'AbortError' } });
    });
  });
});
