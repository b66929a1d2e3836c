import { RECORD, recordOf, saveAttempts } from './attempts.ts';
import {
  isNewer,
  isSameAttempt,
  merged,
  shownStatus,
  TIME_COLUMNS,
  TIME_VALUES,
  times,
} from './law.ts';
import { quoteLiteral, type TableNames } from './names.ts';
import { SCHEMA_VERSION } from './version.ts';

/** The columns of a snapshot, and their types: those of the table that are not computed. */
const FACTS = {
  queue: 'text',
  job_id: 'text',
  name: 'text',
  status: 'text',
  attempt: 'integer',
  attempts_made: 'integer',
  max_attempts: 'integer',
  progress: 'jsonb',
  result: 'jsonb',
  error: 'jsonb',
  data: 'jsonb',
  metadata: 'jsonb',
  worker: 'text',
  delayed_until: 'timestamptz',
  removed_from: 'text',
  cancellation: 'jsonb',
  parent: 'jsonb',
  children: 'jsonb',
  scheduler_id: 'text',
  deduplication_id: 'text',
  altered: 'jsonb',
  created_at: 'timestamptz',
  processed_on: 'bigint',
  finished_on: 'bigint',
  first_processed_on: 'bigint',
  attempt_ended_on: 'bigint',
  attempt_failed: 'boolean',
  queued_on: 'bigint',
  updated_at: 'timestamptz',
  sequence: 'bigint',
} as const;

type Columns = Readonly<Record<string, string>>;

const typed = (columns: Columns) =>
  Object.entries(columns)
    .map(([name, type]) => `${name} ${type}`)
    .join(', ');
const named = (values: Columns) =>
  Object.entries(values)
    .map(([name, value]) => `${value} as ${name}`)
    .join(', ');
const of = (row: string, columns: readonly string[]) =>
  columns.map((column) => `${row}.${column}`).join(', ');

/**
 * A batch as rows. Packages before version 3 don't tell of failed attempts, but in them a job went back to
 * its queue only by failing.
 */
function told(batch: string): string {
  const facts = Object.keys(FACTS).filter((column) => column !== 'attempt_failed');
  return `(
      select ${of('g', [...facts, 'earlier_attempts'])},
        coalesce(g.attempt_failed, g.attempt > 0 and g.status in ('failed', 'waiting', 'delayed', 'prioritized')) as attempt_failed
      from pg_catalog.jsonb_to_recordset(${batch}) as g(${typed({ ...FACTS, earlier_attempts: 'jsonb' })})
    )`;
}

export function writeBody(names: TableNames): string {
  const { qualify, table } = names;
  const facts = Object.keys(FACTS);
  const changing = facts.filter((name) => !['queue', 'job_id'].includes(name));
  const kept = Object.keys(merged('n', 'excluded', 'r'));
  const newest = changing.filter((name) => name !== 'status' && !kept.includes(name));
  const newer = isNewer('excluded', 'r');
  return `
-- Merges a batch of snapshots, each job at most once, by the law that src/merge.ts states: atomic for each
-- row. Rows are taken in the order of their keys, so that two batches can't deadlock.
#variable_conflict use_column
declare
  merged integer;
  beside jsonb;
begin
  -- A newer package may say more of a job than this function can keep.
  if schema_version > ${SCHEMA_VERSION} then
    raise undefined_function using message = pg_catalog.format(
      '%s is at schema version ${SCHEMA_VERSION}, and version %s is needed', ${quoteLiteral(qualify(table))}, schema_version);
  end if;

  with written as (
    insert into ${qualify(table)} as r (${facts.join(', ')}, ${TIME_COLUMNS.join(', ')})
    select ${facts.map((name) => (name === 'status' ? 'v.status' : `u.${name}`)).join(', ')}, ${TIME_VALUES}
    from ${told('updates')} u,
      lateral (select ${shownStatus('u.status', 'u.cancellation')} as status) v,
      ${times('u', 'u.first_processed_on', 'v.status')}
    order by u.queue collate pg_catalog."C", u.job_id collate pg_catalog."C"
    on conflict (queue, job_id) do update set
      (${newest.join(', ')}, ${kept.join(', ')}, status, ${TIME_COLUMNS.join(', ')}) = (
        select ${of('n', newest)}, ${of('k', kept)}, v.status, ${TIME_VALUES}
        from (
          select ${of('excluded', changing)} where ${newer}
          union all
          select ${of('r', changing)} where not ${newer}
        ) n, lateral (
          select ${named(merged('n', 'excluded', 'r'))}
        ) k, lateral (
          select ${shownStatus('n.status', 'k.cancellation')} as status
        ) v, ${times('n', 'k.first_processed_on', 'v.status')}
      )
    -- An older snapshot of which nothing is kept leaves the row untouched.
    where ${newer}
      or (${Object.values(merged('r', 'excluded', 'r')).join(', ')}) is distinct from (${of('r', kept)})
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
    ${saveAttempts(
      names,
      `select u.queue, u.job_id, u.created_at, e.*
    from ${told('beside')} u
    cross join lateral (
      -- One by one and by the key alone: so no plan that is kept from when the table was small reads all of it.
      select r.created_at, r.attempt, r.processed_on from ${qualify(table)} r
      where r.queue = u.queue and r.job_id = u.job_id limit 1
    ) r
    cross join lateral (
      select ${recordOf('u')} where u.processed_on is not null and not ${isSameAttempt('u', 'r')}
      union all
      select ${of('e', Object.keys(RECORD))} from pg_catalog.jsonb_to_recordset(u.earlier_attempts) as e(${typed(RECORD)})
      where not ${isSameAttempt('e', 'u')}
    ) e
    where r.created_at = u.created_at`,
    )}
  end if;
  return merged;
end
`;
}
