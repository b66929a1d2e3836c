-- bullmq-job-status, schema version 1: run it in one transaction, again or by many at once.
select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('bullmq-job-status'));

-- Asked for first, since `create schema` wants its right even where there is nothing to create.
do $sql$
begin
  if pg_catalog.to_regnamespace(E'"public"') is null then
    create schema "public";
  end if;
end
$sql$;

create table if not exists "public"."job_status" (
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
  constraint "job_status_status_check" check (status in (E'waiting', E'delayed', E'prioritized', E'waiting-children', E'active', E'completed', E'failed', E'cancelled', E'removed')),
  -- The time law: created < started <= attempt started < ended, each step 1 ms at least.
  constraint "job_status_timestamps_check" check (
    (started_at is null or started_at >= created_at + interval '1 millisecond')
    and (attempt_started_at is null) = (started_at is null)
    and (attempt_started_at is null or attempt_started_at >= started_at)
    and (completed_at is null or (attempt_started_at is not null and completed_at >= attempt_started_at + interval '1 millisecond'))
    and (failed_at is null or (attempt_started_at is not null and failed_at >= attempt_started_at + interval '1 millisecond'))
    and (cancelled_at is null or cancelled_at >= coalesce(attempt_started_at, created_at) + interval '1 millisecond')
  )
  -- Room on each page for the next version of its rows, so that most updates touch no index.
) with (fillfactor = 70);

-- Merges a batch of snapshots, each job at most once, by the law that src/merge.ts states: in one statement,
-- atomic for each row. Rows are taken in the order of their keys, so that two batches can't deadlock.
create or replace function "public"."job_status_write"(updates jsonb) returns integer
language plpgsql security invoker set search_path = '' as $sql$
#variable_conflict use_column
declare
  merged integer;
begin
  insert into "public"."job_status" as r (queue, job_id, name, status, attempt, attempts_made, max_attempts, progress, result, error, data, metadata, worker, delayed_until, altered, created_at, processed_on, finished_on, first_processed_on, updated_at, sequence, started_at, started_at_inferred, attempt_started_at, completed_at, failed_at, cancelled_at)
  select u.queue, u.job_id, u.name, u.status, u.attempt, u.attempts_made, u.max_attempts, u.progress, u.result, u.error, u.data, u.metadata, u.worker, u.delayed_until, u.altered, u.created_at, u.processed_on, u.finished_on, u.first_processed_on, u.updated_at, u.sequence, s.started_at, s.started_at_inferred, a.attempt_started_at, t.completed_at, t.failed_at, t.cancelled_at
  from pg_catalog.jsonb_to_recordset(updates) as u(queue text, job_id text, name text, status text, attempt integer, attempts_made integer, max_attempts integer, progress jsonb, result jsonb, error jsonb, data jsonb, metadata jsonb, worker text, delayed_until timestamptz, altered jsonb, created_at timestamptz, processed_on bigint, finished_on bigint, first_processed_on bigint, updated_at timestamptz, sequence bigint),
    lateral (
      select case when (u.attempt > 0 or u.first_processed_on is not null or u.status in ('completed', 'failed')) then greatest(u.created_at + interval '1 millisecond', pg_catalog.to_timestamp(u.first_processed_on / 1000) + (u.first_processed_on % 1000) * interval '1 millisecond') end as started_at,
        (u.attempt > 0 or u.first_processed_on is not null or u.status in ('completed', 'failed')) and u.first_processed_on is null as started_at_inferred
    ) s, lateral (
      select case when s.started_at is not null then greatest(s.started_at, pg_catalog.to_timestamp(u.processed_on / 1000) + (u.processed_on % 1000) * interval '1 millisecond') end as attempt_started_at
    ) a, lateral (
      select greatest(coalesce(a.attempt_started_at, u.created_at) + interval '1 millisecond', pg_catalog.to_timestamp(u.finished_on / 1000) + (u.finished_on % 1000) * interval '1 millisecond') as ended_at
    ) e, lateral (
      select case u.status when 'completed' then e.ended_at end as completed_at,
        case u.status when 'failed' then e.ended_at end as failed_at,
        case u.status when 'cancelled' then e.ended_at end as cancelled_at
    ) t
  order by u.queue collate pg_catalog."C", u.job_id collate pg_catalog."C"
  on conflict (queue, job_id) do update set
    (name, status, attempt, attempts_made, max_attempts, progress, result, error, data, metadata, worker, delayed_until, altered, created_at, processed_on, finished_on, updated_at, sequence, first_processed_on, started_at, started_at_inferred, attempt_started_at, completed_at, failed_at, cancelled_at) = (
      select f.name, f.status, f.attempt, f.attempts_made, f.max_attempts, f.progress, f.result, f.error, f.data, f.metadata, f.worker, f.delayed_until, f.altered, f.created_at, f.processed_on, f.finished_on, f.updated_at, f.sequence, k.first_processed_on, s.started_at, s.started_at_inferred, a.attempt_started_at, t.completed_at, t.failed_at, t.cancelled_at
      from (
        select excluded.name, excluded.status, excluded.attempt, excluded.attempts_made, excluded.max_attempts, excluded.progress, excluded.result, excluded.error, excluded.data, excluded.metadata, excluded.worker, excluded.delayed_until, excluded.altered, excluded.created_at, excluded.processed_on, excluded.finished_on, excluded.updated_at, excluded.sequence, excluded.first_processed_on where case
      when abs(excluded.processed_on - r.processed_on) > 5000 then excluded.processed_on > r.processed_on
      else (excluded.created_at, excluded.attempt, case when excluded.status in ('active') then 0 when excluded.status in ('completed', 'failed', 'cancelled', 'removed') then 1 else 2 end, excluded.sequence) > (r.created_at, r.attempt, case when r.status in ('active') then 0 when r.status in ('completed', 'failed', 'cancelled', 'removed') then 1 else 2 end, r.sequence)
    end
        union all
        select r.name, r.status, r.attempt, r.attempts_made, r.max_attempts, r.progress, r.result, r.error, r.data, r.metadata, r.worker, r.delayed_until, r.altered, r.created_at, r.processed_on, r.finished_on, r.updated_at, r.sequence, r.first_processed_on where not case
      when abs(excluded.processed_on - r.processed_on) > 5000 then excluded.processed_on > r.processed_on
      else (excluded.created_at, excluded.attempt, case when excluded.status in ('active') then 0 when excluded.status in ('completed', 'failed', 'cancelled', 'removed') then 1 else 2 end, excluded.sequence) > (r.created_at, r.attempt, case when r.status in ('active') then 0 when r.status in ('completed', 'failed', 'cancelled', 'removed') then 1 else 2 end, r.sequence)
    end
      ) f, lateral (
        -- Of the older snapshot an earlier start is kept, where it is of the same job.
        select case when excluded.created_at = r.created_at
          then least(excluded.first_processed_on, r.first_processed_on)
          else f.first_processed_on end as first_processed_on
      ) k, lateral (
      select case when (f.attempt > 0 or k.first_processed_on is not null or f.status in ('completed', 'failed')) then greatest(f.created_at + interval '1 millisecond', pg_catalog.to_timestamp(k.first_processed_on / 1000) + (k.first_processed_on % 1000) * interval '1 millisecond') end as started_at,
        (f.attempt > 0 or k.first_processed_on is not null or f.status in ('completed', 'failed')) and k.first_processed_on is null as started_at_inferred
    ) s, lateral (
      select case when s.started_at is not null then greatest(s.started_at, pg_catalog.to_timestamp(f.processed_on / 1000) + (f.processed_on % 1000) * interval '1 millisecond') end as attempt_started_at
    ) a, lateral (
      select greatest(coalesce(a.attempt_started_at, f.created_at) + interval '1 millisecond', pg_catalog.to_timestamp(f.finished_on / 1000) + (f.finished_on % 1000) * interval '1 millisecond') as ended_at
    ) e, lateral (
      select case f.status when 'completed' then e.ended_at end as completed_at,
        case f.status when 'failed' then e.ended_at end as failed_at,
        case f.status when 'cancelled' then e.ended_at end as cancelled_at
    ) t
    )
  -- An older snapshot that knows no earlier start leaves the row untouched.
  where case
      when abs(excluded.processed_on - r.processed_on) > 5000 then excluded.processed_on > r.processed_on
      else (excluded.created_at, excluded.attempt, case when excluded.status in ('active') then 0 when excluded.status in ('completed', 'failed', 'cancelled', 'removed') then 1 else 2 end, excluded.sequence) > (r.created_at, r.attempt, case when r.status in ('active') then 0 when r.status in ('completed', 'failed', 'cancelled', 'removed') then 1 else 2 end, r.sequence)
    end
    or (excluded.created_at = r.created_at
      and excluded.first_processed_on < coalesce(r.first_processed_on, excluded.first_processed_on + 1));
  get diagnostics merged = row_count;
  return merged;
end
$sql$;

-- What takes a lock, or away a right, is done only the first time: queries go on while this is run
-- again, and what you have granted stays.
do $sql$
declare
  version constant text := E'bullmq-job-status, schema version 1';
  is_new_table constant boolean := pg_catalog.obj_description(E'"public"."job_status"'::pg_catalog.regclass, 'pg_class') is distinct from version;
  is_new_function constant boolean := pg_catalog.obj_description(E'"public"."job_status_write"(jsonb)'::pg_catalog.regprocedure, 'pg_proc') is distinct from version;
  role text;
begin
  -- Neither index holds a column that changes, so an update can stay within its page.
  if pg_catalog.to_regclass(E'"public"."job_status_created_idx"') is null then
    create index "job_status_created_idx" on "public"."job_status" (created_at, queue, job_id);
  end if;
  if pg_catalog.to_regclass(E'"public"."job_status_queue_idx"') is null then
    create index "job_status_queue_idx" on "public"."job_status" (queue, created_at, job_id);
  end if;

  -- Nobody but the owner and the server's own role: rows are for others by rights and policies of your own.
  if is_new_table then
    alter table "public"."job_status" enable row level security;
    revoke all on table "public"."job_status" from public;
    comment on table "public"."job_status" is E'bullmq-job-status, schema version 1';
  end if;
  if is_new_function then
    revoke all on function "public"."job_status_write"(jsonb) from public;
    comment on function "public"."job_status_write"(jsonb) is E'bullmq-job-status, schema version 1';
  end if;
  for role in select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated', 'service_role') loop
    -- By name, for Supabase grants new tables and functions to each of the three.
    if is_new_table then
      execute pg_catalog.format('revoke all on table %s from %I', E'"public"."job_status"', role);
    end if;
    if is_new_function then
      execute pg_catalog.format('revoke all on function %s(jsonb) from %I', E'"public"."job_status_write"', role);
    end if;
    if role = 'service_role' then
      execute pg_catalog.format('grant usage on schema %s to %I', E'"public"', role);
      execute pg_catalog.format('grant select, insert, update, delete on table %s to %I', E'"public"."job_status"', role);
      execute pg_catalog.format('grant execute on function %s(jsonb) to %I', E'"public"."job_status_write"', role);
    end if;
  end loop;
end
$sql$;

-- Tells PostgREST, which Supabase's API is, to look at the schema again.
notify pgrst, 'reload schema';
