import { describe, InvalidArgumentError } from '../errors.ts';
import type { StatusFilter, StatusQuery } from '../store.ts';
import type { JobState, JobStatus } from '../types.ts';

/** A place in the order of `list`: newest `createdAt` first, then by key, so that no two rows share one. */
export interface Place {
  readonly createdAt: Date;
  readonly queue: string;
  readonly jobId: string;
}

/** A filter whose `status`, where given, is a list. */
export type ResolvedFilter = Omit<StatusFilter, 'status'> & { readonly status?: readonly JobState[] };

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 1_000;
const FILTERS = ['queue', 'name', 'status', 'createdFrom', 'createdBefore', 'updatedBefore'];

/** Checks a query and reads its cursor. */
export function resolveQuery(query: StatusQuery = {}): {
  readonly filter: ResolvedFilter;
  readonly limit: number;
  readonly after: Place | undefined;
} {
  const { limit = DEFAULT_LIMIT, cursor, ...filter } = query;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw new InvalidArgumentError(`Expected \`limit\` to be a whole number from 1 to ${MAX_LIMIT}, got ${describe(limit)}`);
  }
  const after = cursor === undefined ? undefined : fromCursor(cursor);
  return { filter: resolveFilter(filter), limit, after };
}

/** Checks a filter. A misspelt condition must not silently match every row. */
function resolveFilter({ status, ...filter }: StatusFilter): ResolvedFilter {
  for (const [name, value] of Object.entries(filter)) {
    if (!FILTERS.includes(name)) {
      throw new InvalidArgumentError(`Unknown condition \`${name}\` ; known are ${FILTERS.join(', ')}`);
    }
    if (value instanceof Date && Number.isNaN(value.getTime())) {
      throw new InvalidArgumentError(`Expected \`${name}\` to be a valid Date, got Invalid Date`);
    }
    if (value !== undefined && value instanceof Date !== /From$|Before$/.test(name)) {
      const expected = value instanceof Date ? 'a string' : 'a Date';
      throw new InvalidArgumentError(`Expected \`${name}\` to be ${expected}, got ${describe(value)}`);
    }
  }
  if (status === undefined) return filter;
  return { ...filter, status: typeof status === 'string' ? [status] : status };
}

/** Checks the query of a `delete`: it is no page, and it never means every row by accident. */
export function resolveDeletion(filter: StatusFilter): ResolvedFilter {
  const resolved = resolveFilter(filter);
  if (Object.values(resolved).some((value) => value !== undefined)) return resolved;
  throw new InvalidArgumentError(`Expected delete to get at least one condition of ${FILTERS.join(', ')}, got none`);
}

/** The cursor of the page after this row. */
export function toCursor({ createdAt, queue, jobId }: Place): string {
  return Buffer.from(JSON.stringify([createdAt.getTime(), queue, jobId])).toString('base64url');
}

function fromCursor(cursor: string): Place {
  try {
    const place: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(place)) {
      const [ms, queue, jobId] = place as unknown[];
      const createdAt = new Date(ms as number);
      const isPlace = typeof queue === 'string' && typeof jobId === 'string';
      if (isPlace && !Number.isNaN(createdAt.getTime())) return { createdAt, queue, jobId };
    }
  } catch {
    // Not JSON: told below with everything else that is no cursor.
  }
  throw new InvalidArgumentError(`Expected \`cursor\` to be a nextCursor of an earlier page, got ${describe(cursor)}`);
}

/** One page from up to `limit` + 1 rows: the one too many says that there is a next. */
export function toPage(rows: JobStatus[], limit: number): { items: JobStatus[]; nextCursor: string | null } {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last !== undefined ? toCursor(last) : null };
}
