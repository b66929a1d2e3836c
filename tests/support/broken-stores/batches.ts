import { keyOf } from '../../../src/key.ts';
import { storeWith, type BrokenStore } from './base.ts';

/* Batches of which not all is written. */

export const BATCHES: readonly BrokenStore[] = [
  {
    mistake: 'of a batch that is written in chunks of 100 the last is dropped, unless it is full',
    law: 'Batches',
    shows: 'there is no row',
    createStore: () =>
      storeWith({
        take: (updates) =>
          updates.slice(0, updates.length - (updates.length > 100 ? updates.length % 100 : 0)),
      }),
  },
  {
    mistake: 'of a batch no more than 500 are written',
    law: 'Batches',
    shows: 'there is no row',
    createStore: () => storeWith({ take: (updates) => updates.slice(0, 500) }),
  },
  {
    mistake: 'of several snapshots of one job in a batch the last alone is kept',
    law: 'Merge',
    by: 'a job that stands in one batch several times',
    shows: 'expected',
    shortest: 2,
    createStore: () =>
      storeWith({
        take: (updates) => [...new Map(updates.map((each) => [keyOf(each), each])).values()],
      }),
  },
  {
    mistake: 'a job that stands in a batch several times is an error',
    law: 'Merge',
    by: 'a job that stands in one batch several times',
    shows: 'cannot affect row a second time',
    createStore: () =>
      storeWith({
        take(updates) {
          if (new Set(updates.map(keyOf)).size === updates.length) return updates;
          throw new Error('ON CONFLICT DO UPDATE command cannot affect row a second time');
        },
      }),
  },
  {
    mistake: 'an empty batch is an error',
    law: 'Batches',
    by: 'an empty one is no error',
    shows: 'syntax error',
    createStore: () =>
      storeWith({
        take(updates) {
          if (updates.length > 0) return updates;
          throw new Error('syntax error at or near ")"');
        },
      }),
  },
  {
    mistake: 'a batch of more than 100 rows has too many parameters',
    law: 'Batches',
    shows: 'too many SQL variables',
    createStore: () =>
      storeWith({
        take(updates) {
          if (updates.length <= 100) return updates;
          throw new Error('too many SQL variables');
        },
      }),
  },
];
