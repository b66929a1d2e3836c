import { setTimeout as sleep } from 'node:timers/promises';
import { UnrecoverableError, type Job, type JobsOptions } from 'bullmq';
import type { JsonValue } from 'bullmq-job-status';

export interface JobData {
  readonly organizationId: string;
  readonly file?: string;
  readonly recipient?: string;
}

/** One kind of job: how it is added, what its processor does, and what must become of each. */
export interface Kind {
  readonly queue: 'mail' | 'files';
  readonly perRound: number;
  readonly options?: JobsOptions;
  run(job: Job<JobData>): Promise<unknown>;
  readonly becomes: Outcome;
}

/** What the row of a job must say once the job is over. */
export interface Outcome {
  readonly status: 'completed' | 'failed';
  readonly attemptsMade: number;
  readonly progress: JsonValue;
  readonly result: JsonValue;
  readonly error: string | null;
}

/** Jobs are added over five seconds, so that there is something to watch. */
export const ROUNDS = 20;
export const ROUND_MS = 250;

const DONE = { status: 'completed', attemptsMade: 1, progress: 0, error: null } as const;
const FAILED = { status: 'failed', progress: 0, result: null } as const;

export const KINDS: Readonly<Record<string, Kind>> = {
  // No work at all: start and end often fall into one millisecond, and a hand-written listener
  // that stores both in the wrong order leaves such a job "active" for ever.
  receipt: {
    queue: 'mail',
    perRound: 10,
    run: async () => ({ sent: 1 }),
    becomes: { ...DONE, result: { sent: 1 } },
  },
  thumbnail: {
    queue: 'files',
    perRound: 10,
    run: async () => 'small.webp',
    becomes: { ...DONE, result: 'small.webp' },
  },

  // Slow, with progress: BullMQ takes a number or an object, and the row keeps what it gets.
  export: {
    queue: 'files',
    perRound: 1,
    run: async (job) => {
      for (let percent = 10; percent <= 100; percent += 10) {
        await sleep(200);
        await job.updateProgress(percent);
      }
      return { rows: 4_200 };
    },
    becomes: { ...DONE, progress: 100, result: { rows: 4_200 } },
  },
  import: {
    queue: 'files',
    perRound: 1,
    run: async (job) => {
      for (const rows of [30, 60, 90]) {
        await sleep(500);
        await job.updateProgress({ rows });
      }
    },
    becomes: { ...DONE, progress: { rows: 90 }, result: null },
  },

  // Fails twice, then gets through. The next attempt may run on the other worker of the queue, and
  // its events may then come before the last ones of the attempt before it.
  newsletter: {
    queue: 'mail',
    perRound: 2,
    options: { attempts: 4, backoff: { type: 'exponential', delay: 200 } },
    run: async (job) => {
      if (job.attemptsMade < 2) throw new Error('421 try later');
      return { sent: 1 };
    },
    becomes: { ...DONE, attemptsMade: 3, result: { sent: 1 } },
  },

  // Two ways to fail for good: no attempt is left, or an error says that another would not help.
  // So only BullMQ knows which failure is the last; counting attempts gets the second one wrong.
  video: {
    queue: 'files',
    perRound: 1,
    options: { attempts: 3, backoff: { type: 'fixed', delay: 300 } },
    run: async () => {
      await sleep(50);
      throw new Error('bad codec');
    },
    becomes: { ...FAILED, attemptsMade: 3, error: 'bad codec' },
  },
  invitation: {
    queue: 'mail',
    perRound: 1,
    options: { attempts: 5 },
    run: async () => {
      throw new UnrecoverableError('no mailbox');
    },
    becomes: { ...FAILED, attemptsMade: 1, error: 'no mailbox' },
  },

  // Waits in BullMQ first. The row keeps when it was added and when it really started.
  reminder: {
    queue: 'mail',
    perRound: 1,
    options: { delay: 1_500 },
    run: async () => ({ sent: 1 }),
    becomes: { ...DONE, result: { sent: 1 } },
  },
};

export const TOTAL = ROUNDS * Object.values(KINDS).reduce((sum, kind) => sum + kind.perRound, 0);

const ORGANIZATIONS = ['acme', 'globex', 'initech'];

/** The jobs of one round for one queue, as `queue.addBulk` takes them. */
export function jobsOfRound(round: number, queue: string) {
  return Object.entries(KINDS)
    .filter(([, kind]) => kind.queue === queue)
    .flatMap(([name, { perRound, options }]) =>
      Array.from({ length: perRound }, (_, n) => ({
        name,
        data: dataOf(queue, round * perRound + n),
        // BullMQ forgets what has completed: from then on the row is all that is left of the job.
        opts: { ...options, removeOnComplete: true },
      })),
    );
}

function dataOf(queue: string, n: number): JobData {
  const organizationId = ORGANIZATIONS[n % ORGANIZATIONS.length] as string;
  if (queue === 'mail') return { organizationId, recipient: `user${n}@${organizationId}.example` };
  return { organizationId, file: `${organizationId}/upload-${n}.csv` };
}
