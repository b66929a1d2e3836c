import { toAttempts } from '../attempts.ts';
import { eachAtOnce } from '../at-once.ts';
import { describe, JobStatusError, kindOf } from '../errors.ts';
import { keyOf } from '../key.ts';
import { foldUpdates, mergeUpdates, toStatus } from '../merge.ts';
import type { StatusStore } from '../store.ts';
import type { AttemptRecord, JobKey, JobStatus, StatusUpdate } from '../types.ts';
import { hasMethods, unlike } from '../validate.ts';
import { storedKey } from './query.ts';

/** A row and the attempts beside it: all that a store keeps of a job. Any JSON serializer may write it down. */
export interface StoredStatus extends JobStatus {
  readonly earlierAttempts: readonly AttemptRecord[];
}

/** A row as it was written, or as JSON gives it back: with its times as text. */
export type SerializedStatus = {
  readonly [field in keyof StoredStatus]: Date extends StoredStatus[field]
    ? StoredStatus[field] | string
    : StoredStatus[field];
};

/** A row, and the mark by which its next change is held against this one. */
export interface VersionedStatus<Version> {
  /**
   * Whatever changes with each write, and never comes again for the same job, not even after it was deleted: an
   * ETag, a random text, the row's own text; a number only where it goes on after a deletion.
   */
  readonly version: Version;
  readonly row: SerializedStatus;
}

/** Two methods of a database that can change one record on condition that nobody else did meanwhile. */
export interface CompareAndSetBacking<Version> {
  /**
   * Reads the rows of some jobs.
   *
   * @param keys from 1 to `maxBatchSize`, each once
   * @returns the rows that are there, in any order; what is not there is left out, or `undefined`
   */
  read(keys: readonly JobKey[]): Promise<readonly (VersionedStatus<Version> | undefined)[]>;

  /**
   * Writes a row, in one atomic step, only if the job's version is still the expected one.
   *
   * @param expectedVersion what `read` gave; `undefined`: only if there is no row yet
   * @returns whether it was written; `false` where somebody else was first
   * @throws what your database throws: the write is then repeated; with `code: 'ERR_STORE_REFUSED'` where this
   *   row will never be stored, so that it is given up and does not hold up the others
   */
  compareAndSet(
    key: JobKey,
    expectedVersion: Version | undefined,
    row: StoredStatus,
  ): Promise<boolean>;
}

/** How many rows of one batch are written at once. */
const AT_ONCE = 50;

/**
 * How often a row is read again because somebody else was first. Each time one of those at it gets through, so
 * it takes as many writers of one job, all at the same moment, to run out of them.
 */
const MAX_ROUNDS = 50;

/**
 * Makes a whole store of two methods of any key-value database: what is read is merged by the law and written
 * only if nobody wrote meanwhile, else read again. So no pause between the two can lose what another writer
 * told, and no lock is held. Its rows come with their attempts.
 *
 * It has `write`, `get` and `attempts`; for `list` and the like add methods of your own to what it returns.
 *
 * @throws {InvalidArgumentError} where a method is missing
 */
export function compareAndSetStore<Version>(
  backing: CompareAndSetBacking<Version>,
): Required<Pick<StatusStore, 'write' | 'get' | 'attempts'>> {
  if (!hasMethods(backing, 'read', 'compareAndSet'))
    throw unlike('backing', 'an object with read and compareAndSet', kindOf(backing));

  /** What stands of some jobs, by their keys. */
  async function readAll(keys: readonly JobKey[]) {
    const found = new Map<string, { version: Version; row: StoredStatus }>();
    const asked = new Set(keys.map(keyOf));
    const answer: unknown = await backing.read(keys);
    if (!Array.isArray(answer)) throw unlike('read(…)', 'a promise of a list', kindOf(answer));
    for (const each of answer as (VersionedStatus<Version> | undefined)[]) {
      if (each === undefined || each === null) continue;
      const row = revive(each.row);
      if (!asked.has(keyOf(row)))
        throw unlike(
          'read(…)',
          'rows of the keys that were asked for: do two keys share a record?',
          `that of ${describe(row.queue)}, ${describe(row.jobId)}`,
        );
      if (each.version === undefined)
        throw unlike('version', 'what changes with each write', 'undefined');
      found.set(keyOf(row), { version: each.version, row });
    }
    return found;
  }

  async function readOne(key: JobKey): Promise<StoredStatus | undefined> {
    const stored = storedKey(key);
    return (await readAll([stored])).get(keyOf(stored))?.row;
  }

  /** @returns whether the row says all that was told; not if somebody else changed it meanwhile */
  async function merge(
    told: StatusUpdate,
    current: { version: Version; row: StoredStatus } | undefined,
  ): Promise<boolean> {
    const row = toStored(current === undefined ? told : mergeUpdates(current.row, told));
    // What is told again, or late, is not written again.
    if (current !== undefined && asText(row) === asText(current.row)) return true;
    const { queue, jobId } = row;
    const isSet: unknown = await backing.compareAndSet({ queue, jobId }, current?.version, row);
    if (typeof isSet !== 'boolean')
      throw unlike('compareAndSet(…)', 'a promise of true or false', describe(isSet));
    return isSet;
  }

  return {
    async write(updates, { signal } = {}) {
      let left = foldUpdates(structuredClone(updates));
      for (let round = 0; left.length > 0; round++) {
        signal?.throwIfAborted();
        if (round === MAX_ROUNDS) throw outrun(left);
        const current = await readAll(left.map(({ queue, jobId }) => ({ queue, jobId })));
        const isLeft = new Set<StatusUpdate>();
        await eachAtOnce(AT_ONCE, left, async (told) => {
          signal?.throwIfAborted();
          if (!(await merge(told, current.get(keyOf(told))))) isLeft.add(told);
        });
        left = left.filter((told) => isLeft.has(told));
      }
    },

    async get(key) {
      const row = await readOne(key);
      return row === undefined ? undefined : structuredClone(toStatus(row));
    },

    async attempts(key) {
      const row = await readOne(key);
      return row === undefined ? [] : structuredClone(toAttempts(row, row.earlierAttempts));
    },
  };
}

/** A row as text, the same whatever the order of its keys: databases have one of their own. */
function asText(row: StoredStatus): string {
  return JSON.stringify(row, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}

function toStored(told: StatusUpdate): StoredStatus {
  return { ...toStatus(told), earlierAttempts: told.earlierAttempts };
}

function outrun(left: readonly StatusUpdate[]): JobStatusError {
  const rows = left.length === 1 ? 'a row was' : `${left.length} rows were`;
  return new JobStatusError(
    'ERR_STORE_UNAVAILABLE',
    `In ${MAX_ROUNDS} tries ${rows} each time changed by others, or compareAndSet expects another version than read gives`,
    { updates: left },
  );
}

/** With its times as `Date`s; those that are computed from others are computed anew. */
function revive(row: SerializedStatus): StoredStatus {
  if (typeof row !== 'object' || row === null)
    throw unlike('row', 'one that compareAndSet was given, or JSON.parse of that', kindOf(row));
  const { delayedUntil } = { ...NONE, ...row };
  return toStored({
    ...NONE,
    ...row,
    createdAt: toTime('createdAt', row.createdAt),
    updatedAt: toTime('updatedAt', row.updatedAt),
    delayedUntil: delayedUntil === null ? null : toTime('delayedUntil', delayedUntil),
  });
}

/** What rows have not that an older version of this package wrote. */
const NONE = {
  delayedUntil: null,
  removedFrom: null,
  cancellation: null,
  parent: null,
  children: null,
  schedulerId: null,
  deduplicationId: null,
  altered: null,
  queuedOn: null,
  attemptEndedOn: null,
  attemptFailed: false,
  earlierAttempts: [],
} as const satisfies Partial<StoredStatus>;

function toTime(field: string, value: Date | string): Date {
  const time = new Date(value);
  if (Number.isNaN(time.getTime()))
    throw unlike(`row.${field}`, 'a time, or its ISO text', kindOf(value));
  return time;
}

/**
 * A row as `get` gives it, from what `compareAndSet` was given, or JSON made of that: for a `list` of your own.
 *
 * @throws {InvalidArgumentError} where it is no object: text has to be parsed first
 */
export function reviveStatus(row: SerializedStatus): JobStatus {
  return toStatus(revive(row));
}
