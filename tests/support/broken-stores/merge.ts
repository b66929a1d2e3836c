import { mergeUpdates } from '../../../src/merge.ts';
import type { JsonValue, StatusUpdate } from '../../../src/types.ts';
import { storeWith, type BrokenStore } from './base.ts';
import { isRecord } from './shown.ts';

/* What of an older snapshot is kept, and what is not. */

/** Whether an update is newer than what was told before, by the law. */
function isNewer(before: StatusUpdate, update: StatusUpdate): boolean {
  return mergeUpdates(before, update).sequence === update.sequence;
}

function mergeDeep(older: JsonValue, newer: JsonValue): JsonValue {
  if (!isRecord(older) || !isRecord(newer)) return newer;
  const merged: { [key: string]: JsonValue } = { ...older };
  for (const [key, value] of Object.entries(newer))
    merged[key] = key in older ? mergeDeep(older[key] ?? null, value) : value;
  return merged;
}

export const MERGE: readonly BrokenStore[] = [
  {
    mistake: 'an earlier start is lost when a newer attempt comes',
    law: 'Merge',
    shows: 'startedAt: expected',
    shortest: 2,
    createStore: () =>
      storeWith({
        merge(before, update) {
          const told = mergeUpdates(before, update);
          const { firstProcessedOn } = isNewer(before, update) ? update : told;
          return { ...told, firstProcessedOn };
        },
      }),
  },
  {
    mistake: 'a snapshot older than the row is ignored, though it brings an earlier start',
    law: 'Merge',
    shows: 'startedAt: expected',
    shortest: 2,
    createStore: () =>
      storeWith({
        merge: (before, update) =>
          isNewer(before, update) ? mergeUpdates(before, update) : before,
      }),
  },
  {
    mistake: 'the start of a former job of the id is kept',
    law: 'Merge',
    shows: 'firstProcessedOn: expected',
    shortest: 2,
    createStore: () =>
      storeWith({
        merge(before, update) {
          const starts = [before, update].flatMap(({ firstProcessedOn: on }) => on ?? []);
          const firstProcessedOn = starts.length > 0 ? Math.min(...starts) : null;
          return { ...mergeUpdates(before, update), firstProcessedOn };
        },
      }),
  },
  {
    mistake: 'children that an older snapshot tells of are lost',
    law: 'Order',
    by: 'a parent whose children come and go',
    shows: 'children',
    shortest: 2,
    createStore: () =>
      storeWith({
        merge(before, update) {
          const { children } = isNewer(before, update) ? update : before;
          return { ...mergeUpdates(before, update), children };
        },
      }),
  },
  {
    mistake: 'a request to cancel is lost when the job tells of itself again',
    law: 'Status',
    shows: 'cancellation: expected {',
    shortest: 2,
    createStore: () =>
      storeWith({
        merge(before, update) {
          const { cancellation } = isNewer(before, update) ? update : before;
          return { ...mergeUpdates(before, update), cancellation };
        },
      }),
  },
  {
    mistake: 'each failure that is told again counts an attempt up',
    law: 'Repetition',
    shows: /attemptsMade: expected \d+, got \d+/,
    shortest: 2,
    createStore: () =>
      storeWith({
        merge(before, update) {
          const told = mergeUpdates(before, update);
          const isCounted = update.attemptFailed && before.sequence === update.sequence;
          return isCounted ? { ...told, attemptsMade: before.attemptsMade + 1 } : told;
        },
      }),
  },
  {
    mistake: 'the error of an earlier attempt is kept when the job completes',
    law: 'Merge',
    shows: 'error: expected null, got',
    shortest: 2,
    createStore: () =>
      storeWith({
        merge(before, update) {
          const told = mergeUpdates(before, update);
          return { ...told, error: told.error ?? before.error };
        },
      }),
  },
  {
    mistake: 'progress is merged deep into what was reported before',
    law: 'Merge',
    shows: 'progress',
    shortest: 2,
    createStore: () =>
      storeWith({
        merge(before, update) {
          const progress = mergeDeep(before.progress, update.progress);
          const told = mergeUpdates(before, update);
          return told.progress === update.progress ? { ...told, progress } : told;
        },
      }),
  },
  {
    mistake: 'a value of null does not take the place of one before it',
    law: 'Merge',
    shows: /(progress|result): expected null/,
    shortest: 2,
    createStore: () =>
      storeWith({
        merge(before, update) {
          const told = mergeUpdates(before, update);
          return { ...told, progress: told.progress ?? before.progress };
        },
      }),
  },
];
