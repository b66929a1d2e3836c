import { setImmediate } from 'node:timers/promises';
import { compareAndSetStore, type StoredStatus } from '../../../src/stores/compare-and-set.ts';
import { keyOf } from '../../../src/key.ts';
import { mergeUpdates, toStatus } from '../../../src/merge.ts';
import type { StatusStore } from '../../../src/store.ts';
import type { StatusUpdate } from '../../../src/types.ts';
import { storeWith, type BrokenStore, type Kept, type Rows } from './base.ts';

/* Writers that come between each other's steps. */

/** Lets one write begin when the one before it has ended. */
function oneAfterTheOther(store: StatusStore): StatusStore {
  let last: Promise<unknown> = Promise.resolve();
  return {
    ...store,
    write(updates) {
      const written = last.then(() => store.write(updates));
      last = written.catch(() => {});
      return written;
    },
  };
}

type Told = ReadonlyMap<string, StatusUpdate>;

/** A store that reads and merges first. @param write what there is after it has written, a moment later */
function readFirst(write: (rows: Told, read: Told, merged: Told) => Told): () => StatusStore {
  return () => {
    let rows: Told = new Map();
    return {
      async write(updates) {
        const [read, merged] = [rows, new Map<string, StatusUpdate>()];
        for (const update of structuredClone(updates)) {
          const before = merged.get(keyOf(update)) ?? read.get(keyOf(update));
          const told = before === undefined ? update : mergeUpdates(before, update);
          toStatus(told);
          merged.set(keyOf(update), told);
        }
        await setImmediate();
        rows = write(rows, read, merged);
      },
      async get(key) {
        const told = rows.get(keyOf(key));
        return told && structuredClone(toStatus(told));
      },
    };
  };
}

/** A store of a database that keeps a version beside each row. */
function compareAndSet(
  versionOf: (row: StoredStatus, before: number) => number,
  isExpected = (version: number | undefined, expected: number | undefined) => version === expected,
): () => StatusStore {
  return () => {
    const rows = new Map<string, { version: number; row: StoredStatus }>();
    return compareAndSetStore<number>({
      async read(keys) {
        const found = keys.map((key) => structuredClone(rows.get(keyOf(key))));
        await setImmediate();
        return found;
      },
      async compareAndSet(key, expected, row) {
        const version = rows.get(keyOf(key))?.version;
        if (!isExpected(version, expected)) return false;
        rows.set(keyOf(key), { version: versionOf(row, version ?? 0), row: structuredClone(row) });
        return true;
      },
    });
  };
}

/** Rows that every store of a test shares, as processes share a database. */
function onSharedRows(createStore: (rows: Rows) => StatusStore): () => StatusStore {
  const rows: Rows = new Map();
  return () => createStore(rows);
}

export const ATOMICITY: readonly BrokenStore[] = [
  {
    mistake: 'a row is read, and written a moment later',
    law: 'Atomicity',
    by: 'writers at once lose nothing',
    shows: 'expected',
    createStore: () => storeWith({ between: () => setImmediate() }),
  },
  {
    mistake: 'the rows of a batch are read, and all written a moment later',
    law: 'Atomicity',
    by: 'writers at once lose nothing',
    shows: 'expected',
    createStore: readFirst((rows, _read, merged) => new Map([...rows, ...merged])),
  },
  {
    mistake: 'writers wait for each other within one process only',
    law: 'Atomicity',
    by: 'two stores on the same rows',
    shows: 'expected',
    createStore: onSharedRows((rows) =>
      oneAfterTheOther(storeWith({ rows, between: () => setImmediate() })),
    ),
  },
  {
    mistake: 'a row is written in two steps: its facts first, then its times',
    law: 'Atomicity',
    by: 'no reader sees a row half written',
    shows: /expected/,
    createStore() {
      const rows = new Map<string, { told: StatusUpdate; times?: StatusUpdate }>();
      return oneAfterTheOther({
        async write(updates) {
          for (const update of structuredClone(updates)) {
            const before = rows.get(keyOf(update));
            const told = before === undefined ? update : mergeUpdates(before.told, update);
            toStatus(told);
            rows.set(keyOf(update), { told, times: before?.told ?? told });
            await setImmediate();
            rows.set(keyOf(update), { told });
          }
        },
        async get(key) {
          const kept = rows.get(keyOf(key));
          if (kept === undefined) return undefined;
          const row = toStatus(kept.told);
          const { startedAt, attemptStartedAt, completedAt, failedAt } = toStatus(
            kept.times ?? kept.told,
          );
          return structuredClone({ ...row, startedAt, attemptStartedAt, completedAt, failedAt });
        },
      });
    },
  },
  {
    mistake: 'a row is inserted on condition that there is none, but changed on none',
    law: 'Atomicity',
    by: "writers at once lose nothing of each other's",
    shows: 'expected',
    createStore() {
      const rows = new Map<string, StoredStatus>();
      return compareAndSetStore<number>({
        read: async (keys) =>
          keys
            .flatMap((key) => ({ version: 1, row: rows.get(keyOf(key))! }))
            .filter(({ row }) => row),
        async compareAndSet(key, expected, row) {
          if (expected === undefined && rows.has(keyOf(key))) return false;
          rows.set(keyOf(key), row);
          return true;
        },
      });
    },
  },
  {
    mistake: 'a row is deleted, and inserted anew',
    law: 'Atomicity',
    by: 'no reader sees a row half written',
    shows: 'gone',
    createStore() {
      const store = storeWith();
      const away = new Set<string>();
      return oneAfterTheOther({
        ...store,
        async write(updates) {
          for (const update of updates) {
            away.add(keyOf(update));
            await setImmediate();
            await store.write([update]);
            away.delete(keyOf(update));
          }
        },
        get: async (key) => (away.has(keyOf(key)) ? undefined : store.get(key)),
      });
    },
  },
  {
    mistake: 'all rows are one document, that is read and written whole',
    law: 'Atomicity',
    by: 'writers at once lose nothing',
    shows: 'expected',
    createStore: readFirst((_rows, read, merged) => new Map([...read, ...merged])),
  },
  {
    mistake: 'each process keeps the rows that it has read',
    law: 'Atomicity',
    by: 'two stores on the same rows',
    shows: 'expected',
    createStore: onSharedRows((rows) => {
      const cache = new Map<string, Kept>();
      return storeWith({
        rows: {
          get(key: string) {
            const kept = cache.get(key) ?? rows.get(key);
            if (kept !== undefined) cache.set(key, kept);
            return kept;
          },
          set(key: string, kept: Kept) {
            cache.set(key, kept);
            rows.set(key, kept);
          },
        } as Rows,
      });
    }),
  },
  {
    mistake: 'a row is set whether or not it is as it was read',
    law: 'Atomicity',
    by: 'writers at once lose nothing',
    shows: 'expected',
    createStore: compareAndSet(
      (_, before) => before + 1,
      () => true,
    ),
  },
  {
    mistake: 'the time of a row is its version, and two of one millisecond are alike',
    law: 'Atomicity',
    shows: 'expected',
    createStore: compareAndSet((row) => row.createdAt.getTime()),
  },
];
