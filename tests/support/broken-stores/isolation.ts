import { keyOf } from '../../../src/key.ts';
import { mergeUpdates, toStatus } from '../../../src/merge.ts';
import { MemoryStatusStore } from '../../../src/stores/memory.ts';
import type { JobStatus, StatusUpdate } from '../../../src/types.ts';
import { storeWith, type BrokenStore } from './base.ts';

/* Whose objects are whose. */

export const ISOLATION: readonly BrokenStore[] = [
  {
    mistake: 'get gives the very row that is kept',
    law: 'Isolation',
    by: 'a row that get gave may be changed',
    shows: 'spoilt',
    createStore() {
      const rows = new Map<string, JobStatus>();
      const store = storeWith();
      return {
        ...store,
        async write(updates) {
          await store.write(updates);
          for (const update of updates) {
            const row = await store.get(update);
            if (row !== undefined) rows.set(keyOf(update), row);
          }
        },
        get: async (key) => rows.get(keyOf(key)),
      };
    },
  },
  {
    mistake: 'write keeps the very objects that it was given',
    law: 'Isolation',
    by: 'what write was given may be changed afterwards',
    shows: 'spoilt',
    createStore() {
      const told = new Map<string, StatusUpdate>();
      return {
        async write(updates) {
          for (const update of updates) {
            const before = told.get(keyOf(update));
            const after = before === undefined ? update : mergeUpdates(before, update);
            toStatus(after);
            told.set(keyOf(update), after);
          }
        },
        async get(key) {
          const kept = told.get(keyOf(key));
          return kept && structuredClone(toStatus(kept));
        },
      };
    },
  },
  {
    mistake: 'write changes what it was given',
    law: 'Isolation',
    by: 'what write was given may be changed afterwards, and was not changed by it',
    shows: 'updates',
    createStore() {
      const store = storeWith();
      return {
        ...store,
        async write(updates) {
          await store.write(updates);
          for (const update of updates)
            Object.assign(update, { result: JSON.stringify(update.result) });
        },
      };
    },
  },
  {
    mistake: 'write puts a batch in order where it stands',
    law: 'Isolation',
    by: 'a batch that was given to write stays as it is',
    shows: 'updates',
    createStore() {
      const store = storeWith();
      return {
        ...store,
        async write(updates) {
          (updates as StatusUpdate[]).sort((a, b) => b.sequence - a.sequence);
          await store.write(updates);
        },
      };
    },
  },
  {
    mistake: 'list gives the very rows that are kept',
    law: 'Isolation',
    by: 'rows and attempts that were listed',
    shows: 'spoilt',
    createStore() {
      const rows = new Map<string, JobStatus>();
      return new (class extends MemoryStatusStore {
        override async list(...query: Parameters<MemoryStatusStore['list']>) {
          const page = await super.list(...query);
          const kept = page.items.map((row) => {
            const before = rows.get(keyOf(row)) ?? row;
            rows.set(keyOf(row), before);
            return before;
          });
          return { ...page, items: kept };
        }
      })();
    },
  },
];
