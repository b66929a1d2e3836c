import { queueKey, type TrackableJob } from './bullmq.ts';
import {
  keptError,
  nameIn,
  takeError,
  takeMetadata,
  takeValue,
  toJobError,
  valuesOf,
  type Capture,
  type Values,
} from './capture.ts';
import { isFinished } from './phase.ts';
import { isTime, MAX_TIME, toCount, toTime } from './readings.ts';
import { toText } from './storable.ts';
import type { JobError, JobKey, JobState, StatusUpdate } from './types.ts';

/** A worker's event that tells something of a job. */
export interface JobEvent {
  readonly type: 'active' | 'progress' | 'completed' | 'failed';
  /** What its listeners get after the job: the progress, the result, or the error. */
  readonly value?: unknown;
}

/** Where and when a job was seen. */
export interface Observation {
  readonly queue: string;
  /** Who runs the job; `null` where its own word for it is to be taken. */
  readonly worker: string | null;
  /** The host's clock, in ms since 1970. */
  readonly now: number;
  readonly sequence: number;
}

/**
 * An event as a snapshot: everything is read off the event and the `Job` it carries, which knows its
 * attempt, its raw times and its options, so nothing is asked of the queue.
 *
 * @param previous the last snapshot of this very `Job` object, so of the same attempt
 * @returns `undefined` where the event says nothing new: progress of a job whose end nobody saw
 */
export function snapshotOf(
  { type, value }: JobEvent,
  job: TrackableJob,
  at: Observation,
  capture: Capture,
  previous?: StatusUpdate,
): StatusUpdate | undefined {
  if (type === 'progress') {
    // Progress is no transition. It may come after the end, when the `Job` no longer tells the
    // attempt's story (a falsy result is lost on it); then the last snapshot, with this, is the truth.
    if (previous !== undefined) {
      const values = valuesOf(job, capture, previous.altered);
      const progress = takeValue(values, 'progress', value);
      const observed = { updatedAt: new Date(at.now), sequence: at.sequence };
      return { ...previous, ...observed, progress, altered: values.altered };
    }
    if (isTime(job.finishedOn)) return undefined;
  }

  const values = valuesOf(job, capture);
  const status = statusAfter(type, job);
  const hasEnded = type === 'completed' || type === 'failed';
  const seen: Seen = {
    status,
    attempt: Math.max(1, toCount(job.attemptsStarted)),
    progress: type === 'progress' ? value : job.progress,
    result: type === 'completed' ? value : null,
    error: errorAfter(type, value, job),
    delayedUntil:
      status === 'delayed' ? new Date(Math.min(at.now + (job.delay ?? 0), MAX_TIME)) : null,
    children: null,
    queuedOn: null,
    attemptEndedOn: hasEnded ? (toTime(job.finishedOn) ?? at.now) : null,
    attemptFailed: type === 'failed',
  };
  const update = snapshot(job, at, values, seen, previous);
  // Of a `Job` that is cancelled the attempts that it has are no longer BullMQ's own word.
  return previous === undefined || previous.maxAttempts === update.maxAttempts
    ? update
    : { ...update, maxAttempts: previous.maxAttempts };
}

/** What differs with how a job was seen; its values are not taken yet. */
type Seen = Pick<
  StatusUpdate,
  | 'status'
  | 'attempt'
  | 'error'
  | 'delayedUntil'
  | 'children'
  | 'queuedOn'
  | 'attemptEndedOn'
  | 'attemptFailed'
> & { readonly progress: unknown; readonly result: unknown };

/**
 * All that is said of a job, in the order in which people read it.
 *
 * @param previous another snapshot of this very `Job` object, for what of it never changes
 */
export function snapshot(
  job: TrackableJob,
  at: Observation,
  values: Values,
  seen: Seen,
  previous?: StatusUpdate,
): StatusUpdate {
  const { status, attempt, delayedUntil, children } = seen;
  const { queuedOn, attemptEndedOn, attemptFailed } = seen;
  const { parent, repeatJobKey, deduplicationId } = job;
  const processedOn = toTime(job.processedOn);
  return {
    queue: at.queue,
    jobId: previous?.jobId ?? toText(String(job.id)),
    name: previous?.name ?? toText(job.name),
    status,
    attempt,
    attemptsMade: toCount(job.attemptsMade),
    maxAttempts: Math.max(1, toCount(job.opts.attempts)),
    progress: takeValue(values, 'progress', seen.progress),
    result: takeValue(values, 'result', seen.result),
    error: takeError(values, seen.error),
    data: takeValue(values, 'data', job.data),
    metadata: takeMetadata(values),
    worker: at.worker ?? textOf(job.processedBy),
    delayedUntil,
    removedFrom: null,
    cancellation: null,
    parent:
      parent === undefined
        ? null
        : toStored({ queue: queueKey(parent.queueKey), jobId: parent.id }),
    children,
    schedulerId: textOf(repeatJobKey),
    deduplicationId: textOf(deduplicationId),
    // Once all values are taken.
    altered: values.altered,
    createdAt: previous?.createdAt ?? new Date(toTime(job.timestamp) ?? 0),
    queuedOn,
    processedOn,
    finishedOn: isFinished(status) ? toTime(job.finishedOn) : null,
    firstProcessedOn: processedOn,
    attemptEndedOn,
    attemptFailed,
    updatedAt: new Date(at.now),
    sequence: at.sequence,
    earlierAttempts: [],
  };
}

function textOf(text: string | undefined): string | null {
  return text === undefined ? null : toText(text);
}

/** The key of a job, as rows have it. */
export function toStored({ queue, jobId }: JobKey): JobKey {
  return { queue: toText(queue), jobId: toText(jobId) };
}

/** A failure is final exactly when BullMQ has set `finishedOn`; attempts left say nothing. */
function statusAfter(type: JobEvent['type'], job: TrackableJob): JobState {
  if (type === 'completed') return 'completed';
  if (type !== 'failed') return 'active';
  if (isTime(job.finishedOn)) return 'failed';
  if ((job.delay ?? 0) > 0) return 'delayed';
  return (job.priority ?? 0) > 0 ? 'prioritized' : 'waiting';
}

/** BullMQ leaves `failedReason` on a job that completes in the end; for us a completed job has no error. */
function errorAfter(type: JobEvent['type'], thrown: unknown, job: TrackableJob): JobError | null {
  // Programs throw strings too, and a job that stalled too often fails with no error thrown.
  if (type !== 'failed') return type === 'completed' ? null : keptError(job);
  if (!isErrorLike(thrown)) return toJobError({ message: thrown ?? job.failedReason });
  const { name, message, stack } = thrown;
  // What comes out of a sandbox has lost its name; its stack has not.
  return toJobError({ name: name === 'Error' ? nameIn(stack) : name, message, stack });
}

/** By its shape: an error of another realm (`vm`, a test runner) is no `instanceof Error`. */
function isErrorLike(thrown: unknown): thrown is Error {
  return (
    typeof thrown === 'object' && thrown !== null && typeof (thrown as Error).message === 'string'
  );
}
