/**
 * Where a job stands in its queue: BullMQ's own state names, and two of ours. `cancelled`: it failed,
 * or was taken out of the queue, after somebody asked for its cancellation. `removed`: the queue no
 * longer knows it, and nobody saw it end.
 */
export type JobState = (typeof JOB_STATES)[number];

export const JOB_STATES = [
  'waiting',
  'delayed',
  'prioritized',
  'waiting-children',
  'active',
  'completed',
  'failed',
  'cancelled',
  'removed',
] as const;

/** The states that nothing follows, unless somebody adds or retries the job by hand. */
export type FinishedState = (typeof FINISHED_STATES)[number];

export const FINISHED_STATES = ['completed', 'failed', 'cancelled', 'removed'] as const;

/** What JSON can hold. Everything a row keeps of a job's own values has this shape. */
export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** What names one job: an id is unique in its queue only. */
export interface JobKey {
  /**
   * The queue's name (`worker.name`), or `prefix:name` where the worker's key prefix is not BullMQ's
   * default `bull`, so that two prefixes never share a row.
   */
  readonly queue: string;
  /** BullMQ's `job.id`. It may contain `:` (schedulers' ids do), and it may be used again. */
  readonly jobId: string;
}

/** Why a job failed, as plain data: an `Error` does not survive a database. */
export interface JobError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
}

/** Somebody's wish that a job be cancelled, as `cancelJob` records it. */
export interface Cancellation {
  /** When it was asked for, in ms since 1970, by the asking host's clock. */
  readonly requestedOn: number;
  /** Who asked, as given to `cancelJob`. */
  readonly by: string | null;
  /** Why, as given to `cancelJob`. */
  readonly reason: string | null;
}

/** A value of the job that is kept in the row. */
export type CapturedField = 'data' | 'progress' | 'result' | 'error' | 'metadata';

/**
 * Why a stored value is not exactly the job's own:
 *
 * - `bigint`: a `BigInt`, stored as its decimal digits in a string;
 * - `circular`: a reference to an object that contains it, stored as `"[Circular]"`;
 * - `function`, `symbol`: left out of an object, `null` elsewhere;
 * - `non-finite-number`: `NaN` or an infinity, stored as `null`;
 * - `invalid-unicode`: `U+0000` or half a surrogate pair, which Postgres refuses, stored as `U+FFFD`;
 * - `too-deep`: nested deeper than 100 levels, `null` from there on;
 * - `too-large`: past `maxValueLength`; strings are cut, and what comes after is left out;
 * - `unreadable`: a getter or `toJSON` of the value threw, stored as `null`;
 * - `hook-failed`: your `redact` or `metadata` threw, or gave what it may not; nothing of the value is stored.
 */
export type Alteration =
  | 'bigint'
  | 'circular'
  | 'function'
  | 'symbol'
  | 'non-finite-number'
  | 'invalid-unicode'
  | 'too-deep'
  | 'too-large'
  | 'unreadable'
  | 'hook-failed';

/** Which values of a row were altered on the way, and why. */
export type Alterations = { readonly [field in CapturedField]?: readonly Alteration[] };

/** What a snapshot says of its job, and a row keeps. */
export interface JobFacts extends JobKey {
  /** BullMQ's `job.name`. */
  readonly name: string;
  readonly status: JobState;
  /**
   * Which attempt this is a snapshot of, from 1; 0 for a job never started. BullMQ's
   * `job.attemptsStarted`, which the queue itself counts up at each move to active: the fencing token
   * by which attempts on two hosts are told apart, whatever their clocks say.
   */
  readonly attempt: number;
  /** How many attempts have ended, from 0. BullMQ's `job.attemptsMade`. */
  readonly attemptsMade: number;
  /** How many attempts the job has in all, from 1. BullMQ's `job.opts.attempts`, where unset means 1. */
  readonly maxAttempts: number;
  /** What the job last reported: any JSON value. BullMQ's `job.progress`, which starts as 0. */
  readonly progress: JsonValue;
  /** What the processor returned; `null` until it did, and where it returned nothing. */
  readonly result: JsonValue;
  /** Why the last failed attempt failed; `null` where none failed, and again once the job completes. */
  readonly error: JobError | null;
  /** The job's payload; `null` unless `capture.data` is on. */
  readonly data: JsonValue;
  /** What your `metadata(job)` returned: tenant and user ids and the like. */
  readonly metadata: { readonly [key: string]: JsonValue } | null;
  /** Which worker ran the attempt: its `name` option, else its random id; `null` before the first. */
  readonly worker: string | null;
  /** Until when a `delayed` job rests, by the clock of the host that delayed it. */
  readonly delayedUntil: Date | null;
  /**
   * Where the job stood when it was taken out of the queue, of a job that is `removed`, or was `cancelled`
   * before it ran; else `null`.
   */
  readonly removedFrom: JobState | null;
  /** Who asked for this attempt's cancellation; `null` where nobody did. */
  readonly cancellation: Cancellation | null;
  /** The job of which this is a child in a flow. BullMQ's `job.parent`. */
  readonly parent: JobKey | null;
  /**
   * The job's children in a flow, as far as they were seen: told by reads of the queue, while it keeps them.
   * In the order of their keys, the first 100; `null` where none was seen.
   */
  readonly children: readonly JobKey[] | null;
  /** The scheduler that made the job. BullMQ's `job.repeatJobKey`. */
  readonly schedulerId: string | null;
  /** By what the job was deduplicated. BullMQ's `job.deduplicationId`. */
  readonly deduplicationId: string | null;
  /** Which of the values above are not exactly the job's own, and why; `null` where all are. */
  readonly altered: Alterations | null;
  /** When the job was added, by its producer's clock, or as `opts.timestamp` says. BullMQ's `job.timestamp`. */
  readonly createdAt: Date;
  /** Raw start of this attempt by its host's clock, in ms since 1970. BullMQ's `job.processedOn`. */
  readonly processedOn: number | null;
  /** Raw end of the job by its host's clock, in ms since 1970. BullMQ's `job.finishedOn`. */
  readonly finishedOn: number | null;
  /** The earliest raw start known of any attempt, in ms since 1970; in a fresh snapshot, `processedOn`. */
  readonly firstProcessedOn: number | null;
  /** When this attempt was seen to end, in ms since 1970; of the job's last one `finishedOn`. `null` until then. */
  readonly attemptEndedOn: number | null;
  /** Whether this attempt failed, for good or to be tried again. */
  readonly attemptFailed: boolean;
  /**
   * When the job was seen in its queue, in ms since 1970, where it has no start there: it never started,
   * or was retried by hand since. What `processedOn` says of all others: a place in time.
   */
  readonly queuedOn: number | null;
  /** When this snapshot was taken, by the taking host's clock. */
  readonly updatedAt: Date;
  /**
   * Orders snapshots of one phase of one attempt: a hybrid logical clock (ms since 1970 times 1,000,
   * counted on within one ms), rising within a process and roughly ordered across processes. Below zero
   * where a run was read off the queue: what its worker itself told of that phase then stands.
   */
  readonly sequence: number;
}

/**
 * A whole snapshot of one job at one moment of one attempt. Any one of them is enough to insert the
 * row; `mergeStatus` says which of two is newer, read off the two alone.
 */
export interface StatusUpdate extends JobFacts {
  /** What is known of other attempts: none in a fresh snapshot, those folded in where several became one. */
  readonly earlierAttempts: readonly AttemptRecord[];
}

/** What is known of one attempt, as the merge keeps it beside the row. */
export type AttemptRecord = Pick<
  JobFacts,
  | 'attempt'
  | 'status'
  | 'removedFrom'
  | 'cancellation'
  | 'error'
  | 'worker'
  | 'attemptEndedOn'
  | 'attemptFailed'
  | 'sequence'
> & {
  /** An attempt is told from others by its number and its raw start. */
  readonly processedOn: number;
};

/**
 * How an attempt ended: `failed`, for good or to be tried again; `requeued`, put back without having failed
 * (a `DelayedError` and its kin, a rate limit, a stall that was seen); `lost`, nobody saw it end (a crash, a
 * lost lock, a job removed under way); `active`, not ended yet.
 */
export type AttemptOutcome = 'active' | 'completed' | 'failed' | 'cancelled' | 'requeued' | 'lost';

/** One attempt of a job, of those that `StatusStore.attempts` lists. */
export interface JobAttempt {
  /** From 1. BullMQ's `job.attemptsStarted`; after `retry({ resetAttemptsStarted: true })` it counts from 1 again. */
  readonly attempt: number;
  readonly outcome: AttemptOutcome;
  /** When it started, by its host's clock, corrected only to come after `createdAt`. */
  readonly startedAt: Date;
  /** When it ended, 1 ms after its start at least; `null` where that was not seen. */
  readonly endedAt: Date | null;
  /** Why it failed, if it did. */
  readonly error: JobError | null;
  /** Which worker ran it, as in the row. */
  readonly worker: string | null;
}

/**
 * One row: the newest snapshot's facts, and the times computed from them, for which always
 * `createdAt < startedAt <= attemptStartedAt < completedAt | failedAt`, each step 1 ms at least.
 * Times are `Date`s, exact to the millisecond; what is absent is `null`.
 */
export interface JobStatus extends JobFacts {
  /** When the job first started, kept across retries; `null` until it did. */
  readonly startedAt: Date | null;
  /** Whether `startedAt` stands in for a start that nobody saw: `createdAt` + 1 ms. */
  readonly startedAtInferred: boolean;
  /** When the latest attempt started; `null` until the first did. */
  readonly attemptStartedAt: Date | null;
  /** When the job completed; `null` in any other status. */
  readonly completedAt: Date | null;
  /** When the job failed for good; `null` in any other status. */
  readonly failedAt: Date | null;
  /** When the job was cancelled; `null` in any other status. */
  readonly cancelledAt: Date | null;
}
