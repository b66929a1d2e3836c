import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { job, settle, setUp, UNAVAILABLE } from '../support/batcher.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
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
