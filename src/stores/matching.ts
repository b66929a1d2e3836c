import type { StatusQuery } from '../store.ts';
import type { JobStatus } from '../types.ts';
import { contains } from './containment.ts';
import { resolveQuery, type ResolvedFilter } from './query.ts';

/**
 * Checks a query, and gives a test of whether a row matches its conditions: for stores whose database can't
 * look for them itself.
 *
 * @throws {InvalidArgumentError} where a condition is not what it must be, or is none: misspelt, it would match
 *   every row
 */
export function statusMatcher(query?: StatusQuery): (row: JobStatus) => boolean {
  // A cursor is the store's own text.
  const { filter } = resolveQuery(query && { ...query, cursor: undefined });
  return (row) => matches(row, filter);
}

export function matches(row: JobStatus, filter: ResolvedFilter): boolean {
  const { queue, jobId, name, status, metadata } = filter;
  return (
    (queue === undefined || row.queue === queue) &&
    (jobId === undefined || jobId.includes(row.jobId)) &&
    (name === undefined || row.name === name) &&
    (status === undefined || status.includes(row.status)) &&
    (metadata === undefined || contains(row.metadata, metadata)) &&
    isWithin(row.createdAt, filter.createdFrom, filter.createdBefore) &&
    isWithin(finishedAt(row), filter.finishedFrom, filter.finishedBefore) &&
    isWithin(row.updatedAt, undefined, filter.updatedBefore)
  );
}

/** Whether a time lies from the one on and before the other; what never came lies in no range. */
function isWithin(time: Date | null, from: Date | undefined, before: Date | undefined): boolean {
  if (from === undefined && before === undefined) return true;
  return (
    time !== null && (from === undefined || time >= from) && (before === undefined || time < before)
  );
}

/** When the job ended, however it did; of a removed job, when that was found. Never before it was created. */
export function finishedAt(row: JobStatus): Date | null {
  const { createdAt, updatedAt, status } = row;
  const removedAt = updatedAt > createdAt ? updatedAt : createdAt;
  const endedAt = row.completedAt ?? row.failedAt ?? row.cancelledAt;
  return endedAt ?? (status === 'removed' ? removedAt : null);
}
