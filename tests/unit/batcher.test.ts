import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createBatcher, type BatcherOptions } from '../../src/batcher.ts';
import { JobStatusError } from '../../src/errors.ts';
import { resolveOptions } from '../../src/options.ts';
import type { StatusUpdate } from '../../src/types.ts';
import { FakeStore } from '../support/fake-store.ts';
import { JobHistory } from '../support/histories.ts';

const UNAVAILABLE = new JobStatusError('ERR_STORE_UNAVAILABLE', 'down');

/** The snapshots of one job: active, completed. */
function job(id: number | string): [StatusUpdate, StatusUpdate] {
  return new JobHistory({ queue: 'q', id: `j${id}` }).start().complete().snapshots as [
    StatusUpdate,
    StatusUpdate,
  ];
}

function setUp(options: Partial<BatcherOptions> = {}) {
  const store = new FakeStore();
  const reports: { error: JobStatusError; jobs: string[] }[] = [];
  const batcher = createBatcher(store, { ...resolveOptions(), ...options }, (error, updates) => {
    reports.push({ error, jobs: updates.map((update) => update.jobId) });
  });
  return { store, batcher, reports, codes: () => reports.map(({ error }) => error.code) };
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Lets a promise settle while simulated time runs, at most for a minute of it. */
async function settle<T>(promise: Promise<T>): Promise<T> {
  let settled = false;
  const done = () => (settled = true);
  promise.then(done, done);
  for (let i = 0; i < 60_000 && !settled; i++) await vi.advanceTimersByTimeAsync(1);
  expect(settled).toBe(true);
  return promise;
}

describe('batches', () => {
  test('many jobs go in one write, and the two updates of each as one', async () => {
    const { store, batcher } = setUp();
    for (let id = 0; id < 100; id++) for (const update of job(id)) batcher.take(update);
    await vi.advanceTimersByTimeAsync(20);
    expect(store.batches.map((batch) => batch.length)).toEqual([100]);
    expect(batcher.stats()).toMatchObject({
      pending: 0,
      written: 100,
      coalesced: 100,
      lagMs: 0,
      lastError: null,
    });
    expect(await store.count({ status: 'completed' })).toBe(100);
  });

  test('a write waits for flushIntervalMs, a full batch for nothing', async () => {
    const { store, batcher } = setUp({ flushIntervalMs: 1_000, maxBatchSize: 3 });
    batcher.take(job(1)[0]);
    await vi.advanceTimersByTimeAsync(999);
    expect(store.batches).toEqual([]);
    batcher.take(job(2)[0]);
    batcher.take(job(3)[0]);
    expect(store.batches).toEqual([['j1', 'j2', 'j3']]);
  });

  test('a store that is slow gets twice as long to itself as its last write took', async () => {
    const { store, batcher } = setUp({ flushIntervalMs: 10 });
    const write = store.write.bind(store);
    const at: number[] = [];
    store.write = async (updates, options) => {
      at.push(performance.now());
      await new Promise((resolve) => setTimeout(resolve, 20));
      await write(updates, options);
    };
    batcher.take(job(1)[0]);
    await vi.advanceTimersByTimeAsync(15);
    batcher.take(job(2)[0]);
    await vi.advanceTimersByTimeAsync(200);
    expect((at[1] as number) - (at[0] as number)).toBeGreaterThanOrEqual(60);
    expect((at[1] as number) - (at[0] as number)).toBeLessThanOrEqual(80);
  });

  test('the lag is how long the oldest update has waited, also one that has coalesced', async () => {
    const { batcher } = setUp({ flushIntervalMs: 1_000 });
    const [active, completed] = job(1);
    batcher.take(active);
    await vi.advanceTimersByTimeAsync(300);
    batcher.take(completed);
    batcher.take(job(2)[0]);
    await vi.advanceTimersByTimeAsync(100);
    expect(batcher.stats().lagMs).toBe(400);
  });

  test('one write at a time, each job once in it, the rest behind', async () => {
    const { store, batcher } = setUp({ maxBatchSize: 10 });
    for (let id = 0; id < 95; id++) batcher.take(job(id)[1]);
    await settle(batcher.flush());
    expect(store.mostAtOnce).toBe(1);
    expect(store.batches.map((batch) => batch.length)).toEqual([
      10, 10, 10, 10, 10, 10, 10, 10, 10, 5,
    ]);
    expect(await store.count()).toBe(95);
  });
});

describe('a store that fails', () => {
  test.each([
    ['an error of ours', { fail: UNAVAILABLE }],
    ['an error of its own', { fail: new Error('ECONNREFUSED') }],
    ['a string', { fail: 'no' }],
    ['undefined', { fail: undefined }],
    ['a throw instead of a promise', { throw: new Error('sync') }],
    ['a reply lost after the write', { loseReply: UNAVAILABLE }],
    ['half of it stored', { storeHalf: UNAVAILABLE }],
  ] as const)('%s: the write is repeated until it is stored', async (_, answer) => {
    const { store, batcher, codes } = setUp();
    store.answers(answer);
    for (let id = 0; id < 10; id++) batcher.take(job(id)[0]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(batcher.stats()).toMatchObject({
      pending: 10,
      written: 0,
      lastError: { code: 'ERR_STORE_UNAVAILABLE' },
    });
    expect(new Set(codes())).toEqual(new Set(['ERR_STORE_UNAVAILABLE']));

    store.answers('store');
    for (let id = 0; id < 10; id++) batcher.take(job(id)[1]);
    await settle(batcher.flush());
    expect(await store.count({ status: 'completed' })).toBe(10);
    expect(batcher.stats()).toMatchObject({ pending: 0, written: 10 });
  });

  test('pauses grow twice as long, with jitter, up to maxMs, and end with the first success', async () => {
    const { store, batcher } = setUp({ flushIntervalMs: 0, backoff: { minMs: 100, maxMs: 1_000 } });
    const at: number[] = [];
    store.answers(() => (at.push(Date.now()), { fail: UNAVAILABLE }));
    batcher.take(job(1)[0]);
    await vi.advanceTimersByTimeAsync(6_000);
    const pauses = at.slice(1).map((time, i) => time - (at[i] as number));
    for (const [i, pause] of pauses.entries()) {
      const full = Math.min(1_000, 100 * 2 ** i);
      expect(pause).toBeGreaterThanOrEqual(full / 2);
      expect(pause).toBeLessThanOrEqual(full + 5);
    }
    store.answers('store');
    await vi.advanceTimersByTimeAsync(1_100);
    expect(batcher.stats()).toMatchObject({ pending: 0, retried: at.length });
  });

  test("the store's own Retry-After is kept", async () => {
    const { store, batcher } = setUp({ flushIntervalMs: 0 });
    const busy = new JobStatusError('ERR_STORE_UNAVAILABLE', '429', { retryAfterMs: 7_000 });
    store.answers({ fail: busy });
    batcher.take(job(1)[0]);
    await vi.advanceTimersByTimeAsync(6_900);
    expect(store.batches.length).toBe(1);
    await vi.advanceTimersByTimeAsync(200);
    expect(store.batches.length).toBe(2);
  });

  test('a write that hangs counts as failed after writeTimeoutMs, and is told so', async () => {
    const { store, batcher, codes } = setUp({ writeTimeoutMs: 5_000 });
    store.answers('hang');
    batcher.take(job(1)[0]);
    await vi.advanceTimersByTimeAsync(5_100);
    expect(codes()).toEqual(['ERR_STORE_TIMEOUT']);
    expect(store.aborted).toEqual([expect.objectContaining({ code: 'ERR_STORE_TIMEOUT' })]);
    store.answers('store');
    await settle(batcher.flush());
    expect(await store.count()).toBe(1);
  });

  test('a batch that is too much for the store is written in smaller ones', async () => {
    const { store, batcher } = setUp({ maxBatchSize: 500, writeTimeoutMs: 100 });
    store.answers((batch) => (batch.length > 100 ? 'hang' : 'store'));
    for (let id = 0; id < 1_000; id++) batcher.take(job(id)[1]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await store.count()).toBe(1_000);
  });

  test('a store that is back gets full batches again soon', async () => {
    const { store, batcher } = setUp({ maxBatchSize: 100 });
    store.answers({ fail: UNAVAILABLE });
    for (let id = 0; id < 1_000; id++) batcher.take(job(id)[1]);
    await vi.advanceTimersByTimeAsync(300_000);
    store.answers('store');
    store.batches.length = 0;
    await settle(batcher.flush());
    // 1, 2, 4 and so on up to 64, and hundreds from there.
    expect(store.batches.length).toBeLessThanOrEqual(7 + 9);
  });

  test.each([[NaN], [Infinity], [-1], [2 ** 40]])(
    'a retryAfterMs of %d makes no hot loop',
    async (retryAfterMs) => {
      const { store, batcher } = setUp({ flushIntervalMs: 0 });
      store.answers({
        fail: new JobStatusError('ERR_STORE_UNAVAILABLE', 'busy', { retryAfterMs }),
      });
      batcher.take(job(1)[0]);
      await vi.advanceTimersByTimeAsync(1_000);
      expect(store.batches.length).toBeLessThan(10);
    },
  );

  test('an onError that flushes makes no hot loop, and counts right', async () => {
    const { store, batcher, reports } = setUp();
    const pending: number[] = [];
    const push = reports.push.bind(reports);
    reports.push = (...items) => {
      pending.push(batcher.stats().pending);
      batcher.flush().catch(() => {});
      return push(...items);
    };
    store.answers({ throw: new Error('at once') });
    for (let id = 0; id < 10; id++) batcher.take(job(id)[1]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(store.batches.length).toBeLessThan(25);
    expect(new Set(pending)).toEqual(new Set([10]));
  });

  test('the others get by an update that an unknown error keeps out', async () => {
    const { store, batcher } = setUp({ maxBatchSize: 64 });
    store.answers((batch) =>
      batch.some(({ jobId }) => jobId === 'j7') ? { fail: new Error('?') } : 'store',
    );
    for (let id = 0; id < 64; id++) batcher.take(job(id)[1]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await store.count()).toBe(63);
    expect(batcher.stats()).toMatchObject({ pending: 1, written: 63 });
  });
});

describe('updates refused for good', () => {
  test('three among 512 are found, reported one by one, and the others stored', async () => {
    const { store, batcher, reports } = setUp({ maxBatchSize: 512 });
    const poisoned = ['j0', 'j200', 'j511'];
    store.answers({ refuse: poisoned });
    for (let id = 0; id < 512; id++) batcher.take(job(id)[1]);
    await expect(settle(batcher.flush())).rejects.toMatchObject({
      code: 'ERR_FLUSH_INCOMPLETE',
      updates: poisoned.map((jobId) => expect.objectContaining({ jobId })),
    });
    expect(reports.map(({ jobs }) => jobs)).toEqual(poisoned.map((id) => [id]));
    expect(reports.every(({ error }) => error.code === 'ERR_STORE_REFUSED')).toBe(true);
    expect(await store.count()).toBe(509);
    expect(batcher.stats()).toMatchObject({ pending: 0, written: 509, refused: 3, retried: 0 });
    // Each of them costs two halves on each of nine levels at most.
    expect(store.batches.length).toBeLessThanOrEqual(1 + 3 * 2 * 9);
  });

  test('a fault that passes in the middle of a split loses nothing', async () => {
    const { store, batcher } = setUp({ maxBatchSize: 8 });
    let writes = 0;
    store.answers(() => (++writes === 3 ? { fail: UNAVAILABLE } : { refuse: ['j5'] }));
    for (let id = 0; id < 8; id++) batcher.take(job(id)[1]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await store.count()).toBe(7);
    expect(batcher.stats()).toMatchObject({ pending: 0, written: 7, refused: 1 });
  });
});

describe('the bound', () => {
  test('past maxPending starts go before ends, oldest first; all counted, told in one report', async () => {
    const { store, batcher, reports } = setUp({ maxPending: 4, maxBatchSize: 100 });
    store.answers({ fail: UNAVAILABLE });
    for (const id of [1, 2]) batcher.take(job(id)[1]);
    for (const id of [3, 4]) batcher.take(job(id)[0]);
    for (const id of [5, 6, 7]) batcher.take(job(id)[1]);
    expect(batcher.stats()).toMatchObject({ pending: 4, dropped: 3 });
    await vi.advanceTimersByTimeAsync(20);
    const dropped = reports.filter(({ error }) => error.code === 'ERR_UPDATES_DROPPED');
    expect(dropped.map(({ jobs }) => jobs)).toEqual([['j3', 'j4', 'j1']]);
    store.answers('store');
    await settle(batcher.flush());
    const { items } = await store.list();
    expect(items.map((row) => row.jobId).sort()).toEqual(['j2', 'j5', 'j6', 'j7']);
  });

  test('what is dropped is told while the store is away, some hundreds at a time', () => {
    const { batcher, reports } = setUp({
      maxPending: 1,
      maxBatchSize: 50,
      flushIntervalMs: 60_000,
    });
    for (let id = 0; id < 121; id++) batcher.take(job(id)[1]);
    expect(reports.map(({ jobs }) => jobs.length)).toEqual([50, 50]);
  });
});

describe('flush and close', () => {
  test('flush says what was given up while it waited', async () => {
    const { batcher, store } = setUp({ maxPending: 2, maxBatchSize: 1 });
    store.answers({ fail: UNAVAILABLE });
    for (const id of [1, 2]) batcher.take(job(id)[1]);
    const flushed = batcher.flush();
    batcher.take(job(3)[1]);
    batcher.take(job(4)[1]);
    store.answers('store');
    await expect(settle(flushed)).rejects.toMatchObject({ code: 'ERR_FLUSH_INCOMPLETE' });
    expect(batcher.stats()).toMatchObject({ pending: 0, written: 2, dropped: 2 });
  });

  test('flush does not wait for a backoff that has grown long', async () => {
    const { batcher, store } = setUp({ backoff: { minMs: 100, maxMs: 3_600_000 } });
    store.answers({ fail: UNAVAILABLE });
    batcher.take(job(1)[1]);
    await vi.advanceTimersByTimeAsync(600_000);
    store.answers('store');
    const flushed = batcher.flush();
    await vi.advanceTimersByTimeAsync(150);
    await flushed;
    expect(await store.count()).toBe(1);
  });

  test('however often somebody flushes, a store at rest gets its next chance', async () => {
    const { batcher, store } = setUp();
    store.answers({ fail: UNAVAILABLE });
    batcher.take(job(1)[1]);
    await vi.advanceTimersByTimeAsync(20);
    store.answers('store');
    for (let i = 0; i < 25; i++) {
      void batcher.flush().catch(() => {});
      await vi.advanceTimersByTimeAsync(10);
    }
    expect(await store.count()).toBe(1);
  });

  test('closing gives a store its chance within the deadline, however long the backoff', async () => {
    const { batcher, store } = setUp({
      backoff: { minMs: 3_600_000, maxMs: 3_600_000 },
      flushTimeoutMs: 1_000,
    });
    store.answers({ fail: UNAVAILABLE });
    batcher.take(job(1)[1]);
    await vi.advanceTimersByTimeAsync(20);
    store.answers('store');
    await settle(batcher.close());
    expect(await store.count()).toBe(1);
  });

  test('a job that is under way and waits too is one pending job, and told once', async () => {
    const { batcher, store } = setUp({ flushTimeoutMs: 100 });
    const [active, completed] = job(1);
    store.answers('hang');
    batcher.take(active);
    await vi.advanceTimersByTimeAsync(20);
    batcher.take(completed);
    expect(batcher.stats().pending).toBe(1);
    await expect(settle(batcher.flush())).rejects.toMatchObject({
      message: '1 updates are not stored, after up to 100 ms',
      updates: [{ status: 'completed' }],
    });
  });

  test('flush waits for a job whose next update came while it waited', async () => {
    const { batcher, store } = setUp({ maxBatchSize: 1 });
    const [active, completed] = job('late');
    for (const update of [job(1)[1], job(2)[1], active]) batcher.take(update);
    const flushed = batcher.flush();
    batcher.take(completed);
    await settle(flushed);
    expect(await store.get(active)).toMatchObject({ status: 'completed' });
  });

  test('flush resolves once all taken so far is stored, whatever comes later', async () => {
    const { batcher, store } = setUp({ flushIntervalMs: 60_000, maxBatchSize: 3 });
    for (const id of [1, 2, 3]) batcher.take(job(id)[0]);
    const flushed = batcher.flush();
    batcher.take(job(4)[0]);
    store.answers((batch) => (batch.some(({ jobId }) => jobId === 'j4') ? 'hang' : 'store'));
    await settle(flushed);
    expect(await store.count()).toBe(3);
    expect(batcher.stats().pending).toBe(1);
  });

  test('flush with nothing to do resolves at once', async () => {
    await settle(setUp().batcher.flush());
  });

  test('flush ends at its deadline and says what is not stored', async () => {
    const { batcher, store } = setUp({ flushTimeoutMs: 2_000 });
    store.answers({ fail: UNAVAILABLE });
    batcher.take(job(1)[1]);
    await expect(settle(batcher.flush())).rejects.toMatchObject({
      code: 'ERR_FLUSH_INCOMPLETE',
      message: '1 updates are not stored, after up to 2000 ms',
      cause: UNAVAILABLE,
      updates: [{ jobId: 'j1' }],
    });
  });

  test('close while the store hangs ends at its deadline, and nothing is left running', async () => {
    const { batcher, store } = setUp({ flushTimeoutMs: 2_000 });
    store.answers('hang');
    batcher.take(job(1)[1]);
    await expect(settle(batcher.close())).rejects.toMatchObject({ code: 'ERR_FLUSH_INCOMPLETE' });
    await vi.advanceTimersByTimeAsync(1);
    expect(store.aborted.length).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
    expect(batcher.stats()).toMatchObject({ pending: 1, retried: 0, lastError: null });
  });

  test('flush after a close that failed tries again', async () => {
    const { batcher, store } = setUp({ flushTimeoutMs: 500 });
    store.answers({ fail: UNAVAILABLE });
    batcher.take(job(1)[1]);
    await expect(settle(batcher.close())).rejects.toThrow('are not stored');
    store.answers('store');
    await settle(batcher.flush());
    expect(await store.count()).toBe(1);
  });
});
