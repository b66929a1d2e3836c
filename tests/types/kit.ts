import { test as nodeTest } from 'node:test';
import {
  compareAndSetStore,
  mergeStatus,
  type CompareAndSetBacking,
  type JobKey,
  type JobStatus,
  type SerializedStatus,
  type StatusStore,
  type StatusUpdate,
  type StoredStatus,
} from 'bullmq-job-status';
import { randomHistories, statusStoreConformance, throughBatcher } from 'bullmq-job-status/testing';
import { test as vitestTest } from 'vitest';
import { holds, some, type Same } from './expect-type.ts';

const store = some<StatusStore>();

// Any runner's `test`, and any function of a name and what is to be run.
const createStore = () => store;
statusStoreConformance({ test: nodeTest, createStore });
statusStoreConformance({ test: vitestTest, createStore });
statusStoreConformance({ test: (name, run) => void run().finally(() => name), createStore });
// Jest's, as its types have it.
type JestBody = ((done: (reason?: string | Error) => void) => void) | (() => PromiseLike<unknown>);
const jestTest = some<(name: string, body?: JestBody, timeout?: number) => void>();
statusStoreConformance({ test: jestTest, createStore });
statusStoreConformance({ test: vitestTest, createStore: async () => throughBatcher(store) });
statusStoreConformance({
  test: vitestTest,
  createStore,
  capabilities: { filters: ['queue', 'status'] },
});
// @ts-expect-error no such condition
statusStoreConformance({ test: vitestTest, createStore, capabilities: { filters: ['state'] } });
// @ts-expect-error no store
statusStoreConformance({ test: vitestTest, createStore: () => ({ get: async () => undefined }) });

// What `read` gives as a version is what `compareAndSet` is given.
const made = compareAndSetStore({
  async read(keys) {
    const [first] = keys;
    return [{ version: 7n, row: JSON.parse(first?.jobId ?? '') }, undefined];
  },
  async compareAndSet(key, expectedVersion, row) {
    holds<Same<typeof key, JobKey>>();
    holds<Same<typeof expectedVersion, bigint | undefined>>();
    holds<Same<typeof row, StoredStatus>>();
    return expectedVersion === undefined;
  },
});
const asStore: StatusStore = made;
holds<Same<Awaited<ReturnType<typeof made.attempts>>[0]['attempt'], number>>();
// @ts-expect-error it has no list: that is for its author to add
void made.list;
// A row as it was written will do, and one with its times as text.
const stored = some<StoredStatus>();
const backing: CompareAndSetBacking<string> = {
  read: async () => [
    { version: 'a', row: stored },
    { version: 'b', row: { ...stored, createdAt: '2026-01-01T00:00:00.000Z', startedAt: null } },
  ],
  compareAndSet: async () => true,
};
// @ts-expect-error counts and readings are numbers in JSON too
const wrong: SerializedStatus = { ...stored, attempt: '1' };

// Histories are snapshots, to fold by the law.
const [history = []] = randomHistories({ seed: 1, runs: 1 });
const row = history.reduce<JobStatus | undefined>(mergeStatus, undefined);
holds<Same<typeof history, StatusUpdate[]>>();
void [asStore, backing, wrong, row];
