import { MAX_EARLIER_ATTEMPTS } from '../attempts.ts';
import { recordOf, saveAttempts } from './attempts.ts';
import { isSameAttempt } from './law.ts';
import { quoteIdentifier, type TableNames } from './names.ts';

/*
 * What a row was is known to its trigger alone, where two writers meet, so it is a trigger that keeps the
 * attempt which a row leaves. It runs while the row is locked, as all does that changes a job's attempts.
 */

/** A trigger, and the body of the function of the same name that it runs. */
export interface SqlTrigger {
  /** As it is, not quoted. */
  readonly name: string;
  readonly table: string;
  /** What stands between its name and its function. */
  readonly event: string;
  readonly body: string;
}

export function triggersOf(names: TableNames): readonly SqlTrigger[] {
  const { table, attemptsTable, qualify } = names;
  return [
    {
      name: names.keepFunction,
      table,
      event: `after update on ${qualify(table)} for each row when (
    old.created_at <> new.created_at
    or (old.processed_on is not null and not ${isSameAttempt('old', 'new')})
  )`,
      body: keepBody(names),
    },
    {
      name: names.boundFunction,
      table: attemptsTable,
      event: `after insert on ${qualify(attemptsTable)} for each row`,
      body: boundBody(names),
    },
  ];
}

/** The statement that makes a trigger. */
export function createTrigger({ name, event }: SqlTrigger, { qualify }: TableNames): string {
  return `create trigger ${quoteIdentifier(name)} ${event} execute function ${qualify(name)}();`;
}

function keepBody(names: TableNames): string {
  return `
-- Keeps the attempt that a row leaves for another, and none of an earlier job with its id.
begin
  if old.created_at <> new.created_at then
    delete from ${names.qualify(names.attemptsTable)} a
    where a.queue = new.queue and a.job_id = new.job_id and a.created_at <> new.created_at;
    return null;
  end if;
  ${saveAttempts(names, `values (old.queue, old.job_id, old.created_at, ${recordOf('old')})`)}
  return null;
end
`;
}

function boundBody({ qualify, attemptsTable }: TableNames): string {
  const table = qualify(attemptsTable);
  const ofJob = (row: string) =>
    `${row}.queue = new.queue and ${row}.job_id = new.job_id and ${row}.created_at = new.created_at`;
  return `
-- Of a job's attempts the last ${MAX_EARLIER_ATTEMPTS} stay, by their starts.
begin
  delete from ${table} a where ${ofJob('a')} and (a.processed_on, a.attempt) < (
    select b.processed_on, b.attempt from ${table} b where ${ofJob('b')}
    order by b.processed_on desc, b.attempt desc offset ${MAX_EARLIER_ATTEMPTS - 1} limit 1
  );
  return null;
end
`;
}
