import type { Job, JobsOptions, Processor, Queue, Worker, WorkerOptions } from 'bullmq';
import type { JobStatus } from 'bullmq-job-status';

/* What a scenario of a job's moves is, and the processors and workers that several of them need. */

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

export const HOUR = 3_600_000;

/** Fails so many times. */
export const failing =
  (times: number): Processor =>
  async ({ attemptsMade, attemptsStarted }) => {
    if (attemptsMade < times) throw new RangeError(`attempt ${attemptsStarted}`);
    return 'done';
  };

/** A first attempt that leaves `active` without ending; what comes after it completes. */
export const leaving =
  (leave: (job: Job, token: string) => Promise<Error>): Processor =>
  async (job, token = '') => {
    if (job.attemptsStarted > 1) return 'done';
    throw await leave(job, token);
  };

export const never: Processor = () => new Promise(() => {});

/** Completed at its second start. */
export const completedAtSecond = { status: 'completed', attempt: 2, result: 'done', error: null };

/** Its lock runs out, and it does not see to that. */
export const DYING = { lockDuration: 150, skipLockRenewal: true, skipStalledCheck: true };

/** Finds what has stalled soon. */
export const WATCHFUL = { stalledInterval: 100 };
