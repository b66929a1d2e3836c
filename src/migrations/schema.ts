import { isNewer, TIME_COLUMNS, TIME_VALUES, times } from './law.ts';
import {
  dollarTag,
  quoteIdentifier,
  quoteLiteral,
  tableNames,
  type TableOptions,
} from './names.ts';
import { JOB_STATES } from '../types.ts';

/** The version of the database's objects, kept as the comment of the table and of the function. */
const SCHEMA_VERSION = 1;

/** Every column in the order of the table: its name and type. A batch's records have the same names. */
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
  altered: 'jsonb',
  created_at: 'timestamptz',
  processed_on: 'bigint',
  finished_on: 'bigint',
  first_processed_on: 'bigint',
  updated_at: 'timestamptz',
  sequence: 'bigint',
} as const;

const NULLABLE = [
  'progress',
  'result',
  'error',
  'data',
  'metadata',
  'worker',
  'delayed_until',
  'altered',
  'processed_on',
  'finished_on',
  'first_processed_on',
];

/**
 * The SQL of everything the Postgres and Supabase stores need: table, constraint, indexes, the merge
 * function, and who may use them. Run it in one transaction, as `migrate` does. It may be run again, and
 * by many at once: where all is there already it locks nothing that a query waits for, and leaves
 * rights that you have granted since. For Supabase, save it as a file in `supabase/migrations`.
 *
 * @throws {InvalidArgumentError} where a name is empty, too long, or holds `U+0000`
 */
export function migrationSql(options?: TableOptions): string {
  const names = tableNames(options);
  const tag = dollarTag(names);
  const schema = quoteIdentifier(names.schema);
  const table = `${schema}.${quoteIdentifier(names.table)}`;
  const write = `${schema}.${quoteIdentifier(names.writeFunction)}`;
  const columns = Object.entries(FACTS);
  const facts = columns.map(([name]) => name);
  const changing = facts.filter(
    (name) => !['queue', 'job_id', 'first_processed_on'].includes(name),
  );
  const index = (name: string) => quoteIdentifier(`${names.table}_${name}`);
  const isMissing = (name: string) =>
    `pg_catalog.to_regclass(${quoteLiteral(`${schema}.${name}`)}) is null`;

  return `-- bullmq-job-status, schema version ${SCHEMA_VERSION}: run it in one transaction, again or by many at once.
select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('bullmq-job-status'));

-- Asked for first, since \`create schema\` wants its right even where there is nothing to create.
do ${tag}
begin
  if pg_catalog.to_regnamespace(${quoteLiteral(schema)}) is null then
    create schema ${schema};
  end if;
end
${tag};

create table if not exists ${table} (
${columns.map(([name, type]) => `  ${name} ${type}${NULLABLE.includes(name) ? '' : ' not null'},`).join('\n')}
  started_at timestamptz,
  started_at_inferred boolean not null default false,
  attempt_started_at timestamptz,
  completed_at timestamptz,
  failed_at timestamptz,
  cancelled_at timestamptz,
  primary key (queue, job_id),
  constraint ${quoteIdentifier(names.statusCheck)} check (status in (${JOB_STATES.map(quoteLiteral).join(', ')})),
  -- The time law: created < started <= attempt started < ended, each step 1 ms at least.
  constraint ${quoteIdentifier(names.timestampsCheck)} check (
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
create or replace function ${write}(updates jsonb) returns integer
language plpgsql security invoker set search_path = '' as ${tag}
#variable_conflict use_column
declare
  merged integer;
begin
  insert into ${table} as r (${facts.join(', ')}, ${TIME_COLUMNS.join(', ')})
  select ${facts.map((name) => `u.${name}`).join(', ')}, ${TIME_VALUES}
  from pg_catalog.jsonb_to_recordset(updates) as u(${columns.map(([name, type]) => `${name} ${type}`).join(', ')}),
    ${times('u', 'u.first_processed_on')}
  order by u.queue collate pg_catalog."C", u.job_id collate pg_catalog."C"
  on conflict (queue, job_id) do update set
    (${changing.join(', ')}, first_processed_on, ${TIME_COLUMNS.join(', ')}) = (
      select ${changing.map((name) => `f.${name}`).join(', ')}, k.first_processed_on, ${TIME_VALUES}
      from (
        select ${changing.map((name) => `excluded.${name}`).join(', ')}, excluded.first_processed_on where ${isNewer('excluded', 'r')}
        union all
        select ${changing.map((name) => `r.${name}`).join(', ')}, r.first_processed_on where not ${isNewer('excluded', 'r')}
      ) f, lateral (
        -- Of the older snapshot an earlier start is kept, where it is of the same job.
        select case when excluded.created_at = r.created_at
          then least(excluded.first_processed_on, r.first_processed_on)
          else f.first_processed_on end as first_processed_on
      ) k, ${times('f', 'k.first_processed_on')}
    )
  -- An older snapshot that knows no earlier start leaves the row untouched.
  where ${isNewer('excluded', 'r')}
    or (excluded.created_at = r.created_at
      and excluded.first_processed_on < coalesce(r.first_processed_on, excluded.first_processed_on + 1));
  get diagnostics merged = row_count;
  return merged;
end
${tag};

-- What takes a lock, or away a right, is done only the first time: queries go on while this is run
-- again, and what you have granted stays.
do ${tag}
declare
  version constant text := ${quoteLiteral(`bullmq-job-status, schema version ${SCHEMA_VERSION}`)};
  is_new_table constant boolean := pg_catalog.obj_description(${quoteLiteral(table)}::pg_catalog.regclass, 'pg_class') is distinct from version;
  is_new_function constant boolean := pg_catalog.obj_description(${quoteLiteral(`${write}(jsonb)`)}::pg_catalog.regprocedure, 'pg_proc') is distinct from version;
  role text;
begin
  -- Neither index holds a column that changes, so an update can stay within its page.
  if ${isMissing(index('created_idx'))} then
    create index ${index('created_idx')} on ${table} (created_at, queue, job_id);
  end if;
  if ${isMissing(index('queue_idx'))} then
    create index ${index('queue_idx')} on ${table} (queue, created_at, job_id);
  end if;

  -- Nobody but the owner and the server's own role: rows are for others by rights and policies of your own.
  if is_new_table then
    alter table ${table} enable row level security;
    revoke all on table ${table} from public;
    comment on table ${table} is ${quoteLiteral(`bullmq-job-status, schema version ${SCHEMA_VERSION}`)};
  end if;
  if is_new_function then
    revoke all on function ${write}(jsonb) from public;
    comment on function ${write}(jsonb) is ${quoteLiteral(`bullmq-job-status, schema version ${SCHEMA_VERSION}`)};
  end if;
  for role in select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated', 'service_role') loop
    -- By name, for Supabase grants new tables and functions to each of the three.
    if is_new_table then
      execute pg_catalog.format('revoke all on table %s from %I', ${quoteLiteral(table)}, role);
    end if;
    if is_new_function then
      execute pg_catalog.format('revoke all on function %s(jsonb) from %I', ${quoteLiteral(write)}, role);
    end if;
    if role = 'service_role' then
      execute pg_catalog.format('grant usage on schema %s to %I', ${quoteLiteral(schema)}, role);
      execute pg_catalog.format('grant select, insert, update, delete on table %s to %I', ${quoteLiteral(table)}, role);
      execute pg_catalog.format('grant execute on function %s(jsonb) to %I', ${quoteLiteral(write)}, role);
    end if;
  end loop;
end
${tag};

-- Tells PostgREST, which Supabase's API is, to look at the schema again.
notify pgrst, 'reload schema';
`;
}
