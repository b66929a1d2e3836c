import { keyOf } from '../../../src/key.ts';
import { mergeUpdates } from '../../../src/merge.ts';
import { storeWith, type BrokenStore } from './base.ts';

/* What a row says of how its job stands, and when that was. */

export const STATUS: readonly BrokenStore[] = [
  {
    mistake: 'a cancelled job is shown as failed',
    law: 'Status',
    shows: "status: expected 'cancelled', got 'failed'",
    shortest: 1,
    createStore: () =>
      storeWith({
        show: (row) => (row.status === 'cancelled' ? { ...row, status: 'failed' } : row),
      }),
  },
  {
    mistake: 'a failed attempt is shown as failed, though the job will be tried again',
    law: 'Status',
    shows: /status: expected '(waiting|delayed)', got 'failed'/,
    shortest: 1,
    createStore: () =>
      storeWith({
        show: (row) =>
          row.attemptFailed && row.status !== 'cancelled' ? { ...row, status: 'failed' } : row,
      }),
  },
  {
    mistake: 'failed is guessed from the attempts that were made',
    law: 'Status',
    shows: "status: expected 'failed', got 'waiting'",
    shortest: 1,
    createStore: () =>
      storeWith({
        show: (row) =>
          row.status === 'failed' && row.attemptsMade < row.maxAttempts
            ? { ...row, status: 'waiting' }
            : row,
      }),
  },
  {
    mistake: 'a job that is retried keeps the time at which it ended',
    law: 'Status',
    shows: 'completedAt: expected null, got',
    shortest: 2,
    createStore: () => {
      const store = storeWith();
      const ended = new Map<string, Date>();
      return {
        ...store,
        async write(updates) {
          for (const update of updates) {
            await store.write([update]);
            const row = await store.get(update);
            if (row?.completedAt) ended.set(keyOf(row), row.completedAt);
          }
        },
        async get(key) {
          const row = await store.get(key);
          return row && { ...row, completedAt: row.completedAt ?? ended.get(keyOf(row)) ?? null };
        },
      };
    },
  },
  {
    mistake: 'an ended job has no start where none was seen',
    law: 'Time',
    by: 'a start that nobody saw is inferred',
    shows: 'startedAt',
    shortest: 1,
    createStore: () =>
      storeWith({
        show: (row) => (row.startedAtInferred ? { ...row, startedAt: null } : row),
      }),
  },
  {
    mistake: 'times are stored as the hosts read them, in no order',
    law: 'Time',
    shows: 'startedAt: expected',
    shortest: 1,
    createStore: () =>
      storeWith({
        show: (row) =>
          row.startedAt === null || row.firstProcessedOn === null
            ? row
            : { ...row, startedAt: new Date(row.firstProcessedOn) },
      }),
  },
  {
    mistake: 'a start alone makes a row, and what comes without one is passed over',
    law: 'Snapshot',
    shows: 'there is no row',
    shortest: 1,
    createStore: () => {
      const started = new Set<string>();
      return storeWith({
        take: (updates) =>
          updates.filter((update) => {
            if (update.status === 'active') started.add(keyOf(update));
            return started.has(keyOf(update));
          }),
      });
    },
  },
  {
    mistake: 'an attempt is passed over unless the one before it was told',
    law: 'Loss',
    shows: 'attempt: expected',
    shortest: 2,
    createStore: () =>
      storeWith({
        merge: (before, update) =>
          update.attempt > before.attempt + 1 ? before : mergeUpdates(before, update),
      }),
  },
  {
    mistake: '`updatedAt` is when the row was written',
    law: 'Values',
    shows: 'updatedAt: expected',
    shortest: 1,
    createStore: () => storeWith({ show: (row) => ({ ...row, updatedAt: new Date() }) }),
  },
];
