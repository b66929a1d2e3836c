import type { JobState, JobStatus, StatusUpdate } from '../types.ts';

/** A row as a database client returns it: `pg` gives `Date`s and strings, PostgREST ISO text and numbers. */
export type Row = Readonly<Record<string, unknown>>;

/** A snapshot as a record of the batch that the merge function takes. */
export function toRecord(update: StatusUpdate): Row {
  return {
    queue: update.queue,
    job_id: update.jobId,
    name: update.name,
    status: update.status,
    attempt: update.attempt,
    attempts_made: update.attemptsMade,
    max_attempts: update.maxAttempts,
    progress: update.progress,
    result: update.result,
    error: update.error,
    data: update.data,
    metadata: update.metadata,
    worker: update.worker,
    delayed_until: update.delayedUntil,
    altered: update.altered,
    created_at: update.createdAt,
    processed_on: update.processedOn,
    finished_on: update.finishedOn,
    first_processed_on: update.firstProcessedOn,
    updated_at: update.updatedAt,
    sequence: update.sequence,
  };
}

/** A row of the table as a `JobStatus`. */
export function fromRow(row: Row): JobStatus {
  return {
    queue: row['queue'] as string,
    jobId: row['job_id'] as string,
    name: row['name'] as string,
    status: row['status'] as JobState,
    attempt: row['attempt'] as number,
    attemptsMade: row['attempts_made'] as number,
    maxAttempts: row['max_attempts'] as number,
    progress: row['progress'] as JobStatus['progress'],
    result: row['result'] as JobStatus['result'],
    error: row['error'] as JobStatus['error'],
    data: row['data'] as JobStatus['data'],
    metadata: row['metadata'] as JobStatus['metadata'],
    worker: row['worker'] as string | null,
    delayedUntil: toDate(row['delayed_until']),
    altered: row['altered'] as JobStatus['altered'],
    createdAt: toDate(row['created_at']) as Date,
    processedOn: toNumber(row['processed_on']),
    finishedOn: toNumber(row['finished_on']),
    firstProcessedOn: toNumber(row['first_processed_on']),
    updatedAt: toDate(row['updated_at']) as Date,
    sequence: toNumber(row['sequence']) as number,
    startedAt: toDate(row['started_at']),
    startedAtInferred: row['started_at_inferred'] as boolean,
    attemptStartedAt: toDate(row['attempt_started_at']),
    completedAt: toDate(row['completed_at']),
    failedAt: toDate(row['failed_at']),
    cancelledAt: toDate(row['cancelled_at']),
  };
}

/** A time: a `Date` from `pg`, else the ISO text that Postgres writes in JSON, by its session's time zone. */
function toDate(value: unknown): Date | null {
  if (value === null) return null;
  const date = new Date(value as string | Date);
  return Number.isNaN(date.getTime()) ? fromFarZone(value as string) : date;
}

/**
 * What Postgres writes and JavaScript doesn't read: the year 10000, which the last hours of 9999 are of
 * in the east, and offsets with seconds, such as Monrovia's was until 1972.
 */
function fromFarZone(text: string): Date {
  const [, year, rest, sign, ...offset] =
    /^(\d+)(-.+)([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?$/.exec(text) ?? [];
  const [hours = 0, minutes = 0, seconds = 0] = offset.map((part) => Number(part ?? 0));
  const offsetMs = ((hours * 60 + minutes) * 60 + seconds) * 1_000;
  const local = Date.parse(`+${year?.padStart(6, '0')}${rest}Z`);
  return new Date(sign === '-' ? local + offsetMs : local - offsetMs);
}

/** `bigint` columns come as text from `pg` and as numbers from PostgREST; ours are safe integers. */
function toNumber(value: unknown): number | null {
  return value === null ? null : Number(value);
}
