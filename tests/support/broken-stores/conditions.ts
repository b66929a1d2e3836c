import type { StatusQuery } from '../../../src/store.ts';
import { MemoryStatusStore } from '../../../src/stores/memory.ts';
import type { BrokenStore } from './base.ts';
import { askedFor, FILTERS, onlyKnown, without } from './paging.ts';

/* Which rows match. */

export const CONDITIONS: readonly BrokenStore[] = [
  {
    mistake: 'rows of every queue are listed',
    law: 'List',
    shows: 'expected',
    createStore: askedFor((query) => without(query, 'queue')),
  },
  {
    mistake: 'a condition that is not known is passed over',
    law: 'List',
    by: 'a condition that it does not know is refused',
    shows: 'was not refused',
    capabilities: { filters: FILTERS.filter((field) => field !== 'metadata') },
    createStore: askedFor((query) => without(query, 'metadata')),
  },
  {
    mistake: 'of several statuses the first alone is looked for',
    law: 'List',
    by: 'every condition',
    shows: "status: [ 'completed', 'failed' ]",
    createStore: askedFor((query) => ({
      ...query,
      ...(query.status !== undefined && { status: [query.status].flat().slice(0, 1) }),
    })),
  },
  {
    mistake: 'a list of no statuses means any',
    law: 'List',
    by: 'every condition',
    shows: 'status: []',
    createStore: askedFor(({ status, ...query }) => ({
      ...query,
      ...(status?.length !== 0 && { status }),
    })),
  },
  {
    mistake: 'names are compared in lower case',
    law: 'List',
    by: 'every condition',
    shows: "name: 'First'",
    createStore: askedFor((query) => ({
      ...query,
      ...(query.name !== undefined && { name: query.name.toLowerCase() }),
    })),
  },
  {
    mistake: 'the end of a range is part of it',
    law: 'List',
    by: 'every condition',
    shows: 'createdBefore',
    createStore: askedFor((query) => ({
      ...query,
      ...(query.createdBefore && { createdBefore: new Date(+query.createdBefore + 1) }),
    })),
  },
  {
    mistake: 'the begin of a range is not part of it',
    law: 'List',
    by: 'every condition',
    shows: 'createdFrom',
    createStore: askedFor((query) => ({
      ...query,
      ...(query.createdFrom && { createdFrom: new Date(+query.createdFrom + 1) }),
    })),
  },
  {
    mistake: 'an end is looked for in `updatedAt`',
    law: 'List',
    by: 'every condition',
    shows: 'finishedBefore',
    createStore: askedFor(({ finishedBefore, ...query }) => ({
      ...query,
      ...(finishedBefore && { updatedBefore: finishedBefore }),
    })),
  },
  {
    mistake: 'a condition that is misspelt matches every row',
    law: 'List',
    shows: 'was not refused',
    createStore: askedFor((query) => onlyKnown(query)),
  },
];

export const COUNT: readonly BrokenStore[] = [
  {
    mistake: 'a condition is passed over when rows are counted',
    law: 'Count',
    shows: 'count: expected',
    createStore: () =>
      new (class extends MemoryStatusStore {
        override count = (query: StatusQuery = {}) => super.count(without(query, 'metadata'));
      })(),
  },
  {
    mistake: 'the rows of one page are counted',
    law: 'Count',
    shows: 'count: expected',
    createStore: () =>
      new (class extends MemoryStatusStore {
        override count = async (query: StatusQuery = {}) => (await super.list(query)).items.length;
      })(),
  },
  {
    mistake: 'the count is text, as drivers give large numbers',
    law: 'Count',
    shows: /count: expected \d+, got '\d+'/,
    createStore: () =>
      new (class extends MemoryStatusStore {
        override count = async (query: StatusQuery = {}) =>
          String(await super.count(query)) as never as number;
      })(),
  },
];
