import { isDeepStrictEqual } from 'node:util';
import type { JobStatus } from 'bullmq-job-status';
import type { SupabaseStatusStore } from 'bullmq-job-status/supabase';
import { KINDS, type JobData } from './jobs.ts';

/** A job as it was added. */
export interface AddedJob {
  readonly id?: string | undefined;
  readonly name: string;
  readonly data: JobData;
}

export interface Verdict {
  readonly jobs: number;
  /** What is wrong, a line for each job or row. */
  readonly faults: readonly string[];
  readonly breakTimeLaw: number;
}

/** Every row, page by page. */
export async function readAll(store: SupabaseStatusStore): Promise<JobStatus[]> {
  const rows: JobStatus[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list({ limit: 100, cursor });
    rows.push(...page.items);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return rows;
}

/** Holds every row against what its job must have become. */
export function verify(added: readonly AddedJob[], rows: readonly JobStatus[]): Verdict {
  const rowOf = new Map(rows.map((row) => [keyOf(row.name, row.jobId), row]));
  const faults = added.flatMap((job) => faultOf(job, rowOf.get(keyOf(job.name, job.id))) ?? []);
  if (rows.length > added.length) faults.push(`${rows.length - added.length} rows too many`);
  return {
    jobs: added.length,
    faults,
    breakTimeLaw: rows.filter((row) => !obeysTimeLaw(row)).length,
  };
}

/** An id is unique in its queue only; that two kinds share no name tells the queues apart. */
function keyOf(name: string, id: string | undefined): string {
  return `${name} ${id}`;
}

function faultOf(job: AddedJob, row: JobStatus | undefined): string | undefined {
  if (row === undefined) return `${job.name} ${job.id} has no row`;
  const { organizationId } = job.data;
  const expected = { ...KINDS[job.name]?.becomes, metadata: { organizationId } };
  const { status, attemptsMade, progress, result, error, metadata } = row;
  const got = { status, attemptsMade, progress, result, error: error?.message ?? null, metadata };
  if (isDeepStrictEqual(got, expected)) return undefined;
  return `${job.name} ${job.id} is ${JSON.stringify(got)}, not ${JSON.stringify(expected)}`;
}

/**
 * createdAt < startedAt <= attemptStartedAt < completedAt or failedAt. Written once more here, so
 * that the demo takes nobody's word for it: not the package's, not that of the table's constraint.
 */
function obeysTimeLaw(row: JobStatus): boolean {
  const { createdAt, startedAt, attemptStartedAt } = row;
  const endedAt = row.status === 'completed' ? row.completedAt : row.failedAt;
  if (startedAt === null || attemptStartedAt === null || endedAt === null) return false;
  return createdAt < startedAt && startedAt <= attemptStartedAt && attemptStartedAt < endedAt;
}
