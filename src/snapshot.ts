import type { TrackableJob } from './bullmq.ts';
import { describe } from './errors.ts';
import { toStorable } from './storable.ts';
import type {
  Alteration,
  Alterations,
  CapturedField,
  JobError,
  JobState,
  JsonValue,
  StatusUpdate,
} from './types.ts';

/** What a worker says of a job, as its listeners get it. */
export type JobEvent =
  | { readonly type: 'active' }
  | { readonly type: 'progress'; readonly progress: unknown }
  | { readonly type: 'completed'; readonly result: unknown }
  | { readonly type: 'failed'; readonly error: unknown };

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
  readonly maxValueBytes: number;
  /** Replaces a value before it is kept. */
  redact(value: unknown, field: CapturedField, job: TrackableJob): unknown;
  metadata(job: TrackableJob): unknown;
  /** Called where one of the two above threw; the snapshot goes on without the value. */
  hookFailed(hook: 'redact' | 'metadata', thrown: unknown): void;
}

/** The greatest time a row holds: the end of the year 9999, less the steps of the time law. */
const MAX_TIME = Date.UTC(9999, 11, 31, 23, 59, 59);

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
  event: JobEvent,
  job: TrackableJob,
  at: Observation,
  capture: Capture,
  previous?: StatusUpdate,
): StatusUpdate | undefined {
  const observed = { updatedAt: new Date(at.now), sequence: at.sequence };

  if (event.type === 'progress') {
    // Progress is no transition. It may come after the end, when the `Job` no longer tells the
    // attempt's story (a falsy result is lost on it); then the last snapshot, with this, is the truth.
    if (previous !== undefined) {
      const values = new CapturedValues(job, capture, previous.altered);
      const progress = values.take('progress', event.progress);
      return { ...previous, ...observed, progress, altered: values.altered };
    }
    if (isTime(job.finishedOn)) return undefined;
  }

  const values = new CapturedValues(job, capture);
  const status = statusAfter(event, job);
  const processedOn = toTime(job.processedOn);
  return {
    queue: at.queue,
    jobId: wellFormed(job.id ?? ''),
    name: wellFormed(job.name),
    status,
    attempt: Math.max(1, toCount(job.attemptsStarted)),
    attemptsMade: toCount(job.attemptsMade),
    maxAttempts: Math.max(1, toCount(job.opts.attempts)),
    progress: values.take('progress', event.type === 'progress' ? event.progress : job.progress),
    result: event.type === 'completed' ? values.take('result', event.result) : null,
    error: values.takeError(errorAfter(event, job)),
    data: values.take('data', job.data),
    metadata: values.takeMetadata(),
    worker: at.worker,
    delayedUntil: status === 'delayed' ? new Date(Math.min(at.now + (job.delay ?? 0), MAX_TIME)) : null,
    altered: values.altered,
    createdAt: new Date(toTime(job.timestamp) ?? 0),
    processedOn,
    finishedOn: status === 'completed' || status === 'failed' ? toTime(job.finishedOn) : null,
    firstProcessedOn: processedOn,
    ...observed,
  };
}

/** A failure is final exactly when BullMQ has set `finishedOn`; attempts left say nothing. */
function statusAfter(event: JobEvent, job: TrackableJob): JobState {
  if (event.type === 'completed') return 'completed';
  if (event.type !== 'failed') return 'active';
  if (isTime(job.finishedOn)) return 'failed';
  if ((job.delay ?? 0) > 0) return 'delayed';
  return (job.priority ?? 0) > 0 ? 'prioritized' : 'waiting';
}

/** BullMQ leaves `failedReason` on a job that completes in the end; for us a completed job has no error. */
function errorAfter(event: JobEvent, job: TrackableJob): JobError | null {
  if (event.type === 'completed') return null;
  if (event.type === 'failed') return errorOf(event.error, job);
  return job.failedReason === undefined ? null : errorOf(undefined, job);
}

function errorOf(thrown: unknown, job: TrackableJob): JobError {
  if (thrown instanceof Error) return toJobError(thrown);
  const stack = job.stacktrace?.at(-1);
  const name = stack?.match(/^\w*Error\b/)?.[0];
  return toJobError({ name, stack, message: thrown === undefined ? job.failedReason : thrown });
}

/** Whatever stands for an error, as its three texts. */
function toJobError({ name, message, stack }: { [part in keyof JobError]: unknown }): JobError {
  return {
    name: typeof name === 'string' ? name : 'Error',
    message: typeof message === 'string' ? message : describe(message),
    ...(typeof stack === 'string' ? { stack } : undefined),
  };
}

/** Redacts and copies a job's values, and remembers what had to be altered. */
class CapturedValues {
  readonly #job: TrackableJob;
  readonly #capture: Capture;
  #altered: Alterations | null;

  constructor(job: TrackableJob, capture: Capture, altered: Alterations | null = null) {
    this.#job = job;
    this.#capture = capture;
    this.#altered = altered;
  }

  get altered(): Alterations | null {
    return this.#altered;
  }

  take(field: CapturedField, value: unknown): JsonValue {
    if (!this.#capture.fields[field] || value === undefined || value === null) return null;
    try {
      return this.#keep(field, settled('redact', this.#capture.redact(value, field, this.#job)));
    } catch (thrown) {
      return this.#hookFailed('redact', field, thrown);
    }
  }

  takeError(error: JobError | null): JobError | null {
    const value = this.take('error', error);
    if (value === null) return null;
    const isRecord = typeof value === 'object' && !Array.isArray(value);
    return toJobError(isRecord ? (value as unknown as JobError) : { ...ERROR, message: value });
  }

  takeMetadata(): StatusUpdate['metadata'] {
    try {
      const metadata = settled('metadata', this.#capture.metadata(this.#job));
      if (metadata === undefined || metadata === null) return null;
      const value = this.take('metadata', metadata);
      if (typeof value === 'object' && !Array.isArray(value)) return value as StatusUpdate['metadata'];
      throw new TypeError(`Expected metadata(job) to return an object, got ${describe(metadata)}`);
    } catch (thrown) {
      return this.#hookFailed('metadata', 'metadata', thrown);
    }
  }

  #keep(field: CapturedField, value: unknown): JsonValue {
    const storable = toStorable(value, this.#capture.maxValueBytes);
    this.#mark(field, storable.altered);
    return storable.value;
  }

  #hookFailed(hook: 'redact' | 'metadata', field: CapturedField, thrown: unknown): null {
    this.#capture.hookFailed(hook, thrown);
    this.#mark(field, ['hook-failed']);
    return null;
  }

  #mark(field: CapturedField, why: readonly Alteration[]): void {
    const { [field]: before, ...rest } = this.#altered ?? {};
    if (why.length > 0) this.#altered = { ...rest, [field]: why };
    else if (before !== undefined) this.#altered = Object.keys(rest).length > 0 ? rest : null;
  }
}

const ERROR = { name: 'Error', stack: undefined };

/** A hook's answer is needed now: the `Job` it speaks of changes once the event is over. */
function settled(hook: string, answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null || !('then' in answer)) return answer;
  throw new TypeError(`Expected ${hook} to answer at once, got a promise`);
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

/** Names and ids as text that Postgres takes. */
function wellFormed(text: string): string {
  return String(text).replaceAll('\0', '\uFFFD').toWellFormed();
}
