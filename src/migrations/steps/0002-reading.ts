import { quoteIdentifier, type TableNames } from '../names.ts';

/** The times of the first step. */
const TIMES = [
  'delayed_until',
  'created_at',
  'updated_at',
  'started_at',
  'attempt_started_at',
  'completed_at',
  'failed_at',
  'cancelled_at',
];

/**
 * Indexes for every way of reading, and times that can't be finer than what snapshots tell. The two indexes
 * of the first step lose their tails, which served the order of rows of one millisecond alone: Postgres
 * sorts those few by itself, and each row costs 90 bytes less.
 */
export function indexForReading({ table, qualify }: TableNames): string {
  const own = (ending: string) => quoteIdentifier(`${table}_${ending}`);
  return `drop index if exists ${qualify(`${table}_created_idx`)}, ${qualify(`${table}_queue_idx`)};
alter table ${qualify(table)}
  -- To the millisecond: a row written by hand with microseconds would never equal the job's own snapshots.
${TIMES.map((time) => `  alter column ${time} type timestamptz(3),`).join('\n')}
  -- Room on each page for the next version of all its rows: so a row that only makes progress touches no index.
  set (fillfactor = 50),
  -- When the job ended, however it did; of a removed job, when that was found. Never before it was created.
  add column finished_at timestamptz(3) generated always as (
    coalesce(completed_at, failed_at, cancelled_at, case when status = 'removed' then greatest(updated_at, created_at) end)
  ) stored;
create index ${own('created_idx')} on ${qualify(table)} (created_at);
create index ${own('queue_idx')} on ${qualify(table)} (queue, created_at);
create index ${own('status_idx')} on ${qualify(table)} (status, finished_at, queue);
create index ${own('metadata_idx')} on ${qualify(table)} using gin (metadata jsonb_path_ops) where metadata is not null;
-- So that a query is planned by what the table holds now, and not by what it held before.
analyze ${qualify(table)};`;
}
