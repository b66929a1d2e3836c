-- bullmq-job-status, schema version 2. One statement: all of it happens, or nothing.
do $migration$
declare
  installed integer;
  has_changed boolean;
  is_new boolean;
  role text;
begin
  -- Any number of processes may run this at once: each waits for the one before it.
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('bullmq-job-status'));

  if pg_catalog.current_setting('transaction_isolation') <> 'read committed' then
    raise feature_not_supported using
      message = 'this must run in a read committed transaction, to see what others did while it waited for them',
      hint = 'Begin with: begin isolation level read committed. Or set default_transaction_isolation for its role or connection.';
  end if;
  installed := case when pg_catalog.to_regclass(E'"public"."job_status"') is null then 0 else greatest(
    substring(pg_catalog.obj_description(pg_catalog.to_regclass(E'"public"."job_status"'), 'pg_class') from 'bullmq-job-status, schema version ([0-9]{1,9})')::integer, substring(pg_catalog.obj_description(pg_catalog.to_regprocedure(E'"public"."job_status_write"(jsonb)'), 'pg_proc') from 'bullmq-job-status, schema version ([0-9]{1,9})')::integer, substring(pg_catalog.obj_description(pg_catalog.to_regprocedure(E'"public"."job_status_write"(jsonb, integer)'), 'pg_proc') from 'bullmq-job-status, schema version ([0-9]{1,9})')::integer
  ) end;
  if installed is null then
    raise duplicate_table using
      message = E'"public"."job_status" is there already, and is not bullmq-job-status''s',
      hint = 'Choose another name for the table, or see https://github.com/bullmq-job-status/bullmq-job-status/blob/main/docs/existing-table.md';
  elsif installed > 2 then
    raise notice '% is at schema version %, newer than 2: left as it is', E'"public"."job_status"', installed;
    return;
  end if;

  has_changed := installed < 2;

  -- Asked for first, since `create schema` wants its right even where there is nothing to create.
  if pg_catalog.to_regnamespace(E'"public"') is null then
    create schema "public";
  end if;

  if installed < 1 then
create table "public"."job_status" (
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
  constraint "job_status_status_check" check (status in (
    'waiting', 'delayed', 'prioritized', 'waiting-children', 'active', 'completed', 'failed', 'cancelled', 'removed'
  )),
  -- The time law: created < started <= attempt started < ended, each step 1 ms at least.
  constraint "job_status_timestamps_check" check (
    (started_at is null or started_at >= created_at + interval '1 millisecond')
    and (attempt_started_at is null) = (started_at is null)
    and (attempt_started_at is null or attempt_started_at >= started_at)
    and (completed_at is null or (attempt_started_at is not null and completed_at >= attempt_started_at + interval '1 millisecond'))
    and (failed_at is null or (attempt_started_at is not null and failed_at >= attempt_started_at + interval '1 millisecond'))
    and (cancelled_at is null or cancelled_at >= coalesce(attempt_started_at, created_at) + interval '1 millisecond')
  )
) with (fillfactor = 70);
create index "job_status_created_idx" on "public"."job_status" (created_at, queue, job_id);
create index "job_status_queue_idx" on "public"."job_status" (queue, created_at, job_id);
    alter table "public"."job_status" enable row level security;
    revoke all on table "public"."job_status" from public;
    for role in select rolname from pg_catalog.pg_roles where rolname in (E'anon', E'authenticated', E'service_role') loop
      execute pg_catalog.format('revoke all on table %s from %I', E'"public"."job_status"', role);
    end loop;
    comment on table "public"."job_status" is 'bullmq-job-status, schema version 1';
  end if;

  if installed < 2 then
drop index if exists "public"."job_status_created_idx", "public"."job_status_queue_idx";
alter table "public"."job_status"
  -- To the millisecond: a row written by hand with microseconds would never equal the job's own snapshots.
  alter column delayed_until type timestamptz(3),
  alter column created_at type timestamptz(3),
  alter column updated_at type timestamptz(3),
  alter column started_at type timestamptz(3),
  alter column attempt_started_at type timestamptz(3),
  alter column completed_at type timestamptz(3),
  alter column failed_at type timestamptz(3),
  alter column cancelled_at type timestamptz(3),
  -- Room on each page for the next version of all its rows: so a row that only makes progress touches no index.
  set (fillfactor = 50),
  -- When the job ended, however it did; of a removed job, when that was found. Never before it was created.
  add column finished_at timestamptz(3) generated always as (
    coalesce(completed_at, failed_at, cancelled_at, case when status = 'removed' then greatest(updated_at, created_at) end)
  ) stored;
create index "job_status_created_idx" on "public"."job_status" (created_at);
create index "job_status_queue_idx" on "public"."job_status" (queue, created_at);
create index "job_status_status_idx" on "public"."job_status" (status, finished_at, queue);
create index "job_status_metadata_idx" on "public"."job_status" using gin (metadata jsonb_path_ops) where metadata is not null;
-- So that a query is planned by what the table holds now, and not by what it held before.
analyze "public"."job_status";
    comment on table "public"."job_status" is 'bullmq-job-status, schema version 2';
  end if;

  is_new := pg_catalog.to_regprocedure(E'"public"."job_status_write"(jsonb, integer)') is null;
  create or replace function "public"."job_status_write"(updates jsonb, schema_version integer) returns integer
  language plpgsql security invoker set search_path = pg_catalog, pg_temp as $function$
-- Merges a batch of snapshots, each job at most once, by the law that src/merge.ts states: in one statement,
-- atomic for each row. Rows are taken in the order of their keys, so that two batches can't deadlock.
#variable_conflict use_column
declare
  merged integer;
begin
  -- A newer package may say more of a job than this function can keep.
  if schema_version > 2 then
    raise undefined_function using message = pg_catalog.format(
      '%s is at schema version 2, and version %s is needed', E'"public"."job_status"', schema_version);
  end if;
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
$function$;
  comment on function "public"."job_status_write"(jsonb, integer) is 'bullmq-job-status, schema version 2';
  if is_new then
    has_changed := true;
    revoke all on function "public"."job_status_write"(jsonb, integer) from public;
    for role in select rolname from pg_catalog.pg_roles where rolname in (E'anon', E'authenticated', E'service_role') loop
      execute pg_catalog.format('revoke all on function %s from %I', E'"public"."job_status_write"(jsonb, integer)', role);
    end loop;
  end if;

  is_new := pg_catalog.to_regprocedure(E'"public"."job_status_write"(jsonb)') is null;
  create or replace function "public"."job_status_write"(updates jsonb) returns integer
  language plpgsql security invoker set search_path = pg_catalog, pg_temp as $function$
begin
  return "public"."job_status_write"(updates, 1);
end
$function$;
  comment on function "public"."job_status_write"(jsonb) is 'bullmq-job-status, schema version 2';
  if is_new then
    has_changed := true;
    revoke all on function "public"."job_status_write"(jsonb) from public;
    for role in select rolname from pg_catalog.pg_roles where rolname in (E'anon', E'authenticated', E'service_role') loop
      execute pg_catalog.format('revoke all on function %s from %I', E'"public"."job_status_write"(jsonb)', role);
    end loop;
  end if;

  is_new := pg_catalog.to_regprocedure(E'"public"."job_status_prune"(timestamptz, text[], integer)') is null;
  create or replace function "public"."job_status_prune"(older_than timestamptz, statuses text[], at_most integer) returns integer
  language plpgsql security invoker set search_path = pg_catalog, pg_temp as $function$
-- Deletes up to so many rows of jobs that ended before a time, of each status the oldest first. Rows that a
-- write holds are passed over, to be found the next time: so this waits for nobody, and can't deadlock.
declare
  each_status text;
  deleted integer;
  pruned integer := 0;
begin
  foreach each_status in array statuses loop
    with old as materialized (
      select o.queue, o.job_id from "public"."job_status" o
      where o.status = each_status and o.finished_at < older_than
      order by o.finished_at limit greatest(at_most - pruned, 0)
      for update skip locked
    )
    delete from "public"."job_status" t using old where t.queue = old.queue and t.job_id = old.job_id;
    get diagnostics deleted = row_count;
    pruned := pruned + deleted;
  end loop;
  return pruned;
end
$function$;
  comment on function "public"."job_status_prune"(timestamptz, text[], integer) is 'bullmq-job-status, schema version 2';
  if is_new then
    has_changed := true;
    revoke all on function "public"."job_status_prune"(timestamptz, text[], integer) from public;
    for role in select rolname from pg_catalog.pg_roles where rolname in (E'anon', E'authenticated', E'service_role') loop
      execute pg_catalog.format('revoke all on function %s from %I', E'"public"."job_status_prune"(timestamptz, text[], integer)', role);
    end loop;
  end if;

  for role in
    select r.rolname from pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a, pg_catalog.pg_roles r
    where installed between 1 and 1 and p.oid = pg_catalog.to_regprocedure(E'"public"."job_status_write"(jsonb)')
      and r.oid = a.grantee and r.rolname not in (E'anon', E'authenticated')
  loop
    execute pg_catalog.format('grant execute on function %s to %I', E'"public"."job_status_write"(jsonb, integer), "public"."job_status_write"(jsonb), "public"."job_status_prune"(timestamptz, text[], integer)', role);
  end loop;

  if exists (select from pg_catalog.pg_roles where rolname = 'service_role') then
    grant usage on schema "public" to service_role;
    grant select, insert, update, delete on table "public"."job_status" to service_role;
    grant execute on function "public"."job_status_write"(jsonb, integer), "public"."job_status_write"(jsonb), "public"."job_status_prune"(timestamptz, text[], integer) to service_role;
  end if;

  -- Tells PostgREST, which Supabase's API is, to look at the schema again.
  if has_changed then
    perform pg_catalog.pg_notify('pgrst', 'reload schema');
  end if;
end
$migration$;
