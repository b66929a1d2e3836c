import { quoteIdentifier, type TableNames } from '../names.ts';

/** The table, with the time law as a constraint, and two indexes. */
export function createTable({ table, qualify }: TableNames): string {
  const own = (ending: string) => quoteIdentifier(`${table}_${ending}`);
  return `create table ${qualify(table)} (
  queue text not null,
  job_id text not null,
  name text not null,
  status text not null,
  attempt integer not null,
  attempts_made integer not null,
  max_attempts integer not null,
  progress jsonb,
  result jsonb,
  error jsonb,
  data jsonb,
  metadata jsonb,
  worker text,
  delayed_until timestamptz,
  altered jsonb,
  created_at timestamptz not null,
  processed_on bigint,
  finished_on bigint,
  first_processed_on bigint,
  updated_at timestamptz not null,
  sequence bigint not null,
  started_at timestamptz,
  started_at_inferred boolean not null default false,
  attempt_started_at timestamptz,
  completed_at timestamptz,
  failed_at timestamptz,
  cancelled_at timestamptz,
  primary key (queue, job_id),
  constraint ${own('status_check')} check (status in (
    'waiting', 'delayed', 'prioritized', 'waiting-children', 'active', 'completed', 'failed', 'cancelled', 'removed'
  )),
  -- The time law: created < started <= attempt started < ended, each step 1 ms at least.
  constraint ${own('timestamps_check')} check (
    (started_at is null or started_at >= created_at + interval '1 millisecond')
    and (attempt_started_at is null) = (started_at is null)
    and (attempt_started_at is null or attempt_started_at >= started_at)
    and (completed_at is null or (attempt_started_at is not null and completed_at >= attempt_started_at + interval '1 millisecond'))
    and (failed_at is null or (attempt_started_at is not null and failed_at >= attempt_started_at + interval '1 millisecond'))
    and (cancelled_at is null or cancelled_at >= coalesce(attempt_started_at, created_at) + interval '1 millisecond')
  )
) with (fillfactor = 70);
create index ${own('created_idx')} on ${qualify(table)} (created_at, queue, job_id);
create index ${own('queue_idx')} on ${qualify(table)} (queue, created_at, job_id);`;
}
