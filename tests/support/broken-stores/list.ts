import type { StatusQuery } from '../../../src/store.ts';
import { MemoryStatusStore } from '../../../src/stores/memory.ts';
import { toCursor } from '../../../src/stores/query.ts';
import type { StatusUpdate } from '../../../src/types.ts';
import type { BrokenStore } from './base.ts';
import {
  askedFor,
  byCount,
  byPlace,
  compare,
  DEFAULT,
  indexed,
  listedBy,
  placeOf,
  without,
} from './paging.ts';

/* Pages of rows: their order, and where the next one begins. */

export const LIST: readonly BrokenStore[] = [
  {
    mistake: 'the oldest rows come first',
    law: 'List',
    shows: 'createdAt does not fall',
    createStore: listedBy((all, query) =>
      byPlace(all, query, (row) => [-row.createdAt.getTime(), row.queue, row.jobId]),
    ),
  },
  {
    mistake: 'the cursor counts rows, so that pages shift while rows come and go',
    law: 'List',
    by: 'pages are right while rows change',
    shows: /(distinct|count): expected \d+, got/,
    createStore: listedBy(byCount),
  },
  {
    mistake: 'the cursor is `createdAt` alone, so that rows of one millisecond are lost',
    law: 'List',
    shows: 'expected',
    createStore: listedBy((all, query) => byPlace(all, query, (row) => [+row.createdAt])),
  },
  {
    mistake: 'the cursor is `createdAt` alone, so that rows of one millisecond come twice',
    law: 'List',
    shows: 'expected',
    createStore: listedBy((all, query) =>
      byPlace(
        all,
        query,
        (row) => [+row.createdAt],
        (place, cursor) => compare(place, cursor) <= 0,
      ),
    ),
  },
  {
    mistake: 'rows come in the order in which they last changed',
    law: 'List',
    shows: 'createdAt does not fall',
    createStore: listedBy((all, query) =>
      byPlace(all, query, (row) => [+row.updatedAt, row.queue, row.jobId]),
    ),
  },
  {
    mistake: 'a full page has a cursor, though it is the last',
    law: 'List',
    by: 'the last page has no cursor',
    shows: 'pages',
    createStore: () =>
      new (class extends MemoryStatusStore {
        override async list(query: StatusQuery = {}) {
          const { items } = await super.list(query);
          const isFull = items.length === (query.limit ?? DEFAULT);
          return { items, nextCursor: isFull ? toCursor(items.at(-1)!) : null };
        }
      })(),
  },
  {
    mistake: 'a page has 10 rows unless asked',
    law: 'List',
    by: 'the last page has no cursor',
    shows: 'pages',
    createStore: askedFor((query) => ('limit' in query ? query : { ...query, limit: 10 })),
  },
  {
    mistake: 'rows that are listed lack what makes them large',
    law: 'List',
    by: 'every row once, newest first, page by page, as get gives it',
    shows: 'data: expected',
    createStore: listedBy((all, query) =>
      byPlace(
        all.map((row) => ({ ...row, data: null })),
        query,
        placeOf,
      ),
    ),
  },
  {
    mistake: 'a list without a query is an error',
    law: 'List',
    shows: 'Cannot read properties',
    createStore: () =>
      new (class extends MemoryStatusStore {
        override list = (query?: StatusQuery) =>
          super.list({ ...query, queue: (query as StatusQuery).queue });
      })(),
  },
  {
    mistake: 'a cursor is no place among rows of one id in several queues',
    law: 'List',
    shows: 'expected',
    createStore: listedBy((all, query) =>
      byPlace(all, query, (row) => [+row.createdAt, row.jobId]),
    ),
  },
  {
    mistake: 'a row stays in the index of the status that it had',
    law: 'List',
    shows: 'status',
    createStore: indexed(
      (row) => row.status,
      async (all, query, seen) => {
        const wanted = new Set<unknown>([query.status ?? []].flat());
        const rows = await all(without(query, 'status'));
        const found = rows.filter(
          (row) => query.status === undefined || seen(row).some((each) => wanted.has(each)),
        );
        return byPlace(found, query, placeOf);
      },
    ),
  },
  {
    mistake: 'a row stays where it was listed first, though its id was used again since',
    law: 'List',
    shows: 'createdAt does not fall',
    createStore: indexed(
      (row) => row.createdAt.getTime(),
      async (all, query, seen) =>
        byPlace(await all(query), query, (row) => [Number(seen(row)[0]), row.queue, row.jobId]),
    ),
  },
  {
    mistake: 'rows that were deleted are still listed',
    law: 'Delete',
    shows: 'listed: expected',
    createStore: () => {
      const listed = new MemoryStatusStore();
      return new (class extends MemoryStatusStore {
        override async write(updates: readonly StatusUpdate[]) {
          await super.write(updates);
          await listed.write(updates);
        }
        override list = (query?: StatusQuery) => listed.list(query);
      })();
    },
  },
];
