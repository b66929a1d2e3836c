import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { keyOf } from '../../../src/key.ts';
import type { StatusStore } from '../../../src/store.ts';
import type { StatusUpdate } from '../../../src/types.ts';
import { storeWith, type BrokenStore } from './base.ts';

/* What a write that has resolved has done, and what is read after it. */

/** A store whose `write` goes about it in another way. */
function writtenBy(
  write: (store: StatusStore, updates: readonly StatusUpdate[]) => Promise<void>,
): () => StatusStore {
  return () => {
    const store = storeWith();
    return { ...store, write: (updates) => write(store, updates) };
  };
}

function inChunks(updates: readonly StatusUpdate[], size: number): StatusUpdate[][] {
  const count = Math.ceil(updates.length / size);
  return Array.from({ length: count }, (_, at) => updates.slice(at * size, (at + 1) * size));
}

export const DELIVERY: readonly BrokenStore[] = [
  {
    mistake: 'what a write fails with is swallowed',
    law: 'Delivery',
    by: 'what is no snapshot is rejected',
    shows: 'swallowed',
    createStore: writtenBy((store, updates) => store.write(updates).catch(() => {})),
  },
  {
    mistake:
      'updates are written each for itself, and what one fails with is passed over (Promise.allSettled)',
    law: 'Delivery',
    by: 'what is no snapshot is rejected',
    shows: 'swallowed',
    createStore: writtenBy(async (store, updates) => {
      await Promise.allSettled(updates.map(async (update) => store.write([update])));
    }),
  },
  {
    mistake: 'a write resolves once the first chunk of it is stored',
    law: 'Delivery',
    by: 'what write has resolved for can be read at once',
    shows: 'there is no row',
    createStore: writtenBy(async (store, updates) => {
      const [first = [], ...others] = inChunks(updates, 100);
      await store.write(first);
      void (async () => {
        for (const chunk of others) {
          await setImmediate();
          await store.write(chunk);
        }
      })();
    }),
  },
  {
    mistake: 'a write resolves at once, and is done a moment later',
    law: 'Delivery',
    by: 'what write has resolved for can be read at once',
    shows: 'there is no row',
    createStore: writtenBy(async (store, updates) => {
      void sleep(2).then(() => store.write(updates).catch(() => {}));
    }),
  },
  {
    mistake: 'a write that fails leaves the store unable to write',
    law: 'Delivery',
    by: 'what is no snapshot is rejected, and the store goes on',
    shows: 'and a good one then',
    createStore() {
      const store = storeWith();
      let last = Promise.resolve();
      return {
        ...store,
        write: (updates) => (last = last.then(async () => store.write(updates))),
      };
    },
  },
  {
    mistake: 'text longer than its column is cut without a word',
    law: 'Delivery',
    by: 'what is too large is rejected, or else it is there',
    shows: 'result',
    createStore: () =>
      storeWith({
        show: ({ result, ...row }) => ({
          ...row,
          result: typeof result === 'string' ? result.slice(0, 65_535) : result,
        }),
      }),
  },
  {
    mistake: 'rows that were read are kept for a while, and not read again',
    law: 'Delivery',
    shows: 'after write',
    createStore() {
      const store = storeWith();
      const read = new Map<string, ReturnType<StatusStore['get']>>();
      return {
        ...store,
        get(key) {
          const row = read.get(keyOf(key)) ?? store.get(key);
          read.set(keyOf(key), row);
          return row.then((each) => structuredClone(each));
        },
      };
    },
  },
  {
    mistake: 'that a row is not there is kept for a while, and not looked for again',
    law: 'Delivery',
    shows: 'after write',
    createStore() {
      const store = storeWith();
      const missed = new Set<string>();
      return {
        ...store,
        async get(key) {
          const row = missed.has(keyOf(key)) ? undefined : await store.get(key);
          if (row === undefined) missed.add(keyOf(key));
          return row;
        },
      };
    },
  },
];
