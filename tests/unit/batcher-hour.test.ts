import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { job, settle, setUp, UNAVAILABLE } from '../support/batcher.ts';
import type { Answer } from '../support/fake-store.ts';

/* An hour of simulated time, in which jobs end twice as fast as a store can take them, or faster than it ever will. */

const HOUR_MS = 3_600_000;
const STEP_MS = 1_000;
const JOBS_A_STEP = 20;
const MAX_PENDING = 1_000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test.each<[string, Answer | 'slow', codes: string[]]>([
  ['resolves twice as slow as jobs end', 'slow', ['ERR_UPDATES_DROPPED']],
  [
    'throws before it gives a promise',
    { throw: new Error('no') },
    ['ERR_STORE_UNAVAILABLE', 'ERR_UPDATES_DROPPED'],
  ],
  ['rejects with a string', { fail: 'no' }, ['ERR_STORE_UNAVAILABLE', 'ERR_UPDATES_DROPPED']],
  ['rejects with nothing', { fail: undefined }, ['ERR_STORE_UNAVAILABLE', 'ERR_UPDATES_DROPPED']],
  ['is away', { fail: UNAVAILABLE }, ['ERR_STORE_UNAVAILABLE', 'ERR_UPDATES_DROPPED']],
  ['never answers', 'hang', ['ERR_STORE_TIMEOUT', 'ERR_UPDATES_DROPPED']],
])(
  'a store that %s for an hour: what waits is bounded, and so is what is told',
  async (_, answer, codes) => {
    const { store, batcher, reports } = setUp({ maxPending: MAX_PENDING, maxBatchSize: 10 });
    const isSlow = answer === 'slow';
    const write = store.write.bind(store);
    // Ten jobs a second, where twenty end.
    if (isSlow)
      store.write = (updates) =>
        new Promise((resolve) => setTimeout(() => resolve(write(updates)), 1_000));
    else store.answers(answer);

    const timers = vi.getTimerCount();
    let taken = 0;
    let most = 0;
    let mostTimers = 0;
    for (let ms = 0; ms < HOUR_MS; ms += STEP_MS) {
      for (let n = 0; n < JOBS_A_STEP; n++) for (const update of job(taken++)) batcher.take(update);
      await vi.advanceTimersByTimeAsync(STEP_MS);
      most = Math.max(most, batcher.stats().pending);
      mostTimers = Math.max(mostTimers, vi.getTimerCount() - timers);
    }
    const { dropped, written } = batcher.stats();
    expect(most).toBeLessThanOrEqual(MAX_PENDING + 10);
    expect(mostTimers).toBeLessThanOrEqual(4);
    expect(dropped).toBeGreaterThan(taken / 3);
    expect([...new Set(reports.map(({ error }) => error.code))].sort()).toEqual(codes);
    // Failures at the pace of the backoff, drops by the hundred.
    expect(reports.length).toBeLessThan(HOUR_MS / 15_000 + 10 + dropped / 100);

    if (isSlow) expect(written).toBeGreaterThan(HOUR_MS / 1_000 / 2);
    if (isSlow) store.write = write;
    store.answers('store');
    // One that hangs is given up first.
    await vi.advanceTimersByTimeAsync(31_000);
    await settle(batcher.flush());
    await settle(batcher.close());
    // Each is stored, or was told as dropped.
    const told = reports.filter(({ error }) => error.code === 'ERR_UPDATES_DROPPED');
    const lost = told.flatMap(({ jobs }) => jobs);
    expect(lost.length).toBe(batcher.stats().dropped);
    const given = new Set(lost);
    for (let id = 0; id < taken; id++) {
      if (given.has(`j${id}`)) continue;
      const row = await store.get({ queue: 'q', jobId: `j${id}` });
      if (row?.status !== 'completed') expect.fail(`j${id} is neither stored nor told`);
    }
  },
);
