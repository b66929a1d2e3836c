import { MAX_CHILDREN } from '../merge.ts';
import { FIELDS, FIELDS_OF } from './fields.ts';
import type { Parts } from './reader.ts';

/*
 * What is asked of a queue on BullMQ's Postgres backend: each a single statement, so one snapshot. The schema
 * is named, so that the pool of a program may look for its tables wherever it likes; values come as text, so
 * that it may also read types as it likes.
 */

export interface PostgresSql {
  /** Jobs: $1 queue, $2 ids. */
  readonly read: (parts: Parts) => string;
  /** The ids of jobs that have not ended: $1 queue. */
  readonly unfinished: string;
  /** The ids of jobs that have ended, and when: $1 queue, $2 since when. */
  readonly ended: string;
  /** All events there are, by their ids alone; parameters as of `changes`. */
  readonly last: string;
  /** Events that were not read: $1 queue, $2 floor, $3 ids read, $4 limit, $5 the mark's transaction. */
  readonly changes: string;
  /** Whether there are such events: $1 queue, $2 floor, $3 ids read. */
  readonly hasNews: string;
}

export function postgresSql(schemaName: string): PostgresSql {
  const schema = `"${schemaName.replaceAll('"', '""')}"`;

  const events = `${schema}.event where queue = $1 and id > $2::bigint`;
  const unread = `
${events} and not exists (select from unnest($3::bigint[]) as read (read_id) where read_id = id)`;

  const look = (told: string) => `
with unread as materialized (
  select id, event, data, created_at_ms from ${unread} order by id limit $4::bigint
), state as (
  select
    pg_snapshot_xmin(pg_current_snapshot()) >= $5::xid8 as settled,
    exists (select from unread) or cardinality($3::bigint[]) > 0 as is_marked
)
select
  (select max(id) from ${schema}.event where queue = $1)::text as newest,
  (select min(id) from ${events})::text as lowest,
  coalesce(settled, false)::text as settled,
  case when $5::xid8 is null and is_marked then pg_current_xact_id()::text end as transaction,
  coalesce((select json_agg(${told} order by id) from unread), '[]')::text as events
from state`;

  return {
    read: (parts) => `
select id,
  case when state = 'waiting' and priority > 0 then 'prioritized' else state::text end as state,
  process_at_ms::text as delayed_until,
  ${FIELDS.map((field) => `${FIELDS_OF[parts].includes(field) ? COLUMNS[field] : 'null'} as "${field}"`).join(',\n  ')},
  array_to_json(array(
    select json_build_object('queue', child_queue, 'jobId', child_id) from ${schema}.job_dependency as child
    where child.parent_queue = job.queue and child.parent_id = job.id
    order by child_key limit ${MAX_CHILDREN}
  ))::text as children
from ${schema}.job as job where queue = $1 and id = any($2::text[])`,

    // One for each state, for each has an index of its own; those of ended jobs are by far the most.
    unfinished: ['waiting', 'active', 'delayed', 'waiting-children']
      .map((state) => `select id from ${schema}.job where queue = $1 and state = '${state}'`)
      .join('\nunion all\n'),

    ended: ['completed', 'failed']
      .map(
        (state) =>
          `select id, finished_at_ms::text as ended_on from ${schema}.job
where queue = $1 and state = '${state}' and finished_at_ms >= $2::bigint`,
      )
      .join('\nunion all\n'),

    last: look('json_build_array(id)'),
    changes: look(`json_build_array(
      id, event, created_at_ms, data ->> 'jobId',
      case event when 'completed' then data ->> 'returnvalue' when 'failed' then data ->> 'failedReason' when 'removed' then data ->> 'prev' end
    )`),
    hasNews: `select exists (select from ${unread})::text as news`,
  };
}

/** What the columns are where Redis has a hash's fields. */
const COLUMNS: Readonly<Record<(typeof FIELDS)[number], string>> = {
  name: 'name',
  // As workers have it: BullMQ gives them `{}` for null.
  data: `nullif(data, 'null')::text`,
  opts: 'opts::text',
  progress: 'progress::text',
  delay: 'delay_ms::text',
  priority: 'priority::text',
  timestamp: 'added_at_ms::text',
  processedOn: 'processed_at_ms::text',
  finishedOn: 'finished_at_ms::text',
  ats: 'attempts_started::text',
  atm: 'attempts_made::text',
  attemptsMade: 'null::text',
  failedReason: 'failed_reason',
  stacktrace: 'stacktrace::text',
  returnvalue: 'return_value::text',
  parent: `case when parent_id is not null then
    json_build_object('id', parent_id, 'queueKey', coalesce(parent_queue, ''))::text
  end`,
  parentKey: 'parent_key',
  rjk: 'scheduler_id',
  deid: 'dedup_id',
  pb: 'processed_by',
};
