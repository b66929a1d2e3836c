import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { JobStatusError } from '../../src/errors.ts';
import { job, settle, setUp, UNAVAILABLE } from '../support/batcher.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

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

  test('500 jobs are a full batch to a store that takes long for them', async () => {
    const { store, batcher } = setUp({ flushIntervalMs: 10_000 });
    const write = store.write.bind(store);
    store.write = async (updates, options) => {
      await new Promise((resolve) => setTimeout(resolve, updates.length));
      await write(updates, options);
    };
    for (let id = 0; id < 600; id++) batcher.take(job(`first ${id}`)[1]);
    await settle(batcher.flush());
    for (let id = 0; id < 1_200; id++) batcher.take(job(id)[1]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(store.batches.map((batch) => batch.length)).toEqual([600, 500, 500]);
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

  test('the host’s clock set back and forth changes neither the lag nor a rest', async () => {
    const { store, batcher } = setUp({ flushIntervalMs: 0, backoff: { minMs: 100, maxMs: 100 } });
    store.answers({ fail: UNAVAILABLE });
    batcher.take(job(1)[0]);
    for (const hours of [1, -2, 1]) {
      vi.setSystemTime(Date.now() + hours * 3_600_000);
      const { length } = store.batches;
      await vi.advanceTimersByTimeAsync(1_000);
      expect(store.batches.length - length).toBeGreaterThan(5);
    }
    expect(batcher.stats().lagMs).toBe(3_000);
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

  test('where more than 500 are too much for a gateway, that is found out once', async () => {
    const { store, batcher } = setUp();
    const tooLarge = new JobStatusError('ERR_STORE_REFUSED', '413');
    store.answers((batch) => (batch.length > 600 ? { fail: tooLarge } : 'store'));
    for (let id = 0; id < 4_000; id++) batcher.take(job(id)[1]);
    await settle(batcher.flush());
    const sizes = store.batches.map((batch) => batch.length);
    expect(sizes).toEqual([2_000, 1_000, 500, 500, 1_000, 500, 500, 500, 500, 500, 500]);
    expect(batcher.stats()).toMatchObject({ written: 4_000, refused: 0 });
  });

  test('a culprit among many says nothing of how many are too many', async () => {
    const { store, batcher } = setUp();
    store.answers({ refuse: ['j7'] });
    for (let id = 0; id < 4_000; id++) batcher.take(job(id)[1]);
    await expect(settle(batcher.flush())).rejects.toMatchObject({ updates: [{ jobId: 'j7' }] });
    expect(store.batches.at(-1)).toHaveLength(2_000);
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
  test('nothing is given up while the store is there: as many as may wait are a full batch', async () => {
    const { store, batcher } = setUp({ maxPending: 1_000, flushIntervalMs: 10_000 });
    for (let id = 0; id < 1_500; id++) {
      batcher.take(job(id)[1]);
      if (id % 100 === 0) await vi.advanceTimersByTimeAsync(1);
    }
    await settle(batcher.flush());
    expect(batcher.stats()).toMatchObject({ written: 1_500, dropped: 0 });
    expect(store.batches.map((batch) => batch.length)).toEqual([1_000, 500]);
  });

  test('past maxPending starts go before ends, oldest first; all counted, told in one report', async () => {
    const { store, batcher, reports } = setUp({ maxPending: 4, maxBatchSize: 100 });
    store.answers({ fail: UNAVAILABLE });
    batcher.take(job(1)[1]);
    await vi.advanceTimersByTimeAsync(20);
    batcher.take(job(2)[1]);
    for (const id of [3, 4]) batcher.take(job(id)[0]);
    for (const id of [5, 6, 7]) batcher.take(job(id)[1]);
    expect(batcher.stats()).toMatchObject({ pending: 4, dropped: 3 });
    await vi.advanceTimersByTimeAsync(200);
    const dropped = reports.filter(({ error }) => error.code === 'ERR_UPDATES_DROPPED');
    expect(dropped.map(({ jobs }) => jobs)).toEqual([['j3', 'j4', 'j1']]);
    store.answers('store');
    await settle(batcher.flush());
    const { items } = await store.list();
    expect(items.map((row) => row.jobId).sort()).toEqual(['j2', 'j5', 'j6', 'j7']);
  });

  test('each dropped update is told once: where it begins, where it ends, and by the thousands between', async () => {
    const { store, batcher, reports } = setUp({ maxPending: 1_000, maxBatchSize: 10 });
    const told = () => reports.filter(({ error }) => error.code === 'ERR_UPDATES_DROPPED');
    store.answers({ fail: UNAVAILABLE });
    const given: string[] = [];
    const take = (count: number) => {
      for (let n = 0; n < count; n++) {
        given.push(`j${given.length}`);
        batcher.take(job(given.length - 1)[1]);
      }
    };
    take(1_010);
    await vi.advanceTimersByTimeAsync(200);
    expect(told().map(({ jobs }) => jobs.length)).toEqual([10]);
    // Through write after write that fails.
    for (let n = 0; n < 50; n++) {
      take(5);
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(batcher.stats().dropped).toBe(260);
    expect(told().map(({ jobs }) => jobs.length)).toEqual([10, 100, 100]);
    store.answers('store');
    await settle(batcher.flush());
    const lost = told().flatMap(({ jobs }) => jobs);
    const stored = (await store.list({ limit: 1_000 })).items.map(({ jobId }) => jobId);
    expect(lost.length).toBe(260);
    expect([...lost, ...stored].sort()).toEqual(given.sort());
    expect(told().at(-1)!.error.message).toContain('50 of them of jobs that had ended');
  });

  test('what was dropped while no write ended is told at the close', async () => {
    const { store, batcher, reports } = setUp({ maxPending: 1 });
    store.answers('hang');
    batcher.take(job(0)[0]);
    await vi.advanceTimersByTimeAsync(100);
    for (const id of [1, 2, 3]) batcher.take(job(id)[0]);
    expect(reports).toEqual([]);
    const told = batcher.close().catch(() => reports.map(({ error, jobs }) => [error.code, jobs]));
    expect(await settle(told)).toEqual([['ERR_UPDATES_DROPPED', ['j1', 'j2']]]);
  });
});
