import { keyOf } from '../../../src/key.ts';
import { mergeUpdates, toStatus } from '../../../src/merge.ts';
import type { JobKey, StatusUpdate } from '../../../src/types.ts';
import { storeWith, type BrokenStore } from './base.ts';

/* Which row is whose. */

function keyedBy(keyOf: (key: JobKey) => string) {
  return () => storeWith({ keyOf });
}

export const KEYS: readonly BrokenStore[] = [
  {
    mistake: 'queues are mixed: rows are kept by the id alone',
    law: 'Keys',
    by: 'jobs of one id in several queues',
    shows: 'queue: expected',
    createStore: keyedBy(({ jobId }) => jobId),
  },
  {
    mistake: 'queue and id are joined by a colon',
    law: 'Keys',
    by: 'those that read alike when their parts are joined',
    shows: 'jobId: expected',
    createStore: keyedBy(({ queue, jobId }) => `${queue}:${jobId}`),
  },
  {
    mistake: 'queue and id are joined by nothing',
    law: 'Keys',
    by: 'those that read alike when their parts are joined',
    shows: 'jobId: expected',
    createStore: keyedBy(({ queue, jobId }) => queue + jobId),
  },
  {
    mistake: 'keys are compared in lower case',
    law: 'Keys',
    by: 'ids of any characters',
    shows: "jobId: expected 'A', got 'a'",
    createStore: keyedBy((key) => keyOf(key).toLowerCase()),
  },
  {
    mistake: 'ids are compared without the spaces around them',
    law: 'Keys',
    by: 'ids of any characters',
    shows: /jobId: expected '.*', got '.*'/,
    createStore: keyedBy(({ queue, jobId }) => keyOf({ queue, jobId: jobId.trim() })),
  },
  {
    mistake: 'ids are compared without regard to trailing spaces',
    law: 'Keys',
    by: 'ids of any characters',
    shows: "jobId: expected '1 ', got '1'",
    createStore: keyedBy(({ queue, jobId }) => keyOf({ queue, jobId: jobId.trimEnd() })),
  },
  {
    mistake: 'ids are compared without accents',
    law: 'Keys',
    by: 'ids of any characters',
    shows: /jobId: expected/,
    createStore: keyedBy((key) => keyOf(key).normalize('NFD').replaceAll(/\p{M}/gu, '')),
  },
  {
    mistake: 'ids are normalised',
    law: 'Keys',
    by: 'ids of any characters',
    shows: /jobId: expected/,
    createStore: keyedBy(({ queue, jobId }) => keyOf({ queue, jobId: jobId.normalize() })),
  },
  {
    mistake: 'ids that look like numbers are made numbers',
    law: 'Keys',
    by: 'ids of any characters',
    shows: /jobId: expected/,
    createStore: keyedBy(({ queue, jobId }) =>
      keyOf({ queue, jobId: /^[\d.]+$/.test(jobId) ? String(Number(jobId)) : jobId }),
    ),
  },
  {
    mistake: 'ids are cut at 100 characters',
    law: 'Keys',
    by: 'ids of any characters',
    shows: 'jobId: expected',
    createStore: keyedBy(({ queue, jobId }) => keyOf({ queue, jobId: jobId.slice(0, 100) })),
  },
  {
    mistake: 'rows are kept in an object that has keys of its own',
    law: 'Keys',
    by: 'ids of any characters',
    shows: 'getTime',
    createStore: () => {
      const queues = new Map<string, Record<string, StatusUpdate>>();
      const rowsOf = (queue: string) => {
        const rows = queues.get(queue) ?? {};
        queues.set(queue, rows);
        return rows;
      };
      return {
        async write(updates) {
          for (const update of structuredClone(updates)) {
            const rows = rowsOf(update.queue);
            const before = rows[update.jobId];
            const told = before === undefined ? update : mergeUpdates(before, update);
            toStatus(told);
            rows[update.jobId] = told;
          }
        },
        async get({ queue, jobId }) {
          const told = rowsOf(queue)[jobId];
          return told && structuredClone(toStatus(told));
        },
      };
    },
  },
  {
    mistake: 'a row that is not there is an error',
    law: 'Keys',
    by: 'a row that is not there is undefined',
    shows: 'not found',
    createStore() {
      const store = storeWith();
      return {
        ...store,
        async get(key) {
          const row = await store.get(key);
          if (row === undefined) throw new Error('not found');
          return row;
        },
      };
    },
  },
  {
    mistake: 'a row that is not there is null',
    law: 'Keys',
    by: 'a row that is not there is undefined',
    shows: 'gave null',
    createStore() {
      const store = storeWith();
      return { ...store, get: async (key) => (await store.get(key)) ?? (null as never) };
    },
  },
  {
    mistake: 'an id is read as a pattern',
    law: 'Keys',
    by: 'a row that is not there is undefined',
    shows: "jobId: '%'",
    createStore() {
      const store = storeWith();
      const get = (key: JobKey) => store.get(key.jobId === '%' ? { ...key, jobId: '1' } : key);
      return { ...store, get };
    },
  },
];
