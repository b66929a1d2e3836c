import { phaseOf, SAME_RUN_MS } from '../merge.ts';
import { JOB_STATES } from '../types.ts';

/*
 * The law of `merge.ts` as SQL expressions; change neither alone. Each takes the alias of a row source
 * that has the columns of a snapshot.
 */

/** Rules 1 to 5: whether snapshot `a` is newer than `b`. */
export function isNewer(a: string, b: string): string {
  const order = (row: string) =>
    `(${row}.created_at, ${row}.attempt, ${phase(`${row}.status`)}, ${row}.sequence)`;
  return `case
      when abs(${a}.processed_on - ${b}.processed_on) > ${SAME_RUN_MS} then ${a}.processed_on > ${b}.processed_on
      else ${order(a)} > ${order(b)}
    end`;
}

/** Rule 4: the phase of an attempt. */
function phase(status: string): string {
  const [active = '', ended = ''] = [0, 1].map((number) =>
    JOB_STATES.filter((state) => phaseOf(state) === number)
      .map((state) => `'${state}'`)
      .join(', '),
  );
  return `case when ${status} in (${active}) then 0 when ${status} in (${ended}) then 1 else 2 end`;
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

/** Row sources that compute `TIME_VALUES` from raw readings alone, as `withTimes` does. */
export function times(facts: string, firstProcessedOn: string): string {
  const started = `(${facts}.attempt > 0 or ${firstProcessedOn} is not null or ${facts}.status in ('completed', 'failed'))`;
  return `lateral (
      select case when ${started} then greatest(${facts}.created_at + interval '1 millisecond', ${time(firstProcessedOn)}) end as started_at,
        ${started} and ${firstProcessedOn} is null as started_at_inferred
    ) s, lateral (
      select case when s.started_at is not null then greatest(s.started_at, ${time(`${facts}.processed_on`)}) end as attempt_started_at
    ) a, lateral (
      select greatest(coalesce(a.attempt_started_at, ${facts}.created_at) + interval '1 millisecond', ${time(`${facts}.finished_on`)}) as ended_at
    ) e, lateral (
      select case ${facts}.status when 'completed' then e.ended_at end as completed_at,
        case ${facts}.status when 'failed' then e.ended_at end as failed_at,
        case ${facts}.status when 'cancelled' then e.ended_at end as cancelled_at
    ) t`;
}

/** A time from a raw reading in ms, exact to the year 9999: the seconds and the rest apart, for doubles lose it. */
function time(ms: string): string {
  return `pg_catalog.to_timestamp(${ms} / 1000) + (${ms} % 1000) * interval '1 millisecond'`;
}
