import type { TableNames } from './names.ts';
import { triggersOf } from './triggers.ts';
import { writeBody } from './write.ts';

/** One function of the schema. Unlike the table it is replaced whole, so it has no steps. */
export interface SqlFunction {
  /** Its quoted name, and the types that tell it from others of that name. */
  readonly signature: string;
  /** Name and parameters, as `create function` takes them. */
  readonly declaration: string;
  readonly returns: string;
  /** Whether it changes nothing. */
  readonly isStable: boolean;
  /** What stands between the dollar quotes. */
  readonly body: string;
}

/** The functions that stores call. */
export function functionsOf(names: TableNames): readonly SqlFunction[] {
  const write = names.qualify(names.writeFunction);
  const prune = names.qualify(names.pruneFunction);
  const byId = names.qualify(names.byIdFunction);
  return [
    {
      signature: `${write}(jsonb, integer)`,
      // The version is that which the caller needs.
      declaration: `${write}(updates jsonb, schema_version integer)`,
      returns: 'integer',
      isStable: false,
      body: writeBody(names),
    },
    {
      // As packages of the first version call it.
      signature: `${write}(jsonb)`,
      declaration: `${write}(updates jsonb)`,
      returns: 'integer',
      isStable: false,
      body: `\nbegin\n  return ${write}(updates, 1);\nend\n`,
    },
    {
      signature: `${prune}(timestamptz, text[], integer)`,
      declaration: `${prune}(older_than timestamptz, statuses text[], at_most integer)`,
      returns: 'integer',
      isStable: false,
      body: pruneBody(names),
    },
    {
      signature: `${byId}(text, text[])`,
      declaration: `${byId}(in_queue text, ids text[])`,
      returns: `setof ${names.qualify(names.table)}`,
      isStable: true,
      body: byIdBody(names),
    },
  ];
}

/** The functions that triggers run, and nobody calls. */
export function triggerFunctionsOf(names: TableNames): readonly SqlFunction[] {
  return triggersOf(names).map(({ name, body }) => {
    const signature = `${names.qualify(name)}()`;
    return { signature, declaration: signature, returns: 'trigger', isStable: false, body };
  });
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

function byIdBody({ qualify, table }: TableNames): string {
  return `
-- Rows by their ids, of one queue or, where none is named, of all.
begin
  return query select t.* from ${qualify(table)} t
    where (in_queue is null or t.queue = in_queue) and t.job_id = any (ids);
end
`;
}
