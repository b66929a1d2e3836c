import type { TrackableJob } from './bullmq.ts';
import { keptError, takeError, takeValue, valuesOf, type Capture } from './capture.ts';
import { firstChildren } from './merge.ts';
import { isFinished, phaseOf } from './phase.ts';
import { toCount, toTime } from './readings.ts';
import { snapshot, toStored, type Observation } from './snapshot.ts';
import type { JobFacts, JobKey, JobState, JobStatus, StatusUpdate } from './types.ts';

/** A job as one look at its queue shows it: all of it at one moment. */
export interface QueuedJob {
  readonly state: Exclude<JobState, 'cancelled' | 'removed'>;
  readonly job: TrackableJob;
  /** What the processor returned. BullMQ's `job.returnvalue`. */
  readonly result: unknown;
  /** When its delay ends, in ms since 1970, of a `delayed` job. */
  readonly delayedUntil: number | null;
  /** Its children in a flow. */
  readonly children: readonly JobKey[];
}

/** How a job ended, where it is gone from its queue and an event alone tells of it. */
export interface SeenEnd {
  readonly status: 'completed' | 'failed';
  readonly value: unknown;
  /** When the queue told it, in ms since 1970. */
  readonly on: number;
}

/**
 * Below every sequence that a worker's snapshot has, and a safe integer with it. What is read off the queue
 * of a run says no more than its worker does, who knows its own name, the error itself and late progress.
 */
const READ_OFF_THE_QUEUE = -9_000_000_000_000_000;

/**
 * A job as it was read off its queue.
 *
 * @param known its row, where it is at hand: for what the queue doesn't keep
 */
export function snapshotOfQueued(
  { state, job, result, delayedUntil, children }: QueuedJob,
  at: Observation,
  capture: Capture,
  known?: JobStatus,
): StatusUpdate {
  const isRun = state === 'active' || isFinished(state);
  const processedOn = toTime(job.processedOn);
  const attempt = Math.max(isRun ? 1 : 0, toCount(job.attemptsStarted));
  const sequence = isRun ? at.sequence + READ_OFF_THE_QUEUE : at.sequence;
  const update: StatusUpdate = snapshot(job, { ...at, sequence }, valuesOf(job, capture), {
    status: state,
    attempt,
    progress: job.progress,
    result: state === 'completed' ? result : null,
    error: state === 'completed' ? null : keptError(job),
    delayedUntil: state === 'delayed' ? toDate(delayedUntil) : null,
    children: children.length > 0 ? firstChildren(children.map(toStored)) : null,
    queuedOn: processedOn === null && !isRun ? at.now : null,
    attemptEndedOn: isFinished(state) ? toTime(job.finishedOn) : null,
    // A job put back without having failed started more often than it has attempts behind it.
    attemptFailed:
      state === 'failed' ||
      (!isRun && processedOn !== null && toCount(job.attemptsMade) >= attempt),
  });
  return known?.createdAt.getTime() === update.createdAt.getTime()
    ? withKnown(update, known, capture)
    : update;
}

/** What is not captured here, and what the queue doesn't keep, as the row has it. */
function withKnown(update: StatusUpdate, known: JobStatus, { fields }: Capture): StatusUpdate {
  const kept = (['data', 'progress', 'result', 'error', 'metadata'] as const).filter(
    (field) => !fields[field] || (field === 'metadata' && update.metadata === null),
  );
  const altered = { ...update.altered };
  for (const field of kept) {
    delete altered[field];
    const why = known.altered?.[field];
    if (why !== undefined) altered[field] = why;
  }
  return {
    ...update,
    ...Object.fromEntries(kept.map((field) => [field, known[field]])),
    altered: Object.keys(altered).length > 0 ? altered : null,
  };
}

/**
 * A job that its queue no longer knows: its last known truth, and whence it went.
 *
 * @param from the state that it had, where that is known better than by its row
 */
export function snapshotOfGone(
  row: JobStatus,
  at: Observation,
  from: JobState = row.status,
): StatusUpdate {
  return {
    ...factsOf(row),
    status: 'removed',
    removedFrom: from,
    delayedUntil: null,
    updatedAt: new Date(at.now),
    sequence: at.sequence,
  };
}

/** A job that ended and is gone since: its last known truth, and what the queue's event says of the end. */
export function snapshotOfEnd(
  row: JobStatus,
  { status, value, on }: SeenEnd,
  job: TrackableJob,
  at: Observation,
  capture: Capture,
): StatusUpdate {
  const values = valuesOf(job, capture, row.altered);
  // A job that was queued has started once more since, at a time that nobody saw.
  const wasQueued = phaseOf(row) > 2;
  const finishedOn = toTime(on);
  return {
    ...factsOf(row),
    status,
    removedFrom: null,
    attempt: Math.max(1, wasQueued ? row.attempt + 1 : row.attempt),
    attemptsMade: row.attemptsMade + 1,
    result: takeValue(values, 'result', status === 'completed' ? value : null),
    error: takeError(
      values,
      status === 'failed' ? { name: 'Error', message: String(value) } : null,
    ),
    worker: wasQueued ? null : row.worker,
    altered: values.altered,
    delayedUntil: null,
    cancellation: wasQueued ? null : row.cancellation,
    processedOn: wasQueued ? null : row.processedOn,
    finishedOn,
    attemptEndedOn: finishedOn,
    attemptFailed: status === 'failed',
    updatedAt: new Date(at.now),
    sequence: at.sequence + READ_OFF_THE_QUEUE,
  };
}

/** A row as a snapshot: without the columns that are computed from it. */
function factsOf(row: JobStatus): StatusUpdate {
  const {
    startedAt: _startedAt,
    startedAtInferred: _startedAtInferred,
    attemptStartedAt: _attemptStartedAt,
    completedAt: _completedAt,
    failedAt: _failedAt,
    cancelledAt: _cancelledAt,
    ...facts
  } = row satisfies JobFacts;
  return { ...facts, earlierAttempts: [] };
}

function toDate(ms: number | null): Date | null {
  return ms === null ? null : new Date(toTime(ms) ?? 0);
}
