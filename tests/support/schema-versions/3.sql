-- bullmq-job-status, schema version 3. One statement: all of it happens, or nothing.
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
  elsif installed > 3 then
    raise notice '% is at schema version %, newer than 3: left as it is', E'"public"."job_status"', installed;
    return;
  end if;

  has_changed := installed < 3;

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

  if installed < 3 then
alter table "public"."job_status"
  add column removed_from text,
  add column cancellation jsonb,
  add column parent jsonb,
  add column children jsonb,
  add column scheduler_id text,
  add column deduplication_id text,
  add column attempt_ended_on bigint,
  add column attempt_failed boolean not null default false,
  add column queued_on bigint;
update "public"."job_status" set attempt_failed = true,
  attempt_ended_on = coalesce(finished_on, pg_catalog.floor(extract(epoch from updated_at) * 1000)::bigint)
where status in ('waiting', 'delayed', 'prioritized') and attempt > 0;
-- Attempts before the one that a row tells of.
create table "public"."job_status_attempts" (
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
  constraint "job_status_attempts_fkey" foreign key (queue, job_id) references "public"."job_status" on delete cascade
);
alter table "public"."job_status_attempts" enable row level security;
-- It gives nobody a right. Who has one to the attempts, and sees a row, has it to those of this row.
create policy "as to the row" on "public"."job_status_attempts" using (exists (
  select from "public"."job_status" r where r.queue = "job_status_attempts".queue and r.job_id = "job_status_attempts".job_id
));
    revoke all on table "public"."job_status_attempts" from public;
    for role in select rolname from pg_catalog.pg_roles where rolname in (E'anon', E'authenticated', E'service_role') loop
      execute pg_catalog.format('revoke all on table %s from %I', E'"public"."job_status_attempts"', role);
    end loop;
    comment on table "public"."job_status" is 'bullmq-job-status, schema version 3';
  end if;

  is_new := pg_catalog.to_regprocedure(E'"public"."job_status_write"(jsonb, integer)') is null;
  create or replace function "public"."job_status_write"(updates jsonb, schema_version integer) returns integer
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $function$
-- Merges a batch of snapshots, each job at most once, by the law that src/merge.ts states: atomic for each
-- row. Rows are taken in the order of their keys, so that two batches can't deadlock.
#variable_conflict use_column
declare
  merged integer;
  beside jsonb;
begin
  -- A newer package may say more of a job than this function can keep.
  if schema_version > 3 then
    raise undefined_function using message = pg_catalog.format(
      '%s is at schema version 3, and version %s is needed', E'"public"."job_status"', schema_version);
  end if;

  with written as (
    insert into "public"."job_status" as r (queue, job_id, name, status, attempt, attempts_made, max_attempts, progress, result, error, data, metadata, worker, delayed_until, removed_from, cancellation, parent, children, scheduler_id, deduplication_id, altered, created_at, processed_on, finished_on, first_processed_on, attempt_ended_on, attempt_failed, queued_on, updated_at, sequence, started_at, started_at_inferred, attempt_started_at, completed_at, failed_at, cancelled_at)
    select u.queue, u.job_id, u.name, v.status, u.attempt, u.attempts_made, u.max_attempts, u.progress, u.result, u.error, u.data, u.metadata, u.worker, u.delayed_until, u.removed_from, u.cancellation, u.parent, u.children, u.scheduler_id, u.deduplication_id, u.altered, u.created_at, u.processed_on, u.finished_on, u.first_processed_on, u.attempt_ended_on, u.attempt_failed, u.queued_on, u.updated_at, u.sequence, s.started_at, s.started_at_inferred, a.attempt_started_at, t.completed_at, t.failed_at, t.cancelled_at
    from (
      select g.queue, g.job_id, g.name, g.status, g.attempt, g.attempts_made, g.max_attempts, g.progress, g.result, g.error, g.data, g.metadata, g.worker, g.delayed_until, g.removed_from, g.cancellation, g.parent, g.children, g.scheduler_id, g.deduplication_id, g.altered, g.created_at, g.processed_on, g.finished_on, g.first_processed_on, g.attempt_ended_on, g.queued_on, g.updated_at, g.sequence, g.earlier_attempts,
        coalesce(g.attempt_failed, g.attempt > 0 and g.status in ('failed', 'waiting', 'delayed', 'prioritized')) as attempt_failed
      from pg_catalog.jsonb_to_recordset(updates) as g(queue text, job_id text, name text, status text, attempt integer, attempts_made integer, max_attempts integer, progress jsonb, result jsonb, error jsonb, data jsonb, metadata jsonb, worker text, delayed_until timestamptz, removed_from text, cancellation jsonb, parent jsonb, children jsonb, scheduler_id text, deduplication_id text, altered jsonb, created_at timestamptz, processed_on bigint, finished_on bigint, first_processed_on bigint, attempt_ended_on bigint, attempt_failed boolean, queued_on bigint, updated_at timestamptz, sequence bigint, earlier_attempts jsonb)
    ) u,
      lateral (select case when u.cancellation is not null and u.status in ('failed', 'removed') then 'cancelled' else u.status end as status) v,
      lateral (
      select case when (u.attempt > 0 or u.first_processed_on is not null or v.status in ('completed', 'failed')) then greatest(u.created_at + interval '1 millisecond', pg_catalog.to_timestamp(u.first_processed_on / 1000) + (u.first_processed_on % 1000) * interval '1 millisecond') end as started_at,
        (u.attempt > 0 or u.first_processed_on is not null or v.status in ('completed', 'failed')) and u.first_processed_on is null as started_at_inferred
    ) s, lateral (
      select case when s.started_at is not null then greatest(s.started_at, pg_catalog.to_timestamp(u.processed_on / 1000) + (u.processed_on % 1000) * interval '1 millisecond') end as attempt_started_at
    ) a, lateral (
      select greatest(
        coalesce(a.attempt_started_at, u.created_at) + interval '1 millisecond',
        coalesce(pg_catalog.to_timestamp(u.finished_on / 1000) + (u.finished_on % 1000) * interval '1 millisecond', case when u.removed_from is not null then u.updated_at end)
      ) as ended_at
    ) e, lateral (
      select case v.status when 'completed' then e.ended_at end as completed_at,
        case v.status when 'failed' then e.ended_at end as failed_at,
        case v.status when 'cancelled' then e.ended_at end as cancelled_at
    ) t
    order by u.queue collate pg_catalog."C", u.job_id collate pg_catalog."C"
    on conflict (queue, job_id) do update set
      (name, attempt, attempts_made, max_attempts, progress, result, error, data, metadata, delayed_until, removed_from, parent, scheduler_id, deduplication_id, altered, created_at, processed_on, finished_on, queued_on, updated_at, sequence, first_processed_on, children, attempt_ended_on, attempt_failed, worker, cancellation, status, started_at, started_at_inferred, attempt_started_at, completed_at, failed_at, cancelled_at) = (
        select n.name, n.attempt, n.attempts_made, n.max_attempts, n.progress, n.result, n.error, n.data, n.metadata, n.delayed_until, n.removed_from, n.parent, n.scheduler_id, n.deduplication_id, n.altered, n.created_at, n.processed_on, n.finished_on, n.queued_on, n.updated_at, n.sequence, k.first_processed_on, k.children, k.attempt_ended_on, k.attempt_failed, k.worker, k.cancellation, v.status, s.started_at, s.started_at_inferred, a.attempt_started_at, t.completed_at, t.failed_at, t.cancelled_at
        from (
          select excluded.name, excluded.status, excluded.attempt, excluded.attempts_made, excluded.max_attempts, excluded.progress, excluded.result, excluded.error, excluded.data, excluded.metadata, excluded.worker, excluded.delayed_until, excluded.removed_from, excluded.cancellation, excluded.parent, excluded.children, excluded.scheduler_id, excluded.deduplication_id, excluded.altered, excluded.created_at, excluded.processed_on, excluded.finished_on, excluded.first_processed_on, excluded.attempt_ended_on, excluded.attempt_failed, excluded.queued_on, excluded.updated_at, excluded.sequence where case
      when abs(case when excluded.processed_on is not null and r.processed_on is not null then excluded.processed_on else coalesce(excluded.finished_on, case when excluded.processed_on is null then excluded.queued_on else pg_catalog.floor(extract(epoch from excluded.updated_at) * 1000)::bigint end) end - case when excluded.processed_on is not null and r.processed_on is not null then r.processed_on else coalesce(r.finished_on, case when r.processed_on is null then r.queued_on else pg_catalog.floor(extract(epoch from r.updated_at) * 1000)::bigint end) end) > 5000 then case when excluded.processed_on is not null and r.processed_on is not null then excluded.processed_on else coalesce(excluded.finished_on, case when excluded.processed_on is null then excluded.queued_on else pg_catalog.floor(extract(epoch from excluded.updated_at) * 1000)::bigint end) end > case when excluded.processed_on is not null and r.processed_on is not null then r.processed_on else coalesce(r.finished_on, case when r.processed_on is null then r.queued_on else pg_catalog.floor(extract(epoch from r.updated_at) * 1000)::bigint end) end
      else (excluded.created_at, excluded.attempt, case when excluded.status = 'active' then 0 when excluded.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when excluded.removed_from is null then 2 when excluded.removed_from = 'active' then 1 else 4 end, excluded.sequence) > (r.created_at, r.attempt, case when r.status = 'active' then 0 when r.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when r.removed_from is null then 2 when r.removed_from = 'active' then 1 else 4 end, r.sequence)
    end
          union all
          select r.name, r.status, r.attempt, r.attempts_made, r.max_attempts, r.progress, r.result, r.error, r.data, r.metadata, r.worker, r.delayed_until, r.removed_from, r.cancellation, r.parent, r.children, r.scheduler_id, r.deduplication_id, r.altered, r.created_at, r.processed_on, r.finished_on, r.first_processed_on, r.attempt_ended_on, r.attempt_failed, r.queued_on, r.updated_at, r.sequence where not case
      when abs(case when excluded.processed_on is not null and r.processed_on is not null then excluded.processed_on else coalesce(excluded.finished_on, case when excluded.processed_on is null then excluded.queued_on else pg_catalog.floor(extract(epoch from excluded.updated_at) * 1000)::bigint end) end - case when excluded.processed_on is not null and r.processed_on is not null then r.processed_on else coalesce(r.finished_on, case when r.processed_on is null then r.queued_on else pg_catalog.floor(extract(epoch from r.updated_at) * 1000)::bigint end) end) > 5000 then case when excluded.processed_on is not null and r.processed_on is not null then excluded.processed_on else coalesce(excluded.finished_on, case when excluded.processed_on is null then excluded.queued_on else pg_catalog.floor(extract(epoch from excluded.updated_at) * 1000)::bigint end) end > case when excluded.processed_on is not null and r.processed_on is not null then r.processed_on else coalesce(r.finished_on, case when r.processed_on is null then r.queued_on else pg_catalog.floor(extract(epoch from r.updated_at) * 1000)::bigint end) end
      else (excluded.created_at, excluded.attempt, case when excluded.status = 'active' then 0 when excluded.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when excluded.removed_from is null then 2 when excluded.removed_from = 'active' then 1 else 4 end, excluded.sequence) > (r.created_at, r.attempt, case when r.status = 'active' then 0 when r.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when r.removed_from is null then 2 when r.removed_from = 'active' then 1 else 4 end, r.sequence)
    end
        ) n, lateral (
          select case when excluded.created_at = r.created_at then least(excluded.first_processed_on, r.first_processed_on) else n.first_processed_on end as first_processed_on, case when not excluded.created_at = r.created_at then n.children
        when excluded.children is null or r.children is null then coalesce(excluded.children, r.children)
        else (
          select coalesce(pg_catalog.jsonb_agg(f.child order by f.queue, f.job_id), '[]') from (
            select c.child, (c.child ->> 'queue') collate pg_catalog."C" as queue, (c.child ->> 'jobId') collate pg_catalog."C" as job_id from (
              select pg_catalog.jsonb_array_elements(excluded.children) union select pg_catalog.jsonb_array_elements(r.children)
            ) c(child)
            order by 2, 3 limit 100
          ) f
        ) end as children, case when excluded.created_at = r.created_at and (excluded.attempt = r.attempt and excluded.processed_on is not distinct from r.processed_on) then least(excluded.attempt_ended_on, r.attempt_ended_on) else n.attempt_ended_on end as attempt_ended_on, case when excluded.created_at = r.created_at and (excluded.attempt = r.attempt and excluded.processed_on is not distinct from r.processed_on) then (excluded.attempt_failed or r.attempt_failed) else n.attempt_failed end as attempt_failed, case when excluded.created_at = r.created_at and (excluded.attempt = r.attempt and excluded.processed_on is not distinct from r.processed_on) then coalesce(n.worker, excluded.worker, r.worker) else n.worker end as worker, case when excluded.created_at = r.created_at and (excluded.attempt = r.attempt and excluded.processed_on is not distinct from r.processed_on) then case when excluded.cancellation is null or r.cancellation is null then coalesce(excluded.cancellation, r.cancellation)
          when ((excluded.cancellation -> 'requestedOn')::bigint, coalesce(excluded.cancellation ->> 'by', '') collate pg_catalog."C", coalesce(excluded.cancellation ->> 'reason', '') collate pg_catalog."C") < ((r.cancellation -> 'requestedOn')::bigint, coalesce(r.cancellation ->> 'by', '') collate pg_catalog."C", coalesce(r.cancellation ->> 'reason', '') collate pg_catalog."C") then excluded.cancellation else r.cancellation end else n.cancellation end as cancellation
        ) k, lateral (
          select case when k.cancellation is not null and n.status in ('failed', 'removed') then 'cancelled' else n.status end as status
        ) v, lateral (
      select case when (n.attempt > 0 or k.first_processed_on is not null or v.status in ('completed', 'failed')) then greatest(n.created_at + interval '1 millisecond', pg_catalog.to_timestamp(k.first_processed_on / 1000) + (k.first_processed_on % 1000) * interval '1 millisecond') end as started_at,
        (n.attempt > 0 or k.first_processed_on is not null or v.status in ('completed', 'failed')) and k.first_processed_on is null as started_at_inferred
    ) s, lateral (
      select case when s.started_at is not null then greatest(s.started_at, pg_catalog.to_timestamp(n.processed_on / 1000) + (n.processed_on % 1000) * interval '1 millisecond') end as attempt_started_at
    ) a, lateral (
      select greatest(
        coalesce(a.attempt_started_at, n.created_at) + interval '1 millisecond',
        coalesce(pg_catalog.to_timestamp(n.finished_on / 1000) + (n.finished_on % 1000) * interval '1 millisecond', case when n.removed_from is not null then n.updated_at end)
      ) as ended_at
    ) e, lateral (
      select case v.status when 'completed' then e.ended_at end as completed_at,
        case v.status when 'failed' then e.ended_at end as failed_at,
        case v.status when 'cancelled' then e.ended_at end as cancelled_at
    ) t
      )
    -- An older snapshot of which nothing is kept leaves the row untouched.
    where case
      when abs(case when excluded.processed_on is not null and r.processed_on is not null then excluded.processed_on else coalesce(excluded.finished_on, case when excluded.processed_on is null then excluded.queued_on else pg_catalog.floor(extract(epoch from excluded.updated_at) * 1000)::bigint end) end - case when excluded.processed_on is not null and r.processed_on is not null then r.processed_on else coalesce(r.finished_on, case when r.processed_on is null then r.queued_on else pg_catalog.floor(extract(epoch from r.updated_at) * 1000)::bigint end) end) > 5000 then case when excluded.processed_on is not null and r.processed_on is not null then excluded.processed_on else coalesce(excluded.finished_on, case when excluded.processed_on is null then excluded.queued_on else pg_catalog.floor(extract(epoch from excluded.updated_at) * 1000)::bigint end) end > case when excluded.processed_on is not null and r.processed_on is not null then r.processed_on else coalesce(r.finished_on, case when r.processed_on is null then r.queued_on else pg_catalog.floor(extract(epoch from r.updated_at) * 1000)::bigint end) end
      else (excluded.created_at, excluded.attempt, case when excluded.status = 'active' then 0 when excluded.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when excluded.removed_from is null then 2 when excluded.removed_from = 'active' then 1 else 4 end, excluded.sequence) > (r.created_at, r.attempt, case when r.status = 'active' then 0 when r.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when r.removed_from is null then 2 when r.removed_from = 'active' then 1 else 4 end, r.sequence)
    end
      or (case when excluded.created_at = r.created_at then least(excluded.first_processed_on, r.first_processed_on) else r.first_processed_on end, case when not excluded.created_at = r.created_at then r.children
        when excluded.children is null or r.children is null then coalesce(excluded.children, r.children)
        else (
          select coalesce(pg_catalog.jsonb_agg(f.child order by f.queue, f.job_id), '[]') from (
            select c.child, (c.child ->> 'queue') collate pg_catalog."C" as queue, (c.child ->> 'jobId') collate pg_catalog."C" as job_id from (
              select pg_catalog.jsonb_array_elements(excluded.children) union select pg_catalog.jsonb_array_elements(r.children)
            ) c(child)
            order by 2, 3 limit 100
          ) f
        ) end, case when excluded.created_at = r.created_at and (excluded.attempt = r.attempt and excluded.processed_on is not distinct from r.processed_on) then least(excluded.attempt_ended_on, r.attempt_ended_on) else r.attempt_ended_on end, case when excluded.created_at = r.created_at and (excluded.attempt = r.attempt and excluded.processed_on is not distinct from r.processed_on) then (excluded.attempt_failed or r.attempt_failed) else r.attempt_failed end, case when excluded.created_at = r.created_at and (excluded.attempt = r.attempt and excluded.processed_on is not distinct from r.processed_on) then coalesce(r.worker, excluded.worker, r.worker) else r.worker end, case when excluded.created_at = r.created_at and (excluded.attempt = r.attempt and excluded.processed_on is not distinct from r.processed_on) then case when excluded.cancellation is null or r.cancellation is null then coalesce(excluded.cancellation, r.cancellation)
          when ((excluded.cancellation -> 'requestedOn')::bigint, coalesce(excluded.cancellation ->> 'by', '') collate pg_catalog."C", coalesce(excluded.cancellation ->> 'reason', '') collate pg_catalog."C") < ((r.cancellation -> 'requestedOn')::bigint, coalesce(r.cancellation ->> 'by', '') collate pg_catalog."C", coalesce(r.cancellation ->> 'reason', '') collate pg_catalog."C") then excluded.cancellation else r.cancellation end else r.cancellation end) is distinct from (r.first_processed_on, r.children, r.attempt_ended_on, r.attempt_failed, r.worker, r.cancellation)
    returning queue, job_id, attempt, processed_on
  )
  -- Which snapshots tell of an attempt that is not their row's own. All rows are locked by now, also those
  -- that were left untouched.
  select pg_catalog.count(w.queue), pg_catalog.jsonb_agg(u.told) filter (where
    u.told -> 'earlier_attempts' is not null
    or (u.told ->> 'processed_on' is not null and (w.queue is null
      or (w.attempt, w.processed_on) is distinct from ((u.told ->> 'attempt')::integer, (u.told ->> 'processed_on')::bigint)))
  )
  into merged, beside
  from pg_catalog.jsonb_array_elements(updates) u(told)
  left join written w on w.queue = u.told ->> 'queue' and w.job_id = u.told ->> 'job_id';

  if beside is not null then
    insert into "public"."job_status_attempts" as a (queue, job_id, created_at, attempt, processed_on, status, removed_from, cancellation, error, worker, attempt_ended_on, attempt_failed, sequence)
  select u.queue, u.job_id, u.created_at, e.*
    from (
      select g.queue, g.job_id, g.name, g.status, g.attempt, g.attempts_made, g.max_attempts, g.progress, g.result, g.error, g.data, g.metadata, g.worker, g.delayed_until, g.removed_from, g.cancellation, g.parent, g.children, g.scheduler_id, g.deduplication_id, g.altered, g.created_at, g.processed_on, g.finished_on, g.first_processed_on, g.attempt_ended_on, g.queued_on, g.updated_at, g.sequence, g.earlier_attempts,
        coalesce(g.attempt_failed, g.attempt > 0 and g.status in ('failed', 'waiting', 'delayed', 'prioritized')) as attempt_failed
      from pg_catalog.jsonb_to_recordset(beside) as g(queue text, job_id text, name text, status text, attempt integer, attempts_made integer, max_attempts integer, progress jsonb, result jsonb, error jsonb, data jsonb, metadata jsonb, worker text, delayed_until timestamptz, removed_from text, cancellation jsonb, parent jsonb, children jsonb, scheduler_id text, deduplication_id text, altered jsonb, created_at timestamptz, processed_on bigint, finished_on bigint, first_processed_on bigint, attempt_ended_on bigint, attempt_failed boolean, queued_on bigint, updated_at timestamptz, sequence bigint, earlier_attempts jsonb)
    ) u
    cross join lateral (
      -- One by one and by the key alone: so no plan that is kept from when the table was small reads all of it.
      select r.created_at, r.attempt, r.processed_on from "public"."job_status" r
      where r.queue = u.queue and r.job_id = u.job_id limit 1
    ) r
    cross join lateral (
      select u.attempt, u.processed_on, u.status, u.removed_from, u.cancellation, u.error, u.worker, coalesce(u.attempt_ended_on, u.finished_on), u.attempt_failed, u.sequence where u.processed_on is not null and not (u.attempt = r.attempt and u.processed_on is not distinct from r.processed_on)
      union all
      select e.attempt, e.processed_on, e.status, e.removed_from, e.cancellation, e.error, e.worker, e.attempt_ended_on, e.attempt_failed, e.sequence from pg_catalog.jsonb_to_recordset(u.earlier_attempts) as e(attempt integer, processed_on bigint, status text, removed_from text, cancellation jsonb, error jsonb, worker text, attempt_ended_on bigint, attempt_failed boolean, sequence bigint)
      where not (e.attempt = u.attempt and e.processed_on is not distinct from u.processed_on)
    ) e
    where r.created_at = u.created_at
  on conflict (queue, job_id, created_at, attempt, processed_on) do update set
    (status, removed_from, error, sequence, attempt_ended_on, attempt_failed, worker, cancellation) = (
      select n.status, n.removed_from, n.error, n.sequence, least(excluded.attempt_ended_on, a.attempt_ended_on), (excluded.attempt_failed or a.attempt_failed), coalesce(n.worker, excluded.worker, a.worker), case when excluded.cancellation is null or a.cancellation is null then coalesce(excluded.cancellation, a.cancellation)
          when ((excluded.cancellation -> 'requestedOn')::bigint, coalesce(excluded.cancellation ->> 'by', '') collate pg_catalog."C", coalesce(excluded.cancellation ->> 'reason', '') collate pg_catalog."C") < ((a.cancellation -> 'requestedOn')::bigint, coalesce(a.cancellation ->> 'by', '') collate pg_catalog."C", coalesce(a.cancellation ->> 'reason', '') collate pg_catalog."C") then excluded.cancellation else a.cancellation end
      from (
        select excluded.status, excluded.removed_from, excluded.error, excluded.sequence, excluded.attempt_ended_on, excluded.attempt_failed, excluded.worker, excluded.cancellation where (case when excluded.status = 'active' then 0 when excluded.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when excluded.removed_from is null then 2 when excluded.removed_from = 'active' then 1 else 4 end, excluded.sequence) > (case when a.status = 'active' then 0 when a.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when a.removed_from is null then 2 when a.removed_from = 'active' then 1 else 4 end, a.sequence)
        union all
        select a.status, a.removed_from, a.error, a.sequence, a.attempt_ended_on, a.attempt_failed, a.worker, a.cancellation where not (case when excluded.status = 'active' then 0 when excluded.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when excluded.removed_from is null then 2 when excluded.removed_from = 'active' then 1 else 4 end, excluded.sequence) > (case when a.status = 'active' then 0 when a.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when a.removed_from is null then 2 when a.removed_from = 'active' then 1 else 4 end, a.sequence)
      ) n
    )
  where (case when excluded.status = 'active' then 0 when excluded.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when excluded.removed_from is null then 2 when excluded.removed_from = 'active' then 1 else 4 end, excluded.sequence) > (case when a.status = 'active' then 0 when a.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when a.removed_from is null then 2 when a.removed_from = 'active' then 1 else 4 end, a.sequence)
    or (least(excluded.attempt_ended_on, a.attempt_ended_on), (excluded.attempt_failed or a.attempt_failed), coalesce(a.worker, excluded.worker, a.worker), case when excluded.cancellation is null or a.cancellation is null then coalesce(excluded.cancellation, a.cancellation)
          when ((excluded.cancellation -> 'requestedOn')::bigint, coalesce(excluded.cancellation ->> 'by', '') collate pg_catalog."C", coalesce(excluded.cancellation ->> 'reason', '') collate pg_catalog."C") < ((a.cancellation -> 'requestedOn')::bigint, coalesce(a.cancellation ->> 'by', '') collate pg_catalog."C", coalesce(a.cancellation ->> 'reason', '') collate pg_catalog."C") then excluded.cancellation else a.cancellation end) is distinct from (a.attempt_ended_on, a.attempt_failed, a.worker, a.cancellation);
  end if;
  return merged;
end
$function$;
  comment on function "public"."job_status_write"(jsonb, integer) is 'bullmq-job-status, schema version 3';
  if is_new then
    has_changed := true;
    revoke all on function "public"."job_status_write"(jsonb, integer) from public;
    for role in select rolname from pg_catalog.pg_roles where rolname in (E'anon', E'authenticated', E'service_role') loop
      execute pg_catalog.format('revoke all on function %s from %I', E'"public"."job_status_write"(jsonb, integer)', role);
    end loop;
  end if;

  is_new := pg_catalog.to_regprocedure(E'"public"."job_status_write"(jsonb)') is null;
  create or replace function "public"."job_status_write"(updates jsonb) returns integer
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $function$
begin
  return "public"."job_status_write"(updates, 1);
end
$function$;
  comment on function "public"."job_status_write"(jsonb) is 'bullmq-job-status, schema version 3';
  if is_new then
    has_changed := true;
    revoke all on function "public"."job_status_write"(jsonb) from public;
    for role in select rolname from pg_catalog.pg_roles where rolname in (E'anon', E'authenticated', E'service_role') loop
      execute pg_catalog.format('revoke all on function %s from %I', E'"public"."job_status_write"(jsonb)', role);
    end loop;
  end if;

  is_new := pg_catalog.to_regprocedure(E'"public"."job_status_prune"(timestamptz, text[], integer)') is null;
  create or replace function "public"."job_status_prune"(older_than timestamptz, statuses text[], at_most integer) returns integer
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $function$
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
  comment on function "public"."job_status_prune"(timestamptz, text[], integer) is 'bullmq-job-status, schema version 3';
  if is_new then
    has_changed := true;
    revoke all on function "public"."job_status_prune"(timestamptz, text[], integer) from public;
    for role in select rolname from pg_catalog.pg_roles where rolname in (E'anon', E'authenticated', E'service_role') loop
      execute pg_catalog.format('revoke all on function %s from %I', E'"public"."job_status_prune"(timestamptz, text[], integer)', role);
    end loop;
  end if;

  is_new := pg_catalog.to_regprocedure(E'"public"."job_status_by_id"(text, text[])') is null;
  create or replace function "public"."job_status_by_id"(in_queue text, ids text[]) returns setof "public"."job_status"
  language plpgsql stable security invoker set search_path = pg_catalog, pg_temp as $function$
-- Rows by their ids, of one queue or, where none is named, of all.
begin
  return query select t.* from "public"."job_status" t
    where (in_queue is null or t.queue = in_queue) and t.job_id = any (ids);
end
$function$;
  comment on function "public"."job_status_by_id"(text, text[]) is 'bullmq-job-status, schema version 3';
  if is_new then
    has_changed := true;
    revoke all on function "public"."job_status_by_id"(text, text[]) from public;
    for role in select rolname from pg_catalog.pg_roles where rolname in (E'anon', E'authenticated', E'service_role') loop
      execute pg_catalog.format('revoke all on function %s from %I', E'"public"."job_status_by_id"(text, text[])', role);
    end loop;
  end if;

  is_new := pg_catalog.to_regprocedure(E'"public"."job_status_attempts_keep"()') is null;
  create or replace function "public"."job_status_attempts_keep"() returns trigger
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $function$
-- Keeps the attempt that a row leaves for another, and none of an earlier job with its id.
begin
  if old.created_at <> new.created_at then
    delete from "public"."job_status_attempts" a
    where a.queue = new.queue and a.job_id = new.job_id and a.created_at <> new.created_at;
    return null;
  end if;
  insert into "public"."job_status_attempts" as a (queue, job_id, created_at, attempt, processed_on, status, removed_from, cancellation, error, worker, attempt_ended_on, attempt_failed, sequence)
  values (old.queue, old.job_id, old.created_at, old.attempt, old.processed_on, old.status, old.removed_from, old.cancellation, old.error, old.worker, coalesce(old.attempt_ended_on, old.finished_on), old.attempt_failed, old.sequence)
  on conflict (queue, job_id, created_at, attempt, processed_on) do update set
    (status, removed_from, error, sequence, attempt_ended_on, attempt_failed, worker, cancellation) = (
      select n.status, n.removed_from, n.error, n.sequence, least(excluded.attempt_ended_on, a.attempt_ended_on), (excluded.attempt_failed or a.attempt_failed), coalesce(n.worker, excluded.worker, a.worker), case when excluded.cancellation is null or a.cancellation is null then coalesce(excluded.cancellation, a.cancellation)
          when ((excluded.cancellation -> 'requestedOn')::bigint, coalesce(excluded.cancellation ->> 'by', '') collate pg_catalog."C", coalesce(excluded.cancellation ->> 'reason', '') collate pg_catalog."C") < ((a.cancellation -> 'requestedOn')::bigint, coalesce(a.cancellation ->> 'by', '') collate pg_catalog."C", coalesce(a.cancellation ->> 'reason', '') collate pg_catalog."C") then excluded.cancellation else a.cancellation end
      from (
        select excluded.status, excluded.removed_from, excluded.error, excluded.sequence, excluded.attempt_ended_on, excluded.attempt_failed, excluded.worker, excluded.cancellation where (case when excluded.status = 'active' then 0 when excluded.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when excluded.removed_from is null then 2 when excluded.removed_from = 'active' then 1 else 4 end, excluded.sequence) > (case when a.status = 'active' then 0 when a.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when a.removed_from is null then 2 when a.removed_from = 'active' then 1 else 4 end, a.sequence)
        union all
        select a.status, a.removed_from, a.error, a.sequence, a.attempt_ended_on, a.attempt_failed, a.worker, a.cancellation where not (case when excluded.status = 'active' then 0 when excluded.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when excluded.removed_from is null then 2 when excluded.removed_from = 'active' then 1 else 4 end, excluded.sequence) > (case when a.status = 'active' then 0 when a.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when a.removed_from is null then 2 when a.removed_from = 'active' then 1 else 4 end, a.sequence)
      ) n
    )
  where (case when excluded.status = 'active' then 0 when excluded.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when excluded.removed_from is null then 2 when excluded.removed_from = 'active' then 1 else 4 end, excluded.sequence) > (case when a.status = 'active' then 0 when a.status not in ('completed', 'failed', 'cancelled', 'removed') then 3
      when a.removed_from is null then 2 when a.removed_from = 'active' then 1 else 4 end, a.sequence)
    or (least(excluded.attempt_ended_on, a.attempt_ended_on), (excluded.attempt_failed or a.attempt_failed), coalesce(a.worker, excluded.worker, a.worker), case when excluded.cancellation is null or a.cancellation is null then coalesce(excluded.cancellation, a.cancellation)
          when ((excluded.cancellation -> 'requestedOn')::bigint, coalesce(excluded.cancellation ->> 'by', '') collate pg_catalog."C", coalesce(excluded.cancellation ->> 'reason', '') collate pg_catalog."C") < ((a.cancellation -> 'requestedOn')::bigint, coalesce(a.cancellation ->> 'by', '') collate pg_catalog."C", coalesce(a.cancellation ->> 'reason', '') collate pg_catalog."C") then excluded.cancellation else a.cancellation end) is distinct from (a.attempt_ended_on, a.attempt_failed, a.worker, a.cancellation);
  return null;
end
$function$;
  comment on function "public"."job_status_attempts_keep"() is 'bullmq-job-status, schema version 3';
  if is_new then
    has_changed := true;
    revoke all on function "public"."job_status_attempts_keep"() from public;
    for role in select rolname from pg_catalog.pg_roles where rolname in (E'anon', E'authenticated', E'service_role') loop
      execute pg_catalog.format('revoke all on function %s from %I', E'"public"."job_status_attempts_keep"()', role);
    end loop;
  end if;

  is_new := pg_catalog.to_regprocedure(E'"public"."job_status_attempts_max"()') is null;
  create or replace function "public"."job_status_attempts_max"() returns trigger
  language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $function$
-- Of a job's attempts the last 50 stay, by their starts.
begin
  delete from "public"."job_status_attempts" a where a.queue = new.queue and a.job_id = new.job_id and a.created_at = new.created_at and (a.processed_on, a.attempt) < (
    select b.processed_on, b.attempt from "public"."job_status_attempts" b where b.queue = new.queue and b.job_id = new.job_id and b.created_at = new.created_at
    order by b.processed_on desc, b.attempt desc offset 49 limit 1
  );
  return null;
end
$function$;
  comment on function "public"."job_status_attempts_max"() is 'bullmq-job-status, schema version 3';
  if is_new then
    has_changed := true;
    revoke all on function "public"."job_status_attempts_max"() from public;
    for role in select rolname from pg_catalog.pg_roles where rolname in (E'anon', E'authenticated', E'service_role') loop
      execute pg_catalog.format('revoke all on function %s from %I', E'"public"."job_status_attempts_max"()', role);
    end loop;
  end if;

  if not exists (
    select from pg_catalog.pg_trigger
    where tgrelid = pg_catalog.to_regclass(E'"public"."job_status"') and tgname = E'job_status_attempts_keep'
  ) then
    create trigger "job_status_attempts_keep" after update on "public"."job_status" for each row when (
    old.created_at <> new.created_at
    or (old.processed_on is not null and not (old.attempt = new.attempt and old.processed_on is not distinct from new.processed_on))
  ) execute function "public"."job_status_attempts_keep"();
  end if;

  if not exists (
    select from pg_catalog.pg_trigger
    where tgrelid = pg_catalog.to_regclass(E'"public"."job_status_attempts"') and tgname = E'job_status_attempts_max'
  ) then
    create trigger "job_status_attempts_max" after insert on "public"."job_status_attempts" for each row execute function "public"."job_status_attempts_max"();
  end if;

  for role in
    select distinct r.rolname from pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a, pg_catalog.pg_roles r
    where installed between 1 and 2 and p.oid in (pg_catalog.to_regprocedure(E'"public"."job_status_write"(jsonb)'), pg_catalog.to_regprocedure(E'"public"."job_status_write"(jsonb, integer)'))
      and r.oid = a.grantee and r.rolname not in (E'anon', E'authenticated')
  loop
    execute pg_catalog.format('grant execute on function %s to %I', E'"public"."job_status_write"(jsonb, integer), "public"."job_status_write"(jsonb), "public"."job_status_prune"(timestamptz, text[], integer), "public"."job_status_by_id"(text, text[])', role);
    execute pg_catalog.format('grant select, insert, update, delete on table %s to %I', E'"public"."job_status_attempts"', role);
  end loop;

  if exists (select from pg_catalog.pg_roles where rolname = 'service_role') then
    grant usage on schema "public" to service_role;
    grant select, insert, update, delete on table "public"."job_status", "public"."job_status_attempts" to service_role;
    grant execute on function "public"."job_status_write"(jsonb, integer), "public"."job_status_write"(jsonb), "public"."job_status_prune"(timestamptz, text[], integer), "public"."job_status_by_id"(text, text[]) to service_role;
  end if;

  -- Tells PostgREST, which Supabase's API is, to look at the schema again.
  if has_changed then
    perform pg_catalog.pg_notify('pgrst', 'reload schema');
  end if;
end
$migration$;
