import type { TrackableJob } from './bullmq.ts';
import { describe, kindOf } from './errors.ts';
import { isFinished } from './merge.ts';
import { toStorable, toText } from './storable.ts';
import type {
  Alteration,
  Alterations,
  CapturedField,
  JobError,
  JobState,
  JsonValue,
  StatusUpdate,
} from './types.ts';

/** A worker's event that tells something of a job. */
export interface JobEvent {
  readonly type: 'active' | 'progress' | 'completed' | 'failed';
  /** What its listeners get after the job: the progress, the result, or the error. */
  readonly value?: unknown;
}

/** Where and when an event was seen. */
export interface Observation {
  readonly queue: string;
  readonly worker: string;
  /** The host's clock, in ms since 1970. */
  readonly now: number;
  readonly sequence: number;
}

/** Makes a job's own value storable; the option-bound part of a snapshot. */
export interface Capture {
  /** Which fields are kept at all. */
  readonly fields: Readonly<Record<CapturedField, boolean>>;
  readonly maxValueLength: number;
  /** Replaces a value before it is kept. */
  redact(value: unknown, field: CapturedField, job: TrackableJob): unknown;
  metadata(job: TrackableJob): unknown;
  /** Told where a hook threw; the snapshot goes on without what it would have given. */
  hookFailed(hook: 'filter' | 'redact' | 'metadata', thrown: unknown): void;
}

/** The greatest time a row holds: the end of the year 9999, less the steps of the time law. */
const MAX_TIME = 253_402_300_799_000;

/** The greatest count a row holds: Postgres' integer. */
const MAX_INT = 2_147_483_647;

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
  const observed = { updatedAt: new Date(at.now), sequence: at.sequence };

  if (type === 'progress') {
    // Progress is no transition. It may come after the end, when the `Job` no longer tells the
    // attempt's story (a falsy result is lost on it); then the last snapshot, with this, is the truth.
    if (previous !== undefined) {
      const values = capturer(job, capture, previous.altered);
      const progress = values.take('progress', value);
      return { ...previous, ...observed, progress, altered: values.altered() };
    }
    if (isTime(job.finishedOn)) return undefined;
  }

  const values = capturer(job, capture);
  const status = statusAfter(type, job);
  const processedOn = toTime(job.processedOn);
  return {
    queue: at.queue,
    jobId: toText(String(job.id)),
    name: toText(job.name),
    status,
    attempt: Math.max(1, toCount(job.attemptsStarted)),
    attemptsMade: toCount(job.attemptsMade),
    maxAttempts: Math.max(1, toCount(job.opts.attempts)),
    progress: values.take('progress', type === 'progress' ? value : job.progress),
    result: values.take('result', type === 'completed' ? value : null),
    error: values.takeError(errorAfter(type, value, job)),
    data: values.take('data', job.data),
    metadata: values.takeMetadata(),
    worker: at.worker,
    delayedUntil:
      status === 'delayed' ? new Date(Math.min(at.now + (job.delay ?? 0), MAX_TIME)) : null,
    altered: values.altered(),
    createdAt: new Date(toTime(job.timestamp) ?? 0),
    processedOn,
    finishedOn: isFinished(status) ? toTime(job.finishedOn) : null,
    firstProcessedOn: processedOn,
    ...observed,
  };
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
  if (type === 'failed') {
    return toJobError(isErrorLike(thrown) ? thrown : { message: thrown ?? job.failedReason });
  }
  if (type === 'completed' || job.failedReason === undefined) return null;
  // What the queue keeps of the last failure: its message, and its stack, which begins with its name.
  const stack = job.stacktrace?.at(-1);
  return toJobError({ name: stack?.match(/^\w*Error\b/)?.[0], message: job.failedReason, stack });
}

/** By its shape: an error of another realm (`vm`, a test runner) is no `instanceof Error`. */
function isErrorLike(thrown: unknown): thrown is Error {
  return (
    typeof thrown === 'object' && thrown !== null && typeof (thrown as Error).message === 'string'
  );
}

/** Whatever stands for an error, as its three texts. */
function toJobError({ name, message, stack }: { [part in keyof JobError]?: unknown }): JobError {
  return {
    name: typeof name === 'string' ? name : 'Error',
    message: typeof message === 'string' ? message : describe(message),
    ...(typeof stack === 'string' ? { stack } : undefined),
  };
}

/** Redacts and copies a job's values, and remembers what had to be altered. */
function capturer(job: TrackableJob, capture: Capture, before?: Alterations | null) {
  const altered: { [field in CapturedField]?: readonly Alteration[] } = { ...before };

  function take(field: CapturedField, value: unknown): JsonValue {
    delete altered[field];
    if (!capture.fields[field] || value === undefined || value === null) return null;
    return hook('redact', field, () => {
      const redacted = atOnce(capture.redact(value, field, job));
      const storable = toStorable(redacted, capture.maxValueLength);
      if (storable.altered.length > 0) altered[field] = storable.altered;
      return storable.value;
    });
  }

  /** Runs the user's code; what it throws is told, and costs the value only. */
  function hook<T>(name: 'redact' | 'metadata', field: CapturedField, run: () => T): T | null {
    try {
      return run();
    } catch (thrown) {
      capture.hookFailed(name, thrown);
      altered[field] = ['hook-failed'];
      return null;
    }
  }

  return {
    take,
    /** A redacted error may be any value; what is stored has an error's shape. */
    takeError(error: JobError | null): JobError | null {
      const value = take('error', error);
      return value === null ? null : toJobError(isRecord(value) ? value : { message: value });
    },
    takeMetadata: () =>
      hook('metadata', 'metadata', () => {
        const metadata = atOnce(capture.metadata(job));
        const value = take('metadata', metadata);
        if (value === null || isRecord(value)) return value;
        throw new TypeError(`expected an object, got ${kindOf(metadata)}`);
      }),
    altered: () => (Object.keys(altered).length > 0 ? altered : null),
  };
}

/** What a hook of yours gave, which is needed now: the `Job` it speaks of moves on. */
export function atOnce(answer: unknown): unknown {
  if (!(answer instanceof Promise)) return answer;
  // Should it reject, that is told as this error is; unhandled it would end the process.
  answer.catch(() => {});
  throw new TypeError('expected an answer at once, got a promise');
}

function isRecord(value: JsonValue): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && !Array.isArray(value);
}

function isTime(ms: number | null | undefined): ms is number {
  return typeof ms === 'number' && Number.isFinite(ms) && ms > 0;
}

/** A raw reading as a whole number of ms that fits a row; `opts.timestamp` may be anything. */
function toTime(ms: number | null | undefined): number | null {
  return isTime(ms) ? Math.min(Math.trunc(ms), MAX_TIME) : null;
}

function toCount(count: number | undefined): number {
  return typeof count === 'number' && count > 0 ? Math.min(Math.trunc(count), MAX_INT) : 0;
}
