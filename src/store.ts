import type {
  FinishedState,
  JobAttempt,
  JobKey,
  JobState,
  JobStatus,
  JsonValue,
  StatusUpdate,
} from './types.ts';

/**
 * Where rows are kept. The first two methods make a store; the others let people read and clean it.
 *
 * Implementations keep rows as `mergeStatus` folds them: reading a row, merging and writing it back
 * must be one atomic step for each job, or two writers at once will undo each other.
 */
export interface StatusStore {
  /**
   * Merges a batch of snapshots into the rows of their jobs.
   *
   * - Atomic for each job: no reader and no other writer sees or overwrites a half-done merge.
   * - In any order: a snapshot may be older than the row; the law of `mergeStatus` decides.
   * - Safe to repeat: a write whose answer was lost is written again.
   * - A job may stand in one batch several times.
   *
   * Reject with `code: 'ERR_STORE_REFUSED'` only where this very batch can never be stored: it is then
   * split until the culprit is found and given up. Every other rejection is taken for a fault that
   * passes, and the write is repeated.
   *
   * @param updates from 1 to `maxBatchSize` snapshots
   * @param options.signal aborts when the caller no longer waits for the answer (`writeTimeoutMs`)
   */
  write(updates: readonly StatusUpdate[], options?: { signal?: AbortSignal }): Promise<void>;

  /**
   * The row of one job, or `undefined`. What it returns is the caller's own to change.
   *
   * @param options.signal aborts when the caller no longer waits for the answer, as in `write`
   */
  get(key: JobKey, options?: { signal?: AbortSignal }): Promise<JobStatus | undefined>;

  /**
   * The attempts of one job, in the order in which they started, its row's own the last: the 50 before that
   * and it. Those of the job that the row is of, and not of an earlier one with its id; none without a row.
   */
  attempts?(key: JobKey): Promise<JobAttempt[]>;

  /**
   * The rows that match, newest `createdAt` first, a page at a time.
   *
   * @param options.signal aborts when the caller no longer waits for the answer, as in `write`
   */
  list?(query?: StatusQuery, options?: { signal?: AbortSignal }): Promise<StatusPage>;

  /** How many rows match. `limit` and `cursor` play no part. */
  count?(query?: StatusQuery): Promise<number>;

  /**
   * Deletes the rows that match, and says how many they were. At least one condition must be given. In
   * a database it is one statement; for more rows than that should hold, there is `prune`.
   */
  delete?(query: StatusFilter): Promise<number>;

  /**
   * Deletes the rows of jobs that ended long ago, and says how many they were: retention. In steps of
   * 1,000 rows, each a transaction of its own, so that no lock is held for long; what was deleted
   * before a step failed stays deleted, and calling it again goes on from there. Rows that are being
   * written to at the moment are left for the next time.
   */
  prune?(options: PruneOptions): Promise<number>;

  /** Lets go of what the store itself opened; of a client that it was given, nothing. */
  close?(): Promise<void>;
}

/** Which rows; every condition given must hold. */
export interface StatusFilter {
  readonly queue?: string | undefined;
  /** One job's id, or any of several: 1,000 at most. Ids are unique within a queue only, so name that too. */
  readonly jobId?: string | readonly string[] | undefined;
  readonly name?: string | undefined;
  /** One status, or any of several. */
  readonly status?: JobState | readonly JobState[] | undefined;
  /** Added at this time or later. */
  readonly createdFrom?: Date | undefined;
  /** Added before this time. */
  readonly createdBefore?: Date | undefined;
  /** Ended at this time or later: completed, failed for good, cancelled, or found removed. */
  readonly finishedFrom?: Date | undefined;
  /** Ended before this time. */
  readonly finishedBefore?: Date | undefined;
  /** Last changed before this time. */
  readonly updatedBefore?: Date | undefined;
  /**
   * What the row's `metadata` contains, as Postgres' `@>` has it: every key given is there with its
   * value; objects within may have other keys besides, and arrays other items, in any order.
   */
  readonly metadata?: { readonly [key: string]: JsonValue } | undefined;
}

/** Which rows `prune` deletes. */
export interface PruneOptions {
  /** Jobs that ended before this time; or, as a number, at least so many ms ago. */
  readonly olderThan: Date | number;
  /** @default every one of them */
  readonly statuses?: readonly FinishedState[] | undefined;
  /** Ends it after the step under way; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Which rows, and which page of them. */
export interface StatusQuery extends StatusFilter {
  /** How many rows a page has at most: 1 to 1,000. @default 50 */
  readonly limit?: number | undefined;
  /** `nextCursor` of the page before. It names a place in the order, so it stays right while rows change. */
  readonly cursor?: string | undefined;
}

/** Some rows, and where the next ones begin. */
export interface StatusPage {
  readonly items: JobStatus[];
  /** Pass it as `cursor` for the next page; `null` where there is none. */
  readonly nextCursor: string | null;
}
