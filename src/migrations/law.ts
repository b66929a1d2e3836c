import { MAX_CHILDREN, SAME_RUN_MS } from '../merge.ts';
import { FINISHED_STATES } from '../types.ts';

/*
 * The law of `merge.ts` and `attempts.ts` as SQL expressions; change neither alone. Each takes the aliases of
 * row sources that have the columns of a snapshot.
 */

/** Rules 1 to 5: whether snapshot `a` is newer than `b`. */
export function isNewer(a: string, b: string): string {
  const order = (row: string) =>
    `(${row}.created_at, ${row}.attempt, ${phase(row)}, ${row}.sequence)`;
  const place = (row: string) =>
    `case when ${a}.processed_on is not null and ${b}.processed_on is not null then ${row}.processed_on else ${seenOn(row)} end`;
  return `case
      when abs(${place(a)} - ${place(b)}) > ${SAME_RUN_MS} then ${place(a)} > ${place(b)}
      else ${order(a)} > ${order(b)}
    end`;
}

/** When a job was seen as a snapshot has it, or ended so. */
function seenOn(row: string): string {
  const updatedOn = `pg_catalog.floor(extract(epoch from ${row}.updated_at) * 1000)::bigint`;
  return `coalesce(${row}.finished_on, case when ${row}.processed_on is null then ${row}.queued_on else ${updatedOn} end)`;
}

/** The same of two snapshots of one attempt: rules 4 and 5 decide. */
export function isNewerInAttempt(a: string, b: string): string {
  return `(${phase(a)}, ${a}.sequence) > (${phase(b)}, ${b}.sequence)`;
}

/** Rule 4: the phase of an attempt. */
function phase(row: string): string {
  return `case when ${row}.status = 'active' then 0 when ${row}.status not in (${FINISHED}) then 3
      when ${row}.removed_from is null then 2 when ${row}.removed_from = 'active' then 1 else 4 end`;
}

const FINISHED = FINISHED_STATES.map((state) => `'${state}'`).join(', ');

/** Whether two snapshots with the same `created_at` are of one attempt. */
export function isSameAttempt(a: string, b: string): string {
  return `(${a}.attempt = ${b}.attempt and ${a}.processed_on is not distinct from ${b}.processed_on)`;
}

type Columns = Readonly<Record<string, string>>;

/**
 * What of the older of two snapshots is kept, by the columns that it changes.
 *
 * @param newer alias of the newer one's columns
 * @param a alias of one of them, whichever; `b` the other's
 */
export function merged(newer: string, a: string, b: string): Columns {
  const isSameJob = `${a}.created_at = ${b}.created_at`;
  const ofAttempt = Object.entries(mergedAttempt(newer, a, b)).map(([column, value]) => [
    column,
    `case when ${isSameJob} and ${isSameAttempt(a, b)} then ${value} else ${newer}.${column} end`,
  ]);
  return {
    first_processed_on: `case when ${isSameJob} then least(${a}.first_processed_on, ${b}.first_processed_on) else ${newer}.first_processed_on end`,
    children: `case when not ${isSameJob} then ${newer}.children
        when ${a}.children is null or ${b}.children is null then coalesce(${a}.children, ${b}.children)
        else ${children(`${a}.children`, `${b}.children`)} end`,
    ...(Object.fromEntries(ofAttempt) as Columns),
  };
}

/** The same of two snapshots of one attempt, as `mergeAttempt` has it. */
export function mergedAttempt(newer: string, a: string, b: string): Columns {
  const asked = (row: string) => {
    const text = (part: string) =>
      `coalesce(${row}.cancellation ->> '${part}', '') collate pg_catalog."C"`;
    return `((${row}.cancellation -> 'requestedOn')::bigint, ${text('by')}, ${text('reason')})`;
  };
  return {
    attempt_ended_on: `least(${a}.attempt_ended_on, ${b}.attempt_ended_on)`,
    attempt_failed: `(${a}.attempt_failed or ${b}.attempt_failed)`,
    worker: `coalesce(${newer}.worker, ${a}.worker, ${b}.worker)`,
    cancellation: `case when ${a}.cancellation is null or ${b}.cancellation is null then coalesce(${a}.cancellation, ${b}.cancellation)
          when ${asked(a)} < ${asked(b)} then ${a}.cancellation else ${b}.cancellation end`,
  };
}

/** All of both, the first in the order of their keys. */
function children(a: string, b: string): string {
  const key = (part: string) => `(c.child ->> '${part}') collate pg_catalog."C"`;
  return `(
          select coalesce(pg_catalog.jsonb_agg(f.child order by f.queue, f.job_id), '[]') from (
            select c.child, ${key('queue')} as queue, ${key('jobId')} as job_id from (
              select pg_catalog.jsonb_array_elements(${a}) union select pg_catalog.jsonb_array_elements(${b})
            ) c(child)
            order by 2, 3 limit ${MAX_CHILDREN}
          ) f
        )`;
}

/** A job's state as its row shows it: who was to be cancelled did not fail. */
export function shownStatus(status: string, cancellation: string): string {
  return `case when ${cancellation} is not null and ${status} in ('failed', 'removed') then 'cancelled' else ${status} end`;
}

/** The columns of the time law. */
export const TIME_COLUMNS = [
  'started_at',
  'started_at_inferred',
  'attempt_started_at',
  'completed_at',
  'failed_at',
  'cancelled_at',
] as const;

/** What `times` gives for them, in their order. */
export const TIME_VALUES =
  's.started_at, s.started_at_inferred, a.attempt_started_at, t.completed_at, t.failed_at, t.cancelled_at';

/** Row sources that compute `TIME_VALUES` from raw readings alone, as `toStatus` does. */
export function times(facts: string, firstProcessedOn: string, shown: string): string {
  const started = `(${facts}.attempt > 0 or ${firstProcessedOn} is not null or ${shown} in ('completed', 'failed'))`;
  return `lateral (
      select case when ${started} then greatest(${facts}.created_at + interval '1 millisecond', ${time(firstProcessedOn)}) end as started_at,
        ${started} and ${firstProcessedOn} is null as started_at_inferred
    ) s, lateral (
      select case when s.started_at is not null then greatest(s.started_at, ${time(`${facts}.processed_on`)}) end as attempt_started_at
    ) a, lateral (
      select greatest(
        coalesce(a.attempt_started_at, ${facts}.created_at) + interval '1 millisecond',
        coalesce(${time(`${facts}.finished_on`)}, case when ${facts}.removed_from is not null then ${facts}.updated_at end)
      ) as ended_at
    ) e, lateral (
      select case ${shown} when 'completed' then e.ended_at end as completed_at,
        case ${shown} when 'failed' then e.ended_at end as failed_at,
        case ${shown} when 'cancelled' then e.ended_at end as cancelled_at
    ) t`;
}

/** A time from a raw reading in ms, exact to the year 9999: the seconds and the rest apart, for doubles lose it. */
function time(ms: string): string {
  return `pg_catalog.to_timestamp(${ms} / 1000) + (${ms} % 1000) * interval '1 millisecond'`;
}
