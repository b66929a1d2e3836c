import type { AttemptRecord, JobState, JobStatus, StatusUpdate } from '../types.ts';

/** A row as a database client returns it: `pg` gives `Date`s and strings, PostgREST ISO text and numbers. */
export type Row = Readonly<Record<string, unknown>>;

/**
 * A snapshot as a record of the batch that the merge function takes. What is absent is left out of its JSON, which
 * is half as long without: it is most of what a write costs this process, the network and the API.
 */
export function toRecord(update: StatusUpdate): Row {
  return {
    queue: update.queue,
    job_id: update.jobId,
    name: update.name,
    status: update.status,
    attempt: update.attempt,
    attempts_made: update.attemptsMade,
    max_attempts: update.maxAttempts,
    progress: update.progress ?? undefined,
    result: update.result ?? undefined,
    error: update.error ?? undefined,
    data: update.data ?? undefined,
    metadata: update.metadata ?? undefined,
    worker: update.worker ?? undefined,
    delayed_until: update.delayedUntil?.toISOString(),
    removed_from: update.removedFrom ?? undefined,
    cancellation: update.cancellation ?? undefined,
    parent: update.parent ?? undefined,
    children: update.children ?? undefined,
    scheduler_id: update.schedulerId ?? undefined,
    deduplication_id: update.deduplicationId ?? undefined,
    altered: update.altered ?? undefined,
    created_at: update.createdAt.toISOString(),
    processed_on: update.processedOn ?? undefined,
    finished_on: update.finishedOn ?? undefined,
    first_processed_on: update.firstProcessedOn ?? undefined,
    attempt_ended_on: update.attemptEndedOn ?? undefined,
    attempt_failed: update.attemptFailed,
    queued_on: update.queuedOn ?? undefined,
    updated_at: update.updatedAt.toISOString(),
    sequence: update.sequence,
    ...(update.earlierAttempts.length > 0 && {
      earlier_attempts: update.earlierAttempts.map(toAttemptRecord),
    }),
  };
}

function toAttemptRecord(record: AttemptRecord): Row {
  return {
    attempt: record.attempt,
    processed_on: record.processedOn,
    status: record.status,
    removed_from: record.removedFrom,
    cancellation: record.cancellation,
    error: record.error,
    worker: record.worker,
    attempt_ended_on: record.attemptEndedOn,
    attempt_failed: record.attemptFailed,
    sequence: record.sequence,
  };
}

/** A row of the table as a `JobStatus`. What came with version 3 is absent where the table is older. */
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
    removedFrom: (row['removed_from'] ?? null) as JobState | null,
    cancellation: (row['cancellation'] ?? null) as JobStatus['cancellation'],
    parent: (row['parent'] ?? null) as JobStatus['parent'],
    children: (row['children'] ?? null) as JobStatus['children'],
    schedulerId: (row['scheduler_id'] ?? null) as string | null,
    deduplicationId: (row['deduplication_id'] ?? null) as string | null,
    altered: row['altered'] as JobStatus['altered'],
    createdAt: toDate(row['created_at']) as Date,
    processedOn: toNumber(row['processed_on']),
    finishedOn: toNumber(row['finished_on']),
    firstProcessedOn: toNumber(row['first_processed_on']),
    attemptEndedOn: toNumber(row['attempt_ended_on']),
    attemptFailed: (row['attempt_failed'] ?? false) as boolean,
    queuedOn: toNumber(row['queued_on']),
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

/** A row of the attempts' table. */
export function fromAttemptRow(row: Row): AttemptRecord {
  return {
    attempt: row['attempt'] as number,
    processedOn: Number(row['processed_on']),
    status: row['status'] as JobState,
    removedFrom: row['removed_from'] as JobState | null,
    cancellation: row['cancellation'] as AttemptRecord['cancellation'],
    error: row['error'] as AttemptRecord['error'],
    worker: row['worker'] as string | null,
    attemptEndedOn: toNumber(row['attempt_ended_on']),
    attemptFailed: row['attempt_failed'] as boolean,
    sequence: Number(row['sequence']),
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
  return value === null || value === undefined ? null : Number(value);
}
