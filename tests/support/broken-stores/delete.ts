import { keyOf } from '../../../src/key.ts';
import type { StatusFilter } from '../../../src/store.ts';
import { MemoryStatusStore } from '../../../src/stores/memory.ts';
import { JOB_STATES, type JobKey } from '../../../src/types.ts';
import { storeWith, type BrokenStore } from './base.ts';
import { onlyKnown, without } from './paging.ts';

/* What is deleted, and what is not. */

/** A store that deletes in another way. @param right how it should */
function deletedBy(
  remove: (query: StatusFilter, right: (query: StatusFilter) => Promise<number>) => Promise<number>,
) {
  return () =>
    new (class extends MemoryStatusStore {
      override delete = (query: StatusFilter) => remove(query, (each) => super.delete(each));
    })();
}

export const DELETE: readonly BrokenStore[] = [
  {
    mistake: 'a delete without a condition deletes every row',
    law: 'Delete',
    by: 'without a condition it is refused',
    shows: 'was not refused',
    createStore: deletedBy((query, right) =>
      right(
        Object.values(query).every((each) => each === undefined) ? { status: JOB_STATES } : query,
      ),
    ),
  },
  {
    mistake: 'a delete whose only condition is misspelt deletes every row',
    law: 'Delete',
    shows: 'was not refused',
    createStore: deletedBy((query, right) => {
      if (Object.values(query).every((each) => each === undefined)) return right(query);
      const known = onlyKnown(query);
      return right(Object.keys(known).length > 0 ? known : { status: JOB_STATES });
    }),
  },
  {
    mistake: 'a list of no ids means any',
    law: 'Delete',
    shows: 'jobId: []',
    createStore: deletedBy(({ jobId, ...query }, right) =>
      right(jobId?.length === 0 ? query : { jobId, ...query }),
    ),
  },
  {
    mistake: 'a list of no statuses means any',
    law: 'Delete',
    shows: 'status: []',
    createStore: deletedBy(({ status, ...query }, right) =>
      right(status?.length === 0 ? query : { status, ...query }),
    ),
  },
  {
    mistake: 'a condition is passed over when rows are deleted',
    law: 'Delete',
    shows: 'is gone',
    createStore: deletedBy((query, right) => right(without(query, 'status'))),
  },
  {
    mistake: 'rows of every queue are deleted',
    law: 'Delete',
    shows: 'is gone',
    createStore: deletedBy(({ queue, ...query }, right) =>
      right(Object.keys(query).length > 0 ? query : { queue }),
    ),
  },
  {
    mistake: 'a delete says that one row was deleted, however many they were',
    law: 'Delete',
    shows: 'deleted: expected',
    createStore: deletedBy(async (query, right) => Math.min(1, await right(query))),
  },
  {
    mistake: 'rows are hidden, and come back with all that was told before',
    law: 'Delete',
    by: 'what is told again afterwards is a row again',
    shows: 'expected',
    createStore() {
      const store = storeWith();
      const hidden = new Set<string>();
      const written = new Map<string, JobKey>();
      return {
        ...store,
        async write(updates) {
          await store.write(updates);
          for (const update of updates) {
            written.set(keyOf(update), update);
            hidden.delete(keyOf(update));
          }
        },
        get: async (key) => (hidden.has(keyOf(key)) ? undefined : store.get(key)),
        attempts: async (key) => (hidden.has(keyOf(key)) ? [] : store.attempts(key)),
        async delete({ queue }) {
          const gone = [...written].filter(([key, of]) => of.queue === queue && !hidden.has(key));
          for (const [key] of gone) hidden.add(key);
          return gone.length;
        },
      };
    },
  },
  {
    mistake: 'attempts stay when their row is deleted',
    law: 'Delete',
    by: 'what is told again afterwards is a row again',
    shows: 'its attempts are still there',
    createStore() {
      const attempts = new MemoryStatusStore();
      return new (class extends MemoryStatusStore {
        override async write(...args: Parameters<MemoryStatusStore['write']>) {
          await super.write(...args);
          await attempts.write(...args);
        }
        override attempts = (key: JobKey) => attempts.attempts(key);
      })();
    },
  },
];
