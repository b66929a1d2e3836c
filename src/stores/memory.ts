import { toAttempts } from '../attempts.ts';
import { keyOf } from '../key.ts';
import { mergeUpdates, toStatus } from '../merge.ts';
import type { PruneOptions, StatusFilter, StatusPage, StatusQuery, StatusStore } from '../store.ts';
import type { JobAttempt, JobKey, JobStatus, StatusUpdate } from '../types.ts';
import { matches } from './matching.ts';
import { resolvePrune } from './prune.ts';
import {
  resolveDeletion,
  resolveQuery,
  storedKey,
  toPage,
  type Place,
  type ResolvedFilter,
} from './query.ts';

/**
 * Keeps rows in this process: for tests, for one-process tools, and as the reference the other stores
 * are held against. It keeps every row until `delete`, and forgets all with the process.
 */
export class MemoryStatusStore implements StatusStore {
  /** Of each job, all that was written of it as one snapshot. It becomes a row when it is read. */
  readonly #jobs = new Map<string, StatusUpdate>();

  async write(updates: readonly StatusUpdate[]): Promise<void> {
    for (const update of updates) {
      const key = keyOf(update);
      const before = this.#jobs.get(key);
      const own = copyOf(update);
      this.#jobs.set(key, before === undefined ? own : mergeUpdates(before, own));
    }
  }

  async get(key: JobKey): Promise<JobStatus | undefined> {
    const told = this.#jobs.get(keyOf(storedKey(key)));
    return told && structuredClone(toStatus(told));
  }

  async attempts(key: JobKey): Promise<JobAttempt[]> {
    const told = this.#jobs.get(keyOf(storedKey(key)));
    return told === undefined ? [] : structuredClone(toAttempts(told, told.earlierAttempts));
  }

  async list(query?: StatusQuery): Promise<StatusPage> {
    const { filter, limit, after } = resolveQuery(query);
    const rows = this.#matching(filter)
      .toSorted(byPlace)
      .filter((row) => after === undefined || byPlace(after, row) < 0);
    return toPage(structuredClone(rows.slice(0, limit + 1)), limit);
  }

  async count(query?: StatusQuery): Promise<number> {
    return this.#matching(resolveQuery(query).filter).length;
  }

  async delete(query: StatusFilter): Promise<number> {
    return this.#delete(resolveDeletion(query));
  }

  async prune(options: PruneOptions): Promise<number> {
    const { olderThan, statuses, signal } = resolvePrune(options);
    signal?.throwIfAborted();
    return this.#delete({ finishedBefore: olderThan, status: statuses });
  }

  #delete(filter: ResolvedFilter): number {
    const rows = this.#matching(filter);
    for (const row of rows) this.#jobs.delete(keyOf(row));
    return rows.length;
  }

  #matching(filter: ResolvedFilter): JobStatus[] {
    return [...this.#named(filter)].map(toStatus).filter((row) => matches(row, filter));
  }

  /** The jobs that a filter names by their keys; all where it does not. */
  #named({ queue, jobId }: ResolvedFilter): Iterable<StatusUpdate> {
    if (queue === undefined || jobId === undefined) return this.#jobs.values();
    return [...new Set(jobId)].flatMap((id) => this.#jobs.get(keyOf({ queue, jobId: id })) ?? []);
  }
}

/** A copy of a snapshot in which nobody else can change anything. */
function copyOf(update: StatusUpdate): StatusUpdate {
  return {
    ...update,
    progress: copyOfValue(update.progress),
    result: copyOfValue(update.result),
    error: copyOfValue(update.error),
    data: copyOfValue(update.data),
    metadata: copyOfValue(update.metadata),
    delayedUntil: copyOfValue(update.delayedUntil),
    cancellation: copyOfValue(update.cancellation),
    parent: copyOfValue(update.parent),
    children: copyOfValue(update.children),
    altered: copyOfValue(update.altered),
    createdAt: new Date(update.createdAt.getTime()),
    updatedAt: new Date(update.updatedAt.getTime()),
    earlierAttempts: update.earlierAttempts.map(copyOfValue),
  };
}

/** Most values of most jobs are none, and a clone costs more than all that is done for a job besides. */
function copyOfValue<Value>(value: Value): Value {
  return typeof value === 'object' && value !== null ? structuredClone(value) : value;
}

/** Newest first; rows of one millisecond by their keys, downwards too. */
function byPlace(a: Place, b: Place): number {
  return (
    b.createdAt.getTime() - a.createdAt.getTime() ||
    compare(b.queue, a.queue) ||
    compare(b.jobId, a.jobId)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
