import { quoteIdentifier, type TableNames } from '../names.ts';

/**
 * An index that counts by status alone, or by status and queue: a seventh of the size of one that tells rows
 * apart, for Postgres keeps a key that many rows share once. When jobs ended stands in an index of those that
 * did, so that a job that starts costs no more than before.
 */
export function indexForCounting({ table, qualify }: TableNames): string {
  const own = (ending: string) => quoteIdentifier(`${table}_${ending}`);
  return `drop index if exists ${qualify(`${table}_status_idx`)};
create index ${own('status_idx')} on ${qualify(table)} (status, queue);
create index ${own('finished_idx')} on ${qualify(table)} (status, finished_at, queue) where finished_at is not null;
analyze ${qualify(table)};`;
}
