import { quoteIdentifier, type TableNames } from '../names.ts';

/**
 * What is read off the queue, flows and cancellations, and a table of attempts. The columns cost no time
 * however many rows there are. What is told of rows that are there already: until this version a job went
 * back to its queue only by failing.
 */
export function addAttempts({ table, attemptsTable, qualify }: TableNames): string {
  const attempts = qualify(attemptsTable);
  const own = (ending: string) => quoteIdentifier(`${attemptsTable}_${ending}`);
  return `alter table ${qualify(table)}
  add column removed_from text,
  add column cancellation jsonb,
  add column parent jsonb,
  add column children jsonb,
  add column scheduler_id text,
  add column deduplication_id text,
  add column attempt_ended_on bigint,
  add column attempt_failed boolean not null default false,
  add column queued_on bigint;
update ${qualify(table)} set attempt_failed = true,
  attempt_ended_on = coalesce(finished_on, pg_catalog.floor(extract(epoch from updated_at) * 1000)::bigint)
where status in ('waiting', 'delayed', 'prioritized') and attempt > 0;
-- Attempts before the one that a row tells of.
create table ${attempts} (
  queue text not null,
  job_id text not null,
  created_at timestamptz(3) not null,
  attempt integer not null,
  processed_on bigint not null,
  status text not null,
  removed_from text,
  cancellation jsonb,
  error jsonb,
  worker text,
  attempt_ended_on bigint,
  attempt_failed boolean not null,
  sequence bigint not null,
  primary key (queue, job_id, created_at, attempt, processed_on),
  constraint ${own('fkey')} foreign key (queue, job_id) references ${qualify(table)} on delete cascade
);
alter table ${attempts} enable row level security;
-- It gives nobody a right. Who has one to the attempts, and sees a row, has it to those of this row.
create policy "as to the row" on ${attempts} using (exists (
  select from ${qualify(table)} r where r.queue = ${quoteIdentifier(attemptsTable)}.queue and r.job_id = ${quoteIdentifier(attemptsTable)}.job_id
));`;
}
