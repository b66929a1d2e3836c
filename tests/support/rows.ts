import type { StatusQuery } from '../../src/store.ts';
import type { JobStatus } from '../../src/types.ts';
import type { WholeStore } from './stores.ts';

/** Every row that matches, page by page. */
export async function readAll(
  store: Pick<WholeStore, 'list'>,
  query: StatusQuery,
): Promise<JobStatus[]> {
  const rows: JobStatus[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list({ ...query, cursor });
    rows.push(...page.items);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return rows;
}

/** A row as text in which equal rows are equal: quick to compare by the thousand, where `toEqual` takes minutes. */
export function asText(row: unknown): string {
  return JSON.stringify(sorted(row));
}

/** With its keys in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  const entries = Object.entries(value).map(([key, field]) => [key, sorted(field)] as const);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
