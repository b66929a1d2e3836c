import {
  completedAtSecond,
  DYING,
  failing,
  HOUR,
  never,
  WATCHFUL,
  type Transition,
} from './transition.ts';

/* Jobs that are taken away, and jobs that are run once more: by hand, after a stall, under the same id. */

export const REMOVALS_AND_RERUNS: Readonly<Record<string, Transition>> = {
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
