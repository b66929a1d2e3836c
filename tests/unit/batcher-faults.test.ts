import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { JobStatusError } from '../../src/errors.ts';
import { job, settle, setUp, UNAVAILABLE } from '../support/batcher.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
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
    // A quarter to a half longer, by lot.
    await vi.advanceTimersByTimeAsync(8_700);
    expect(store.batches.length).toBe(1);
    await vi.advanceTimersByTimeAsync(1_900);
    expect(store.batches.length).toBe(2);
  });

  test.each([0, 2_000])(
    'of many trackers asked for %d ms, few come back at once',
    async (retryAfterMs) => {
      const at: number[] = [];
      const busy = new JobStatusError('ERR_STORE_UNAVAILABLE', '429', { retryAfterMs });
      const backoff = { minMs: 1_000, maxMs: 1_000 };
      for (let n = 0; n < 100; n++) {
        const { store, batcher } = setUp({ flushIntervalMs: 0, backoff });
        store.answers(() => (at.push(Date.now()), { fail: busy }));
        batcher.take(job(1)[0]);
      }
      const start = Date.now();
      await vi.advanceTimersByTimeAsync(retryAfterMs + 1_010);
      const returned = at.filter((time) => time > start + 100).sort((a, b) => a - b);
      expect(returned.length).toBe(100);
      expect(returned[0]! - start).toBeGreaterThanOrEqual(retryAfterMs + 450);
      // Spread over half a second: ten in a twentieth of it, on average.
      const most = Math.max(
        ...returned.map(
          (from) => returned.filter((each) => each >= from && each < from + 50).length,
        ),
      );
      expect(most).toBeLessThan(30);
    },
  );

  test('whoever waits patiently leaves the store its rest', async () => {
    const { store, batcher } = setUp({ flushIntervalMs: 0, flushTimeoutMs: 20_000 });
    const busy = new JobStatusError('ERR_STORE_UNAVAILABLE', '429', { retryAfterMs: 8_000 });
    store.answers({ fail: busy });
    batcher.take(job(1)[0]);
    const waiting = batcher.flush(true);
    await vi.advanceTimersByTimeAsync(7_900);
    expect(store.batches.length).toBe(1);
    store.answers('store');
    await settle(waiting);
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

  test('the first success drains what waits at the full batch size', async () => {
    const { store, batcher } = setUp({ maxBatchSize: 100 });
    store.answers({ fail: UNAVAILABLE });
    for (let id = 0; id < 1_000; id++) batcher.take(job(id)[1]);
    await vi.advanceTimersByTimeAsync(300_000);
    store.answers('store');
    store.batches.length = 0;
    await vi.advanceTimersByTimeAsync(31_000);
    expect(store.batches.map((batch) => batch.length)).toEqual([1, ...Array(9).fill(100), 99]);
  });

  test('a store for which the full size is too much is asked for it once more, then grows by doubling', async () => {
    const { store, batcher } = setUp({ maxBatchSize: 512, backoff: { minMs: 1, maxMs: 1 } });
    store.answers((batch) => (batch.length > 100 ? { fail: UNAVAILABLE } : 'store'));
    for (let id = 0; id < 1_000; id++) batcher.take(job(id)[1]);
    await settle(batcher.flush());
    const sizes = store.batches.map((batch) => batch.length);
    expect(sizes.slice(0, 8)).toEqual([512, 256, 128, 64, 512, 256, 128, 64]);
    expect(sizes.slice(8).every((size) => size <= 128)).toBe(true);
  });

  test.each([[NaN], [Infinity], [-1], [2 ** 40], ['soon' as unknown as number]])(
    'a retryAfterMs of %s makes no hot loop',
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
