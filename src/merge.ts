import { compareText, earlier, mergeAttempt, mergeEarlierAttempts } from './attempts.ts';
import { keyOf } from './key.ts';
import { isSameAttempt, phaseOf } from './phase.ts';
import type { JobFacts, JobKey, JobState, JobStatus, StatusUpdate } from './types.ts';

/*
 * The law. It stands twice: here, and in SQL in `migrations/law.ts`; change neither alone.
 *
 * Order. Which of two snapshots of one job is newer is read off the two alone:
 *   1. where both know their place in time and the two lie more than 5 s apart, the later one (an id used
 *      again, a `job.retry()` with reset counters). The place is the attempt's raw start. Where one has none,
 *      because its job never started or was retried by hand since, it is for both when they were seen, or
 *      ended: for a start is read before the queue is asked for a job, and may be long past when it answers;
 *   2. else the later `createdAt` (an id used again at once);
 *   3. else the higher `attempt` (counted by the queue, so right where hosts' clocks are not);
 *   4. else the later phase of that attempt: active, gone while active, ended, queued again, gone from there;
 *   5. else the higher `sequence` (below zero where a run was read off the queue).
 *
 * Merge. The newer snapshot's facts stand, whole. Of an older one with the same `createdAt` are kept an
 * earlier start, children, and its attempt, beside the row, where it is another; of an older one of the same
 * attempt, an earlier end, that it failed, the worker where the newer names none, and the earliest request to
 * cancel it. A job that fails or is gone after such a request is `cancelled`.
 *
 * Time. `createdAt < startedAt <= attemptStartedAt < completedAt | failedAt | cancelledAt`, each step
 * 1 ms at least. These columns are computed from the raw readings on every merge and never read
 * back, so a correction of one of them can't change what a later snapshot does.
 *
 * Hence every order, every repetition and every grouping of a set of snapshots ends in one row, and
 * each row on the way there is lawful. What that asks of the world: clocks of two hosts within 2.5 s
 * of each other; and where a retry resets the counters, a start that reads more than 5 s later than the
 * last one: 5 s on one host, up to 7.5 s between two, and an attempt that has lost its job reports no more.
 */

/** How far apart two places in time lie, in ms, before they alone decide which is newer (rule 1). */
export const SAME_RUN_MS = 5_000;

/** How many of a job's children a row names at most. */
export const MAX_CHILDREN = 100;

/**
 * Merges a snapshot into a row: pure, with no clock, in any order, any number of times.
 *
 * @param current the row as it is; `undefined` where there is none yet
 * @param update a snapshot of the same job; the caller sees to it that the keys are equal
 * @returns the row as it must be; neither argument is changed
 */
export function mergeStatus(current: JobStatus | undefined, update: StatusUpdate): JobStatus {
  return toStatus(
    current === undefined ? update : mergeUpdates({ ...current, earlierAttempts: [] }, update),
  );
}

/**
 * Two snapshots of one job as one that says all that both do: merging it into a row does what merging
 * the two would. By this the batcher coalesces, and a store folds a job that stands twice in a batch.
 */
export function mergeUpdates(a: StatusUpdate, b: StatusUpdate): StatusUpdate {
  const [older, newer] = isNewer(b, a) ? [a, b] : [b, a];
  // Another job of the same id: nothing of it is kept.
  if (older.createdAt.getTime() !== newer.createdAt.getTime()) return newer;
  return {
    ...newer,
    ...(isSameAttempt(older, newer) && mergeAttempt(older, newer)),
    firstProcessedOn: earlier(older.firstProcessedOn, newer.firstProcessedOn),
    children: mergeChildren(older.children, newer.children),
    earlierAttempts: mergeEarlierAttempts(older, newer),
  };
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
function isNewer(a: JobFacts, b: JobFacts): boolean {
  const areStarted = a.processedOn !== null && b.processedOn !== null;
  const placeOf = (facts: JobFacts) => (areStarted ? facts.processedOn : seenOn(facts));
  const [placeOfA, placeOfB] = [placeOf(a), placeOf(b)];
  if (placeOfA !== null && placeOfB !== null) {
    const apart = placeOfA - placeOfB;
    if (Math.abs(apart) > SAME_RUN_MS) return apart > 0;
  }
  const order =
    a.createdAt.getTime() - b.createdAt.getTime() ||
    a.attempt - b.attempt ||
    phaseOf(a) - phaseOf(b) ||
    a.sequence - b.sequence;
  return order > 0;
}

/** When a job was seen as a snapshot has it, or ended so; of one that is gone from its queue, before it was. */
function seenOn({ processedOn, queuedOn, finishedOn, updatedAt }: JobFacts): number | null {
  return finishedOn ?? (processedOn === null ? queuedOn : updatedAt.getTime());
}

/** All of both, the first in the order of their keys. */
function mergeChildren(
  a: readonly JobKey[] | null,
  b: readonly JobKey[] | null,
): readonly JobKey[] | null {
  if (a === null || b === null || a === b) return a ?? b;
  return firstChildren([...a, ...b]);
}

/** Children as a row names them: each once, in the order of their keys, as many as it has room for. */
export function firstChildren(children: readonly JobKey[]): readonly JobKey[] {
  const each = new Map(children.map((child) => [keyOf(child), child]));
  return [...each.values()]
    .toSorted((a, b) => compareText(a.queue, b.queue) || compareText(a.jobId, b.jobId))
    .slice(0, MAX_CHILDREN);
}

/** A job's state as its row shows it: who was to be cancelled did not fail. */
export function shownStatus({
  status,
  cancellation,
}: Pick<JobFacts, 'status' | 'cancellation'>): JobState {
  return cancellation !== null && (status === 'failed' || status === 'removed')
    ? 'cancelled'
    : status;
}

/** A snapshot as a row, with the columns of the time law: from raw readings alone. */
export function toStatus(update: StatusUpdate): JobStatus {
  const { earlierAttempts: _beside, ...facts } = update;
  const { processedOn, firstProcessedOn, removedFrom, updatedAt } = facts;
  const status = shownStatus(facts);
  const afterCreated = facts.createdAt.getTime() + 1;
  const ended = status === 'completed' || status === 'failed';
  const started = facts.attempt > 0 || firstProcessedOn !== null || ended;

  const startedAt = started ? Math.max(afterCreated, firstProcessedOn ?? afterCreated) : null;
  const attemptStartedAt =
    startedAt === null ? null : Math.max(startedAt, processedOn ?? startedAt);
  const earliestEnd = (attemptStartedAt ?? afterCreated - 1) + 1;
  // A job that was taken out of the queue has no end of its own: it was gone when that was found.
  const endedOn = facts.finishedOn ?? (removedFrom === null ? null : updatedAt.getTime());
  const endedAt = new Date(Math.max(earliestEnd, endedOn ?? earliestEnd));

  return {
    ...facts,
    status,
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
