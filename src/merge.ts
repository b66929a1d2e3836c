import { keyOf } from './key.ts';
import { FINISHED_STATES, type JobState, type JobStatus, type StatusUpdate } from './types.ts';

/*
 * The law. It stands twice: here, and in SQL in `migrations/law.ts`; change neither alone.
 *
 * Order. Which of two snapshots of one job is newer is read off the two alone:
 *   1. where both know their attempt's raw start and the two lie more than 5 s apart, the later start
 *      (an id used again, a `job.retry()` with reset counters);
 *   2. else the later `createdAt` (an id used again at once);
 *   3. else the higher `attempt` (counted by the queue, so right where hosts' clocks are not);
 *   4. else the later phase of that attempt: active, then ended, then queued again;
 *   5. else the higher `sequence`.
 *
 * Merge. The newer snapshot's facts stand, whole; of an older one with the same `createdAt` only an
 * earlier start is kept.
 *
 * Time. `createdAt < startedAt <= attemptStartedAt < completedAt | failedAt | cancelledAt`, each step
 * 1 ms at least. These columns are computed from the raw readings on every merge and never read
 * back, so a correction of one of them can't change what a later snapshot does.
 *
 * Hence every order, every repetition and every grouping of a set of snapshots ends in one row, and
 * each row on the way there is lawful. What that asks of the world: clocks of two hosts within 2.5 s
 * of each other; and where a retry resets the counters, a start that reads more than 5 s later than the
 * last one: 5 s on one host, up to 7.5 s between two.
 */

/** How far apart two raw starts lie, in ms, before they alone decide which is newer (rule 1). */
export const SAME_RUN_MS = 5_000;

/** Rule 4: the phases of an attempt, in the order in which it passes them: active 0, ended 1, queued again 2. */
export function phaseOf(status: JobState): number {
  if (status === 'active') return 0;
  return isFinished(status) ? 1 : 2;
}

/** Whether nothing follows this status unless somebody adds or retries the job by hand. */
export function isFinished(status: JobState): boolean {
  return (FINISHED_STATES as readonly JobState[]).includes(status);
}

/**
 * Merges a snapshot into a row: pure, with no clock, in any order, any number of times.
 *
 * @param current the row as it is; `undefined` where there is none yet
 * @param update a snapshot of the same job; the caller sees to it that the keys are equal
 * @returns the row as it must be; neither argument is changed
 */
export function mergeStatus(current: JobStatus | undefined, update: StatusUpdate): JobStatus {
  return withTimes(current === undefined ? update : mergeUpdates(current, update));
}

/**
 * Two snapshots of one job as one that says all that both do: merging it into a row does what merging
 * the two would. By this the batcher coalesces, and a store folds a job that stands twice in a batch.
 */
export function mergeUpdates(a: StatusUpdate, b: StatusUpdate): StatusUpdate {
  const [older, newer] = isNewer(b, a) ? [a, b] : [b, a];
  if (older.createdAt.getTime() !== newer.createdAt.getTime()) return newer;
  const firstProcessedOn = earlier(older.firstProcessedOn, newer.firstProcessedOn);
  return firstProcessedOn === newer.firstProcessedOn ? newer : { ...newer, firstProcessedOn };
}

/** Folds the updates of each job into one, in the order in which the jobs first stand. */
export function foldUpdates(updates: readonly StatusUpdate[]): StatusUpdate[] {
  const folded = new Map<string, StatusUpdate>();
  for (const update of updates) {
    const key = keyOf(update);
    const before = folded.get(key);
    folded.set(key, before === undefined ? update : mergeUpdates(before, update));
  }
  return [...folded.values()];
}

/** Rules 1 to 5: whether `a` is newer than `b`. */
function isNewer(a: StatusUpdate, b: StatusUpdate): boolean {
  if (a.processedOn !== null && b.processedOn !== null) {
    const apart = a.processedOn - b.processedOn;
    if (Math.abs(apart) > SAME_RUN_MS) return apart > 0;
  }
  const order =
    a.createdAt.getTime() - b.createdAt.getTime() ||
    a.attempt - b.attempt ||
    phaseOf(a.status) - phaseOf(b.status) ||
    a.sequence - b.sequence;
  return order > 0;
}

function earlier(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}

/** The columns of the time law, from raw readings alone. */
function withTimes(facts: StatusUpdate): JobStatus {
  const { status, processedOn, firstProcessedOn, finishedOn } = facts;
  const afterCreated = facts.createdAt.getTime() + 1;
  const ended = status === 'completed' || status === 'failed';
  const started = facts.attempt > 0 || firstProcessedOn !== null || ended;

  const startedAt = started ? Math.max(afterCreated, firstProcessedOn ?? afterCreated) : null;
  const attemptStartedAt =
    startedAt === null ? null : Math.max(startedAt, processedOn ?? startedAt);
  const earliestEnd = (attemptStartedAt ?? afterCreated - 1) + 1;
  const endedAt = new Date(Math.max(earliestEnd, finishedOn ?? earliestEnd));

  return {
    ...facts,
    startedAt: toDate(startedAt),
    startedAtInferred: started && firstProcessedOn === null,
    attemptStartedAt: toDate(attemptStartedAt),
    completedAt: status === 'completed' ? endedAt : null,
    failedAt: status === 'failed' ? endedAt : null,
    cancelledAt: status === 'cancelled' ? endedAt : null,
  };
}

function toDate(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}
