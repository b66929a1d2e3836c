import * as bullmq from 'bullmq';
import type { Job, JobsOptions, Processor, Queue, Worker, WorkerOptions } from 'bullmq';
import type { JobStatus } from 'bullmq-job-status';
import { setTimeout as sleep } from 'node:timers/promises';

/*
 * Every way in which a job moves, each as a scenario on a real queue that ends where nothing more happens by
 * itself, and what the job's row must say then, whoever tells of it.
 */

/** What a scenario has at hand. */
export interface Stage {
  readonly queue: Queue;
  /** Adds the job that the scenario is about. */
  add(options?: JobsOptions): Promise<Job>;
  /** A worker that runs, tracked where the test is about that. */
  work(process: Processor, options?: Partial<WorkerOptions>): Worker;
  /** Resolves when the queue itself has the job in this state: `gone` where it no longer knows it. */
  until(job: Job, state: string): Promise<void>;
}

type Row = Partial<Record<keyof JobStatus, unknown>>;

export interface Transition {
  /** Leads the job there. */
  readonly happen: (stage: Stage) => Promise<Job>;
  /** What its row says then; a function where it is known only then. */
  readonly row: Row | ((job: Job) => Row);
  /** No worker takes part, so none can tell. */
  readonly isBeforeWorker?: true;
  /** No event tells of it: only `reconcile` finds it. */
  readonly isSilent?: true;
  /** BullMQ's Postgres backend writes no event of it, its Redis one does. */
  readonly isSilentOnPostgres?: true;
  /** The queue forgets how the job ended: who saw nothing of it can call it `removed` at most. */
  readonly isForgotten?: true;
}

const HOUR = 3_600_000;

/** Fails so many times. */
const failing =
  (times: number): Processor =>
  async ({ attemptsMade, attemptsStarted }) => {
    if (attemptsMade < times) throw new RangeError(`attempt ${attemptsStarted}`);
    return 'done';
  };

/** A first attempt that leaves `active` without ending; what comes after it completes. */
const leaving =
  (leave: (job: Job, token: string) => Promise<Error>): Processor =>
  async (job, token = '') => {
    if (job.attemptsStarted > 1) return 'done';
    throw await leave(job, token);
  };

const never: Processor = () => new Promise(() => {});

/** Completed at its second start. */
const completedAtSecond = { status: 'completed', attempt: 2, result: 'done', error: null };

/** Its lock runs out, and it does not see to that. */
const DYING = { lockDuration: 150, skipLockRenewal: true, skipStalledCheck: true };

/** Finds what has stalled soon. */
const WATCHFUL = { stalledInterval: 100 };

export const TRANSITIONS: Readonly<Record<string, Transition>> = {
  'added: waiting': {
    happen: ({ add }) => add(),
    row: { status: 'waiting', attempt: 0, attemptsMade: 0, startedAt: null, worker: null },
    isBeforeWorker: true,
  },
  'added with a delay: delayed': {
    happen: ({ add }) => add({ delay: HOUR }),
    row: ({ timestamp }) => ({ status: 'delayed', delayedUntil: new Date(timestamp + HOUR) }),
    isBeforeWorker: true,
  },
  'added with a priority: prioritized': {
    happen: ({ add }) => add({ priority: 5 }),
    row: { status: 'prioritized', attempt: 0 },
    isBeforeWorker: true,
  },
  'added with a time of the future: waiting': {
    happen: ({ add }) => add({ timestamp: Date.now() + HOUR }),
    row: ({ timestamp }) => ({ status: 'waiting', createdAt: new Date(timestamp) }),
    isBeforeWorker: true,
  },
  'delayed, its delay changed': {
    async happen({ add }) {
      const job = await add({ delay: HOUR });
      await job.changeDelay(2 * HOUR);
      return job;
    },
    row: { status: 'delayed' },
    isBeforeWorker: true,
  },
  'delayed, promoted: waiting': {
    async happen({ add }) {
      const job = await add({ delay: HOUR });
      await job.promote();
      return job;
    },
    row: { status: 'waiting', delayedUntil: null, attempt: 0 },
    isBeforeWorker: true,
  },
  'waiting, given a priority: prioritized': {
    async happen({ add }) {
      const job = await add();
      await job.changePriority({ priority: 3 });
      return job;
    },
    row: { status: 'prioritized' },
    isBeforeWorker: true,
    // `changePriority` tells nobody.
    isSilent: true,
  },
  'taken: active': {
    async happen({ add, work, until }) {
      const job = await add();
      work(never);
      await until(job, 'active');
      return job;
    },
    row: { status: 'active', attempt: 1, attemptsMade: 0, completedAt: null },
  },
  'taken and completed': {
    async happen({ add, work, until }) {
      const job = await add();
      work(failing(0));
      await until(job, 'completed');
      return job;
    },
    row: { status: 'completed', attempt: 1, attemptsMade: 1, result: 'done' },
  },
  'completed and forgotten at once (removeOnComplete)': {
    async happen({ add, work, until }) {
      const job = await add({ removeOnComplete: true });
      work(failing(0));
      await until(job, 'gone');
      return job;
    },
    row: { status: 'completed', attempt: 1, result: 'done' },
    isForgotten: true,
  },
  'failed, to be tried again later: delayed': {
    async happen({ add, work, until }) {
      const job = await add({ attempts: 2, backoff: HOUR });
      work(failing(2));
      await until(job, 'delayed');
      return job;
    },
    row: {
      status: 'delayed',
      attempt: 1,
      attemptsMade: 1,
      failedAt: null,
      error: { name: 'RangeError', message: 'attempt 1' },
    },
  },
  'failed, tried again at once, completed': {
    async happen({ add, work, until }) {
      const job = await add({ attempts: 2 });
      work(failing(1));
      await until(job, 'completed');
      return job;
    },
    row: { ...completedAtSecond, attemptsMade: 2 },
  },
  'failed for good': {
    async happen({ add, work, until }) {
      const job = await add({ attempts: 2 });
      work(failing(2));
      await until(job, 'failed');
      return job;
    },
    row: {
      status: 'failed',
      attempt: 2,
      attemptsMade: 2,
      error: { name: 'RangeError', message: 'attempt 2' },
    },
  },
  'an UnrecoverableError: failed, whatever tries are left': {
    async happen({ add, work, until }) {
      const job = await add({ attempts: 5 });
      work(async () => {
        throw new bullmq.UnrecoverableError('no');
      });
      await until(job, 'failed');
      return job;
    },
    row: { status: 'failed', attempt: 1, attemptsMade: 1, error: { name: 'UnrecoverableError' } },
  },
  'a DelayedError: delayed': {
    async happen({ add, work, until }) {
      const job = await add();
      work(
        leaving(async (each, token) => {
          await each.moveToDelayed(Date.now() + HOUR, token);
          return new bullmq.DelayedError();
        }),
      );
      await until(job, 'delayed');
      return job;
    },
    row: { status: 'delayed', attempt: 1, attemptsMade: 0, error: null },
  },
  'a WaitingError: waiting, and taken again': {
    async happen({ add, work, until }) {
      const job = await add();
      work(
        leaving(async (each, token) => {
          await each.moveToWait(token);
          return new bullmq.WaitingError();
        }),
      );
      await until(job, 'completed');
      return job;
    },
    row: { ...completedAtSecond, attemptsMade: 1 },
  },
  'a WaitingError in a queue that is paused: waiting': {
    async happen({ queue, add, work, until }) {
      const job = await add();
      work(
        leaving(async (each, token) => {
          await sleep(50);
          await queue.pause();
          await each.moveToWait(token);
          return new bullmq.WaitingError();
        }),
      );
      await until(job, 'active');
      await until(job, 'waiting');
      return job;
    },
    row: { status: 'waiting', attempt: 1, attemptsMade: 0 },
  },
  'a rate limit: waiting': {
    async happen({ queue, add, work, until }) {
      const job = await add();
      const worker = work(
        leaving(async () => {
          await sleep(50);
          await queue.rateLimit(HOUR);
          return bullmq.Worker.RateLimitError();
        }),
        { limiter: { max: 1, duration: HOUR } },
      );
      await until(job, 'active');
      await until(job, 'waiting');
      await worker.pause(true);
      return job;
    },
    row: { status: 'waiting', attempt: 1, attemptsMade: 0 },
  },
  'removed while it waits': {
    async happen({ queue, add }) {
      const job = await add();
      await queue.remove(String(job.id));
      return job;
    },
    row: { status: 'removed', removedFrom: 'waiting' },
    isBeforeWorker: true,
    isSilentOnPostgres: true,
  },
  drained: {
    async happen({ queue, add }) {
      const job = await add();
      await queue.drain();
      return job;
    },
    row: { status: 'removed', removedFrom: 'waiting' },
    isBeforeWorker: true,
    isSilent: true,
  },
  cleaned: {
    async happen({ queue, add }) {
      const job = await add({ timestamp: Date.now() - HOUR });
      await queue.clean(0, 10, 'wait');
      return job;
    },
    row: { status: 'removed', removedFrom: 'waiting' },
    isBeforeWorker: true,
    isSilent: true,
  },
  'obliterated while it is delayed': {
    async happen({ queue, add }) {
      const job = await add({ delay: HOUR });
      await queue.obliterate();
      return job;
    },
    row: { status: 'removed', removedFrom: 'delayed' },
    isBeforeWorker: true,
    isSilent: true,
  },
  'obliterated while it is active': {
    async happen({ queue, add, work, until }) {
      const job = await add();
      work(never);
      await until(job, 'active');
      await queue.obliterate({ force: true });
      return job;
    },
    row: { status: 'removed' },
    isSilent: true,
  },
  'failed, retried by hand: waiting': {
    async happen({ queue, add, work, until }) {
      const job = await add();
      const worker = work(failing(1));
      await until(job, 'failed');
      await worker.pause();
      await (await queue.getJob(String(job.id)))?.retry();
      return job;
    },
    row: { status: 'waiting', attempt: 1, attemptsMade: 1, failedAt: null, error: null },
    // The worker saw it fail, and is told nothing of a retry.
    isBeforeWorker: true,
  },
  'failed, retried by hand, completed': {
    async happen({ queue, add, work, until }) {
      const job = await add();
      work(failing(1));
      await until(job, 'failed');
      await (await queue.getJob(String(job.id)))?.retry();
      await until(job, 'completed');
      return job;
    },
    row: { ...completedAtSecond, attemptsMade: 2, failedAt: null },
  },
  'stalled, and taken again by another worker': {
    async happen({ add, work, until }) {
      const job = await add();
      const dying = work(never, DYING);
      await until(job, 'active');
      await dying.close(true);
      work(failing(0), WATCHFUL);
      await until(job, 'completed');
      return job;
    },
    row: { ...completedAtSecond, attemptsMade: 1 },
  },
  'stalled, and nobody there to take it again: waiting': {
    async happen({ queue, add, work, until }) {
      const job = await add();
      const dying = work(never, DYING);
      await until(job, 'active');
      await dying.close(true);
      await queue.pause();
      work(never, WATCHFUL);
      await until(job, 'waiting');
      return job;
    },
    row: { status: 'waiting', attempt: 1, attemptsMade: 0 },
  },
  'stalled too often: failed, without being run': {
    async happen({ add, work, until }) {
      const job = await add();
      const dying = work(never, DYING);
      await until(job, 'active');
      await dying.close(true);
      work(never, { ...WATCHFUL, maxStalledCount: 0 });
      await until(job, 'failed');
      return job;
    },
    row: {
      status: 'failed',
      attempt: 2,
      error: { message: 'job stalled more than allowable limit' },
    },
  },
  'its lock lost, and completed by another worker while the first still runs it': {
    async happen({ add, work, until }) {
      const job = await add();
      const gate = Promise.withResolvers<string>();
      work(async ({ attemptsStarted }) => (attemptsStarted > 1 ? 'done' : gate.promise), DYING);
      await until(job, 'active');
      work(failing(0), WATCHFUL);
      await until(job, 'completed');
      gate.resolve('too late');
      return job;
    },
    row: { ...completedAtSecond, attemptsMade: 1 },
  },
  'fetched and completed by hand': {
    async happen({ add, work, until }) {
      const job = await add();
      const worker = work(never, { autorun: false });
      const mine = await worker.getNextJob('token');
      await mine?.moveToCompleted('done', 'token', false);
      await until(job, 'completed');
      return job;
    },
    row: { status: 'completed', attempt: 1, attemptsMade: 1, result: 'done' },
  },
  'an id used again after its job was removed': {
    async happen({ queue, add, work, until }) {
      const first = await add({ jobId: 'again' });
      const worker = work(failing(1));
      await until(first, 'failed');
      await worker.pause();
      await queue.remove('again');
      return add({ jobId: 'again', delay: HOUR });
    },
    row: ({ timestamp }) => ({
      status: 'delayed',
      createdAt: new Date(timestamp),
      attempt: 0,
      error: null,
      startedAt: null,
    }),
    isBeforeWorker: true,
  },
};
