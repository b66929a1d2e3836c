import { isNewerInAttempt, mergedAttempt } from './law.ts';
import type { TableNames } from './names.ts';

/* The law of `attempts.ts` in SQL: all attempts of a job but its row's own, in a table beside it. */

/** The columns of an attempt, and their types; before them stand the job's key and `created_at`. */
export const RECORD = {
  attempt: 'integer',
  processed_on: 'bigint',
  status: 'text',
  removed_from: 'text',
  cancellation: 'jsonb',
  error: 'jsonb',
  worker: 'text',
  attempt_ended_on: 'bigint',
  attempt_failed: 'boolean',
  sequence: 'bigint',
} as const;

const COLUMNS = Object.keys(RECORD);
const KEY = ['queue', 'job_id', 'created_at'];

/** The attempt that a snapshot is of, as `recordOf` has it: values in the order of `RECORD`. */
export function recordOf(row: string): string {
  return COLUMNS.map((column) =>
    column === 'attempt_ended_on'
      ? `coalesce(${row}.attempt_ended_on, ${row}.finished_on)`
      : `${row}.${column}`,
  ).join(', ');
}

/** A statement that merges attempts into the table. @param source their keys, `created_at` and records */
export function saveAttempts({ qualify, attemptsTable }: TableNames, source: string): string {
  const kept = (newer: string) => mergedAttempt(newer, 'excluded', 'a');
  const keptColumns = Object.keys(kept('a'));
  const facts = ['status', 'removed_from', 'error', 'sequence'];
  const isNewer = isNewerInAttempt('excluded', 'a');
  const from = (row: string) => [...facts, ...keptColumns].map((column) => `${row}.${column}`);
  return `insert into ${qualify(attemptsTable)} as a (${[...KEY, ...COLUMNS].join(', ')})
  ${source}
  on conflict (queue, job_id, created_at, attempt, processed_on) do update set
    (${[...facts, ...keptColumns].join(', ')}) = (
      select ${facts.map((column) => `n.${column}`).join(', ')}, ${Object.values(kept('n')).join(', ')}
      from (
        select ${from('excluded').join(', ')} where ${isNewer}
        union all
        select ${from('a').join(', ')} where not ${isNewer}
      ) n
    )
  where ${isNewer}
    or (${Object.values(kept('a')).join(', ')}) is distinct from (${keptColumns.map((column) => `a.${column}`).join(', ')});`;
}
