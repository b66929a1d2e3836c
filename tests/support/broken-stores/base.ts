import type { StatusStore } from '../../../src/store.ts';
import { toAttempts } from '../../../src/attempts.ts';
import { keyOf } from '../../../src/key.ts';
import { mergeUpdates, toStatus } from '../../../src/merge.ts';
import type { Law } from '../../../src/testing/failure.ts';
import type { StoreCapabilities } from '../../../src/testing/kit.ts';
import type { JobKey, JobStatus, StatusUpdate } from '../../../src/types.ts';

/** A store with one mistake in it, as authors of stores make them. */
export interface BrokenStore {
  /** The mistake, in words. */
  readonly mistake: string;
  /** The law that it breaks. */
  readonly law: Law;
  /** How the name of the test goes on that must tell, where it is not just any of the law's. */
  readonly by?: string;
  /** What the message must say, so that it is about this very mistake. */
  readonly shows: string | RegExp;
  /** How many snapshots the shortest history has that shows it, where a history does. */
  readonly shortest?: number;
  readonly capabilities?: StoreCapabilities;
  readonly createStore: () => StatusStore;
}

/** What is kept of a job. */
export interface Kept {
  /** All that was told of it, as one snapshot. */
  readonly told: StatusUpdate;
  readonly row: JobStatus;
}

export type Rows = Map<string, Kept>;

/** The steps of a right store, each of which may be done wrong. */
export interface Steps {
  readonly rows: Rows;
  /** What is written of a batch. */
  readonly take: (updates: readonly StatusUpdate[]) => readonly StatusUpdate[];
  readonly keyOf: (key: JobKey) => string;
  /** Between reading what is there and writing what becomes of it. Left out, nobody can come between. */
  readonly between?: () => Promise<unknown>;
  /** What is known of a job that was told of before. */
  readonly merge: (before: StatusUpdate, update: StatusUpdate) => StatusUpdate;
  /** What its tables hold of what was told: the next merge reads that. */
  readonly hold: (told: StatusUpdate) => StatusUpdate;
  /** What a client gives back of a row. */
  readonly show: (row: JobStatus) => JobStatus;
}

const RIGHT: Omit<Steps, 'rows'> = {
  take: (updates) => updates,
  keyOf,
  merge: mergeUpdates,
  hold: (told) => told,
  show: (row) => row,
};

/** A right store, but for the steps that are given. */
export function storeWith(
  changes: Partial<Steps> = {},
): StatusStore & Required<Pick<StatusStore, 'attempts'>> {
  const rows: Rows = changes.rows ?? new Map<string, Kept>();
  const { take, keyOf, between, merge, hold, show } = { ...RIGHT, ...changes };
  return {
    async write(updates) {
      for (const update of take(structuredClone(updates))) {
        const key = keyOf(update);
        const before = rows.get(key)?.told;
        if (between !== undefined) await between();
        const told = hold(before === undefined ? update : merge(before, update));
        rows.set(key, { told, row: toStatus(told) });
      }
    },
    async get(key) {
      const kept = rows.get(keyOf(key));
      return kept && show(structuredClone(kept.row));
    },
    async attempts(key) {
      const told = rows.get(keyOf(key))?.told;
      return told === undefined ? [] : structuredClone(toAttempts(told, told.earlierAttempts));
    },
  };
}
