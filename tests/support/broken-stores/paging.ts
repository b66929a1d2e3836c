import { keyOf } from '../../../src/key.ts';
import type { StatusFilter, StatusPage, StatusQuery } from '../../../src/store.ts';
import { MemoryStatusStore } from '../../../src/stores/memory.ts';
import type { JobStatus, StatusUpdate } from '../../../src/types.ts';

/* Other ways to make pages of rows. */

type Listed = (all: JobStatus[], query: StatusQuery) => StatusPage;

/** A store that makes pages in another way, of all the rows that match. */
export function listedBy(list: Listed) {
  return () =>
    new (class extends MemoryStatusStore {
      override async list(query: StatusQuery = {}) {
        const { cursor: _, ...first } = query;
        const all: JobStatus[] = [];
        let page: StatusPage = { items: [], nextCursor: '' };
        for (; page.nextCursor !== null; all.push(...page.items))
          page = await super.list({
            ...first,
            limit: 1_000,
            ...(page.nextCursor && { cursor: page.nextCursor }),
          });
        return list(all, query);
      }
    })();
}

/** A store that makes pages by what it has seen of rows when they were written, and forgets none of it. */
export function indexed(
  reading: (row: JobStatus) => unknown,
  list: (
    all: (query: StatusQuery) => Promise<JobStatus[]>,
    query: StatusQuery,
    seen: (row: JobStatus) => unknown[],
  ) => Promise<StatusPage>,
) {
  return () => {
    const index = new Map<string, unknown[]>();
    return new (class extends MemoryStatusStore {
      override async write(updates: readonly StatusUpdate[]) {
        await super.write(updates);
        for (const update of updates) {
          const row = await super.get(update);
          if (row === undefined) continue;
          index.set(keyOf(row), [...(index.get(keyOf(row)) ?? []), reading(row)]);
        }
      }
      override async list(query: StatusQuery = {}) {
        const all = async (filter: StatusQuery) =>
          (await super.list({ ...without(filter, 'cursor'), limit: 1_000 })).items;
        return list(all, query, (row) => index.get(keyOf(row)) ?? []);
      }
    })();
  };
}

/** A store that asks for something else than it was asked for. */
export function askedFor(change: (query: StatusQuery) => StatusQuery) {
  return () =>
    new (class extends MemoryStatusStore {
      override list = (query: StatusQuery = {}) => super.list(change(query));
      override count = (query: StatusQuery = {}) => super.count(change(query));
      override delete = (query: StatusFilter) => super.delete(change(query));
    })();
}

/** How many rows a page has unless asked. */
export const DEFAULT = 50;

/** As a right list has it. */
export const placeOf = (row: JobStatus) => [+row.createdAt, row.queue, row.jobId];

/** Pages that begin where a count of rows says. */
export function byCount(all: readonly JobStatus[], { limit = DEFAULT, cursor = '0' }: StatusQuery) {
  const end = Number(cursor) + limit;
  const nextCursor = end < all.length ? String(end) : null;
  return { items: all.slice(Number(cursor), end), nextCursor };
}

type Place = readonly (number | string)[];

/** Pages that begin after a place, the greatest first. */
export function byPlace(
  all: readonly JobStatus[],
  { limit = DEFAULT, cursor }: StatusQuery,
  placeOf: (row: JobStatus) => Place,
  isAfter = (place: Place, cursor: Place) => compare(place, cursor) < 0,
) {
  const sorted = all.toSorted((a, b) => compare(placeOf(b), placeOf(a)));
  const after = cursor === undefined ? undefined : (JSON.parse(cursor) as Place);
  const rest = sorted.filter((row) => after === undefined || isAfter(placeOf(row), after));
  const items = rest.slice(0, limit);
  const last = items.at(-1);
  const isLast = last === undefined || rest.length <= limit;
  return { items, nextCursor: isLast ? null : JSON.stringify(placeOf(last)) };
}

export function compare(a: Place, b: Place): number {
  const at = a.findIndex((part, n) => part !== b[n]);
  return at < 0 ? 0 : a[at]! < b[at]! ? -1 : 1;
}

/** A query without one of its conditions. */
export function without(query: StatusQuery, condition: keyof StatusQuery): StatusQuery {
  return Object.fromEntries(Object.entries(query).filter(([field]) => field !== condition));
}

/** A query without what is no condition. */
export function onlyKnown(query: StatusQuery): StatusQuery {
  const known = Object.entries(query).filter(([field]) => KNOWN.has(field));
  return Object.fromEntries(known);
}

/** The conditions that there are. */
export const FILTERS = [
  ...(['queue', 'jobId', 'name', 'status', 'createdFrom', 'createdBefore'] as const),
  ...(['finishedFrom', 'finishedBefore', 'updatedBefore', 'metadata'] as const),
] satisfies readonly (keyof StatusFilter)[];

const KNOWN = new Set<string>([...FILTERS, 'limit', 'cursor']);
