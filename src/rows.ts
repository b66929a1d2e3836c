import { askStore, type StoreLimits } from './ask-store.ts';
import type { StatusFilter, StatusStore } from './store.ts';
import type { JobState, JobStatus } from './types.ts';

/** How many rows are asked for at once: what every store gives in one page. */
export const MAX_ROWS = 500;

/** Statuses from which a job goes on. */
export const UNFINISHED = [
  'waiting',
  'delayed',
  'prioritized',
  'waiting-children',
  'active',
] as const satisfies readonly JobState[];

/**
 * The rows of some jobs of a queue, by their ids; those that are not there are left out. By `list` where the
 * store has it; else one by one.
 *
 * @param jobIds as rows have them
 * @param limits for each read
 * @throws {JobStatusError} with a code of a store's, whatever the store rejected with
 */
export async function readRows(
  store: StatusStore,
  queue: string,
  jobIds: readonly string[],
  limits: StoreLimits,
): Promise<ReadonlyMap<string, JobStatus>> {
  const rows = new Map<string, JobStatus>();
  for (const jobId of pieces(jobIds)) {
    const found = await askStore(limits, (signal) => readPiece(store, queue, jobId, signal));
    for (const row of found) if (row !== undefined) rows.set(row.jobId, row);
  }
  return rows;
}

/** The rows that match, a page at a time; none of a store without `list`. Else as `readRows`. */
export async function* readPages(
  store: StatusStore,
  query: StatusFilter,
  limits: StoreLimits,
): AsyncGenerator<readonly JobStatus[]> {
  let cursor: string | undefined;
  do {
    const page = await askStore(limits, async (signal) =>
      store.list?.({ ...query, limit: MAX_ROWS, cursor }, { signal }),
    );
    if (page !== undefined) yield page.items;
    cursor = page?.nextCursor ?? undefined;
  } while (cursor !== undefined);
}

async function readPiece(
  store: StatusStore,
  queue: string,
  jobId: readonly string[],
  signal: AbortSignal,
): Promise<readonly (JobStatus | undefined)[]> {
  if (store.list !== undefined)
    return (await store.list({ queue, jobId, limit: MAX_ROWS }, { signal })).items;
  return Promise.all(jobId.map((each) => store.get({ queue, jobId: each }, { signal })));
}

/** A list cut into pieces of `MAX_ROWS`. */
export function* pieces<T>(list: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < list.length; at += MAX_ROWS) yield list.slice(at, at + MAX_ROWS);
}
