import { randomUUID } from 'node:crypto';
import * as bullmq6 from 'bullmq';
import * as bullmq5 from 'bullmq-v5';
import { inject } from 'vitest';
import { postgresBackend } from '../parts/index.ts';

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

/** BullMQ's classes as one backend has them, and what each of them takes to connect. */
export interface Backend {
  readonly bullmq: BullMQ &
    Pick<
      typeof bullmq6,
      'FlowProducer' | 'QueueEvents' | 'QueueEventsProducer' | 'WaitingChildrenError'
    >;
  readonly connection: () => bullmq6.ConnectionOptions;
  /** Whether queues have a key prefix. */
  readonly hasPrefix: boolean;
}

/** Everything that BullMQ keeps queues in: each version on Redis, and Postgres. */
export const BACKENDS: Readonly<Record<string, Backend>> = {
  'BullMQ 6': { bullmq: bullmq6, connection: () => inject('parts').redis, hasPrefix: true },
  'BullMQ 5': {
    bullmq: bullmq5 as unknown as Backend['bullmq'],
    connection: () => inject('parts').redis,
    hasPrefix: true,
  },
  'BullMQ 6 on Postgres': {
    // Typed as on Redis: the tests use only what both have.
    bullmq: { ...bullmq6, ...(postgresBackend('') as unknown as Backend['bullmq']) },
    connection: () => {
      const { connection } = postgresBackend(inject('parts').connectionString);
      return { ...connection, max: 4 };
    },
    hasPrefix: false,
  },
};

/** A queue of its own on a backend, with all that goes with it; all closed at the end of the test. */
export function newQueueOn(backend: Backend, options: { prefix?: string; name?: string } = {}) {
  const { Queue, Worker, FlowProducer, QueueEvents, QueueEventsProducer } = backend.bullmq;
  const { name = `queue-${randomUUID()}`, ...rest } = options;
  const common = { connection: backend.connection(), ...rest };
  const open: { close(): Promise<unknown> }[] = [];
  const keep = <
    T extends { close(): Promise<unknown>; on(event: 'error', listener: () => void): unknown },
  >(
    each: T,
  ): T => {
    // BullMQ asks for one: errors are looked at through what the test does.
    each.on('error', () => {});
    open.unshift(each);
    return each;
  };
  const queue: bullmq6.Queue = keep(new Queue(name, common));
  let flow: bullmq6.FlowProducer | undefined;
  return {
    name,
    queue,
    /** What jobs of this queue's flows are added with; made when it is first asked for. */
    get flow(): bullmq6.FlowProducer {
      return (flow ??= keep(new FlowProducer(common)));
    },
    /** A worker that does not run yet, so that tracking is attached before its first job. */
    worker(
      process?: bullmq6.Processor | null,
      workerOptions: Partial<bullmq6.WorkerOptions> = {},
    ): bullmq6.Worker {
      return keep(new Worker(name, process, { ...common, autorun: false, ...workerOptions }));
    },
    /** What a program's own events are published with. */
    producer: (): bullmq6.QueueEventsProducer => keep(new QueueEventsProducer(name, common)),
    /** The queue's events, from now on. */
    async events(): Promise<bullmq6.QueueEvents> {
      const events = keep(new QueueEvents(name, common));
      await events.waitUntilReady();
      return events;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      for (const each of open) await each.close();
    },
  };
}
