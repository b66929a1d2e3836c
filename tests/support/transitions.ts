import * as bullmq from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import { completedAtSecond, failing, HOUR, leaving, never, type Transition } from './transition.ts';
import { REMOVALS_AND_RERUNS } from './transitions-and-reruns.ts';

/*
 * Every way in which a job moves, each as a scenario on a real queue that ends where nothing more happens by
 * itself, and what the job's row must say then, whoever tells of it.
 */

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
  ...REMOVALS_AND_RERUNS,
};
