import { randomUUID } from 'node:crypto';
import * as bullmq6 from 'bullmq';
import * as bullmq5 from 'bullmq-v5';
import { inject } from 'vitest';

type BullMQ = Pick<typeof bullmq6, 'Queue' | 'Worker' | 'UnrecoverableError' | 'DelayedError'>;

/** The BullMQ versions that every integration test runs on. */
export const BULLMQ: Readonly<Record<string, BullMQ>> = {
  'BullMQ 6': bullmq6,
  // Typed as its successor: the tests use only what both have.
  'BullMQ 5': bullmq5 as unknown as BullMQ,
};

/** A queue of its own on the tests' Redis, and workers on it; all closed at the end of the test. */
export function newQueue({ Queue, Worker }: BullMQ, options: { prefix?: string } = {}) {
  const name = `queue-${randomUUID()}`;
  const common = { connection: inject('parts').redis, ...options };
  const queue = new Queue(name, common);
  const open: { close(): Promise<unknown> }[] = [queue];
  return {
    name,
    queue,
    /** A worker that does not run yet, so that tracking is attached before its first job. */
    worker(
      process: bullmq6.Processor,
      workerOptions: Partial<bullmq6.WorkerOptions> = {},
    ): bullmq6.Worker {
      const worker = new Worker(name, process, { ...common, autorun: false, ...workerOptions });
      // BullMQ asks for one: errors are looked at through the rows.
      worker.on('error', () => {});
      open.unshift(worker);
      return worker;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      for (const each of open) await each.close();
    },
  };
}

/** Resolves when so many jobs of a worker have ended for good. */
export function ended(worker: bullmq6.Worker, count: number): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    const one = () => {
      if (--left === 0) resolve();
    };
    worker.on('completed', one);
    worker.on('failed', (job) => {
      if (job?.finishedOn !== undefined) one();
    });
  });
}
