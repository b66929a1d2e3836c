import { describe } from '../errors.ts';
import { toStorable, toText } from '../storable.ts';
import type { StatusFilter, StatusQuery } from '../store.ts';
import {
  FINISHED_STATES,
  JOB_STATES,
  type JobKey,
  type JobState,
  type JobStatus,
} from '../types.ts';
import { resolve, unlike, wholeNumber, type Rule, type Rules } from '../validate.ts';
import { isJsonRecord } from './containment.ts';

/** A place in the order of `list`: newest `createdAt` first, then by key, so that no two rows share one. */
export interface Place {
  readonly createdAt: Date;
  readonly queue: string;
  readonly jobId: string;
}

type JsonRecord = NonNullable<StatusFilter['metadata']>;

/** A filter whose `status` and `jobId`, where given, are lists. */
export type ResolvedFilter = Omit<StatusFilter, 'status' | 'jobId'> & {
  readonly status?: readonly JobState[];
  readonly jobId?: readonly string[];
};

const TEXT: Rule = { expected: 'a string', holds: (value) => typeof value === 'string' };
export const TIME: Rule = {
  expected: 'a Date of the years 1970 to 9999',
  holds: (value) => value instanceof Date && value >= FIRST && value <= LAST,
};
const [FIRST, LAST] = [new Date(0), new Date('9999-12-31T23:59:59.999Z')];

/** How many jobs a filter names at most. */
export const MAX_JOB_IDS = 1_000;

const STATUS: Rule = {
  expected: `one of ${JOB_STATES.join(', ')}, or a list of them`,
  holds: (value) => [value].flat().every((each) => JOB_STATES.includes(each as JobState)),
};

const JOB_ID: Rule = {
  expected: `a string, or a list of up to ${MAX_JOB_IDS} of them`,
  holds: (value) =>
    [value].flat().length <= MAX_JOB_IDS && [value].flat().every((each) => TEXT.holds(each)),
};

const FILTER_RULES: Rules = {
  queue: TEXT,
  jobId: JOB_ID,
  name: TEXT,
  status: STATUS,
  createdFrom: TIME,
  createdBefore: TIME,
  finishedFrom: TIME,
  finishedBefore: TIME,
  updatedBefore: TIME,
  metadata: {
    expected: 'an object of JSON values, with at least one key',
    holds: (value) => isJsonRecord(value) && Object.keys(value).length > 0,
  },
};

const QUERY_RULES: Rules = { ...FILTER_RULES, limit: wholeNumber(50, 1, 1_000), cursor: TEXT };

/** A query, checked and read. */
export interface ResolvedQuery {
  readonly filter: ResolvedFilter;
  readonly limit: number;
  readonly after: Place | undefined;
  /** No row of the page was created after this: there an index by `createdAt` begins to read. */
  readonly newest: Date | undefined;
}

/** Checks a query and reads its cursor. A misspelt condition must not silently match every row. */
export function resolveQuery(query?: StatusQuery): ResolvedQuery {
  const { limit, cursor, ...filter } = resolve('query', query, QUERY_RULES);
  const after = cursor === undefined ? undefined : fromCursor(cursor as string);
  return {
    filter: toStored(filter),
    limit: limit as number,
    after,
    // Nothing ends before it was created.
    newest: after?.createdAt ?? (filter['finishedBefore'] as Date | undefined),
  };
}

/** Checks the query of a `delete`: it is no page, and it never means every row by accident. */
export function resolveDeletion(query: StatusFilter): ResolvedFilter {
  const filter = resolve('query', query, FILTER_RULES);
  if (Object.keys(filter).length > 0) return toStored(filter);
  throw unlike(
    'query',
    `an object with at least one of ${Object.keys(FILTER_RULES).join(', ')}`,
    describe(query),
  );
}

/** A filter as the stores take it: names as rows have them, and a list of statuses. */
function toStored({ status, queue, jobId, name, metadata, ...rest }: StatusFilter): ResolvedFilter {
  const isOfFinished = rest.finishedFrom !== undefined || rest.finishedBefore !== undefined;
  // An end implies it, and the index that has the ends begins with the status.
  const statuses = status ?? (isOfFinished ? FINISHED_STATES : undefined);
  return {
    ...rest,
    ...(queue !== undefined && { queue: toText(queue) }),
    ...(jobId !== undefined && { jobId: [jobId].flat().map(toText) }),
    ...(name !== undefined && { name: toText(name) }),
    ...(metadata !== undefined && { metadata: toStorable(metadata, Infinity).value as JsonRecord }),
    ...(statuses !== undefined && { status: [statuses].flat() }),
  };
}

/** A key as rows have it. */
export function storedKey(key: JobKey): JobKey {
  const { queue, jobId } = (key ?? {}) as Partial<JobKey>;
  if (typeof queue !== 'string') throw unlike('key.queue', 'a string', describe(queue));
  if (typeof jobId !== 'string') throw unlike('key.jobId', 'a string', describe(jobId));
  return { queue: toText(queue), jobId: toText(jobId) };
}

/** The cursor of the page after this row. */
export function toCursor({ createdAt, queue, jobId }: Place): string {
  return JSON.stringify([createdAt.getTime(), queue, jobId]);
}

function fromCursor(cursor: string): Place {
  try {
    const [ms, queue, jobId] = JSON.parse(cursor) as [number, string, string];
    const createdAt = new Date(ms);
    const isKey = [queue, jobId].every((text) => typeof text === 'string' && text === toText(text));
    if (typeof ms === 'number' && TIME.holds(createdAt) && isKey)
      return { createdAt, queue, jobId };
  } catch {
    // Neither JSON nor a list: told below with everything else that is no cursor.
  }
  throw unlike('query.cursor', 'a nextCursor of an earlier page', describe(cursor));
}

/** One page from up to `limit` + 1 rows: the one too many says that there is a next. */
export function toPage(
  rows: JobStatus[],
  limit: number,
): { items: JobStatus[]; nextCursor: string | null } {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last !== undefined ? toCursor(last) : null };
}
