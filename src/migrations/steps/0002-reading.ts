import { quoteIdentifier, type TableNames } from '../names.ts';

/**
 * Indexes for every way of reading. The two of the first step lose their tails, which served the order of
 * rows of one millisecond alone: Postgres sorts those few by itself, and each row costs 90 bytes less.
 */
export function indexForReading({ table, writeFunction, qualify }: TableNames): string {
  const own = (ending: string) => quoteIdentifier(`${table}_${ending}`);
  return `drop index ${qualify(`${table}_created_idx`)}, ${qualify(`${table}_queue_idx`)};
-- When the job ended, however it did; of a removed job, when that was found. Never before it was created.
alter table ${qualify(table)}
  add column finished_at timestamptz generated always as (
    coalesce(completed_at, failed_at, cancelled_at, case when status = 'removed' then greatest(updated_at, created_at) end)
  ) stored,
  -- Room on each page for the next version of all its rows: so a row that only makes progress touches no index.
  set (fillfactor = 50);
drop function if exists ${qualify(writeFunction)}(jsonb);
create index ${own('created_idx')} on ${qualify(table)} (created_at);
create index ${own('queue_idx')} on ${qualify(table)} (queue, created_at);
create index ${own('status_idx')} on ${qualify(table)} (status, finished_at);
create index ${own('metadata_idx')} on ${qualify(table)} using gin (metadata jsonb_path_ops) where metadata is not null;
-- So that a query is planned by what the table holds now, and not by what it held before.
analyze ${qualify(table)};`;
}
