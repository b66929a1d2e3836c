import { isNewer, TIME_COLUMNS, TIME_VALUES, times } from './law.ts';
import { quoteLiteral, type TableNames } from './names.ts';
import { SCHEMA_VERSION } from './version.ts';

/** One function of the schema. Unlike the table it is replaced whole, so it has no steps. */
export interface SqlFunction {
  /** Its quoted name, and the types that tell it from others of that name. */
  readonly signature: string;
  /** Name and parameters, as `create function` takes them. */
  readonly declaration: string;
  /** What stands between the dollar quotes. */
  readonly body: string;
}

export function functionsOf(names: TableNames): readonly SqlFunction[] {
  const write = names.qualify(names.writeFunction);
  const prune = names.qualify(names.pruneFunction);
  return [
    {
      signature: `${write}(jsonb, integer)`,
      // The version is that which the caller needs.
      declaration: `${write}(updates jsonb, schema_version integer)`,
      body: writeBody(names),
    },
    {
      // As packages of the first version call it.
      signature: `${write}(jsonb)`,
      declaration: `${write}(updates jsonb)`,
      body: `\nbegin\n  return ${write}(updates, 1);\nend\n`,
    },
    {
      signature: `${prune}(timestamptz, text[], integer)`,
      declaration: `${prune}(older_than timestamptz, statuses text[], at_most integer)`,
      body: pruneBody(names),
    },
  ];
}

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
  altered: 'jsonb',
  created_at: 'timestamptz',
  processed_on: 'bigint',
  finished_on: 'bigint',
  first_processed_on: 'bigint',
  updated_at: 'timestamptz',
  sequence: 'bigint',
} as const;

function writeBody({ qualify, table }: TableNames): string {
  const columns = Object.entries(FACTS);
  const facts = columns.map(([name]) => name);
  const changing = facts.filter(
    (name) => !['queue', 'job_id', 'first_processed_on'].includes(name),
  );
  return `
-- Merges a batch of snapshots, each job at most once, by the law that src/merge.ts states: in one statement,
-- atomic for each row. Rows are taken in the order of their keys, so that two batches can't deadlock.
#variable_conflict use_column
declare
  merged integer;
begin
  -- A newer package may say more of a job than this function can keep.
  if schema_version > ${SCHEMA_VERSION} then
    raise undefined_function using message = pg_catalog.format(
      '%s is at schema version ${SCHEMA_VERSION}, and version %s is needed', ${quoteLiteral(qualify(table))}, schema_version);
  end if;
  insert into ${qualify(table)} as r (${facts.join(', ')}, ${TIME_COLUMNS.join(', ')})
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
`;
}

function pruneBody({ qualify, table }: TableNames): string {
  return `
-- Deletes up to so many rows of jobs that ended before a time, of each status the oldest first. Rows that a
-- write holds are passed over, to be found the next time: so this waits for nobody, and can't deadlock.
declare
  each_status text;
  deleted integer;
  pruned integer := 0;
begin
  foreach each_status in array statuses loop
    with old as materialized (
      select o.queue, o.job_id from ${qualify(table)} o
      where o.status = each_status and o.finished_at < older_than
      order by o.finished_at limit greatest(at_most - pruned, 0)
      for update skip locked
    )
    delete from ${qualify(table)} t using old where t.queue = old.queue and t.job_id = old.job_id;
    get diagnostics deleted = row_count;
    pruned := pruned + deleted;
  end loop;
  return pruned;
end
`;
}
