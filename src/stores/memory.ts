import { keyOf } from '../key.ts';
import { mergeStatus } from '../merge.ts';
import type { StatusFilter, StatusPage, StatusQuery, StatusStore } from '../store.ts';
import type { JobKey, JobStatus, StatusUpdate } from '../types.ts';
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
  readonly #rows = new Map<string, JobStatus>();

  async write(updates: readonly StatusUpdate[]): Promise<void> {
    for (const update of updates) {
      const key = keyOf(update);
      this.#rows.set(key, mergeStatus(this.#rows.get(key), structuredClone(update)));
    }
  }

  async get(key: JobKey): Promise<JobStatus | undefined> {
    return structuredClone(this.#rows.get(keyOf(storedKey(key))));
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
    const rows = this.#matching(resolveDeletion(query));
    for (const row of rows) this.#rows.delete(keyOf(row));
    return rows.length;
  }

  #matching({
    queue,
    name,
    status,
    createdFrom,
    createdBefore,
    updatedBefore,
  }: ResolvedFilter): JobStatus[] {
    return [...this.#rows.values()].filter(
      (row) =>
        (queue === undefined || row.queue === queue) &&
        (name === undefined || row.name === name) &&
        (status === undefined || status.includes(row.status)) &&
        (createdFrom === undefined || row.createdAt >= createdFrom) &&
        (createdBefore === undefined || row.createdAt < createdBefore) &&
        (updatedBefore === undefined || row.updatedAt < updatedBefore),
    );
  }
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
