import { expect, vi } from 'vitest';
import { createBatcher, type BatcherOptions } from '../../src/batcher.ts';
import { JobStatusError } from '../../src/errors.ts';
import { resolveOptions } from '../../src/options.ts';
import { type StatusUpdate } from '../../src/types.ts';
import { FakeStore } from './fake-store.ts';
import { JobHistory } from '../../src/testing/histories.ts';

/** A store that is away says this. */
export const UNAVAILABLE = new JobStatusError('ERR_STORE_UNAVAILABLE', 'down');

/** The snapshots of one job: active, completed. */
export function job(id: number | string): [StatusUpdate, StatusUpdate] {
  return new JobHistory({ queue: 'q', id: `j${id}` }).start().complete().snapshots as [
    StatusUpdate,
    StatusUpdate,
  ];
}

/** A batcher on a store that fails as it is told to, on simulated time. */
export function setUp(options: Partial<BatcherOptions> = {}) {
  const store = new FakeStore();
  const reports: { error: JobStatusError; jobs: string[] }[] = [];
  const batcher = createBatcher(store, { ...resolveOptions(), ...options }, (error, updates) => {
    reports.push({ error, jobs: updates.map((update) => update.jobId) });
  });
  return { store, batcher, reports, codes: () => reports.map(({ error }) => error.code) };
}

/** Lets a promise settle while simulated time runs, at most for a minute of it. */
export async function settle<T>(promise: Promise<T>): Promise<T> {
  let settled = false;
  const done = () => (settled = true);
  promise.then(done, done);
  for (let i = 0; i < 60_000 && !settled; i++) await vi.advanceTimersByTimeAsync(1);
  expect(settled).toBe(true);
  return promise;
}
