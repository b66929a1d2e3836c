import { MemoryStatusStore } from 'bullmq-job-status';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { attach, FakeWorker, JOB } from '../support/fake-worker.ts';
import { FakeStore } from '../support/fake-store.ts';

/* What is seen of jobs that run is held back for their end. */

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A worker whose `Job` objects live from event to event, as BullMQ's do. */
function setUp(options: object = {}) {
  const worker = new FakeWorker();
  const store = new FakeStore();
  const metadata = vi.fn<() => object>(() => ({}));
  const tracker = attach(worker, store, { metadata, ...options });
  const jobs = new Map<string, Record<string, unknown>>();
  const emit = (event: string, id: string, value?: unknown, change: object = {}) => {
    const job = jobs.get(id) ?? { ...JOB, id };
    jobs.set(id, job);
    worker.emit(event, Object.assign(job, change), value);
  };
  const row = (jobId: string) => store.get({ queue: 'q', jobId });
  return { worker, store, tracker, metadata, emit, row };
}

const ENDED = { finishedOn: 10, attemptsMade: 1 };

test('a job that ends sooner is written once, with its start', async () => {
  const { store, tracker, emit, row } = setUp();
  for (let id = 0; id < 100; id++) emit('active', `${id}`);
  await vi.advanceTimersByTimeAsync(45);
  for (let id = 0; id < 100; id++) emit('completed', `${id}`, 'done', ENDED);
  await vi.advanceTimersByTimeAsync(200);
  expect(store.batches.map((batch) => batch.length)).toEqual([100]);
  expect(tracker.stats()).toMatchObject({ written: 100, coalesced: 100, pending: 0 });
  expect(await row('1')).toMatchObject({
    status: 'completed',
    startedAt: new Date(2),
    result: 'done',
  });
});

test('a start is told once it was held for five times flushIntervalMs, and all others with it', async () => {
  const { store, emit, row } = setUp({ flushIntervalMs: 10 });
  emit('active', '1');
  await vi.advanceTimersByTimeAsync(40);
  emit('active', '2');
  await vi.advanceTimersByTimeAsync(9);
  expect(store.batches).toEqual([]);
  await vi.advanceTimersByTimeAsync(15);
  expect(store.batches).toEqual([['1', '2']]);
  expect(await row('2')).toMatchObject({ status: 'active' });
});

test('a start that follows one that ended is told in its own time', async () => {
  const { store, tracker, emit } = setUp();
  emit('active', '1');
  await vi.advanceTimersByTimeAsync(20);
  emit('completed', '1', undefined, ENDED);
  // Waits since the start did.
  expect(tracker.stats()).toMatchObject({ pending: 1, lagMs: 20, coalesced: 1 });
  await vi.advanceTimersByTimeAsync(10);
  emit('active', '2');
  await vi.advanceTimersByTimeAsync(45);
  expect(store.batches).toEqual([['1']]);
  await vi.advanceTimersByTimeAsync(25);
  expect(store.batches).toEqual([['1'], ['2']]);
});

test('jobs that come and go never make another one’s start wait, nor are told with none', async () => {
  const { store, emit, row } = setUp({ flushIntervalMs: 10, maxBatchSize: 1 });
  emit('active', 'long');
  for (let id = 0; id < 20; id++) {
    emit('active', `${id}`);
    await vi.advanceTimersByTimeAsync(6);
    emit('completed', `${id}`, undefined, ENDED);
  }
  await vi.advanceTimersByTimeAsync(100);
  expect(await row('long')).toMatchObject({ status: 'active' });
  // Each once, but for the one that ran when the long one’s turn had come.
  expect(store.batches.length).toBe(22);
});

test('200 jobs that report progress each 10 ms are 20 writes a second at most, and an end does not wait', async () => {
  const { store, emit, row } = setUp({ flushIntervalMs: 10 });
  for (let id = 0; id < 200; id++) emit('active', `${id}`);
  await vi.advanceTimersByTimeAsync(100);
  const { length } = store.batches;
  for (let at = 0; at < 100; at++) {
    for (let id = 0; id < 200; id++) emit('progress', `${id}`, at, { progress: at });
    await vi.advanceTimersByTimeAsync(10);
  }
  expect(store.batches.length - length).toBeLessThanOrEqual(20);
  expect(store.batches.length - length).toBeGreaterThanOrEqual(15);
  emit('completed', '7', undefined, ENDED);
  await vi.advanceTimersByTimeAsync(12);
  expect(await row('7')).toMatchObject({ status: 'completed', progress: 99 });
});

test('a start says how its job stood when it started, whatever becomes of it while the start is held', async () => {
  const { emit, row } = setUp({
    metadata: ({ data }: { data: { tenant?: string } }) => ({ tenant: data.tenant ?? null }),
  });
  emit('active', '1', undefined, { data: { tenant: 'acme' } });
  emit('active', '2', undefined, { failedReason: 'of the attempt before' });
  // As BullMQ does it before it asks the queue, and a processor, and `job.retry()`.
  const later = { failedReason: 'of this one', data: {}, processedOn: null, attemptsMade: 1 };
  emit('saved', '1', undefined, later);
  emit('saved', '2', undefined, later);
  emit('progress', '2', 5);
  await vi.advanceTimersByTimeAsync(100);
  const started = { status: 'active', startedAt: new Date(2), attemptsMade: 0 };
  expect(await row('1')).toMatchObject({ ...started, error: null, metadata: { tenant: 'acme' } });
  const error = { message: 'of the attempt before' };
  expect(await row('2')).toMatchObject({ ...started, error, progress: 5 });
});

test('what is held is pending, has a lag, and is stored by flush, by close, and by the worker’s close', async () => {
  for (const how of ['flush', 'close', 'worker'] as const) {
    const { worker, tracker, emit, row } = setUp({ flushIntervalMs: 1_000 });
    emit('active', '1');
    await vi.advanceTimersByTimeAsync(30);
    emit('progress', '1', 50);
    expect(tracker.stats()).toMatchObject({ pending: 1, lagMs: 30 });
    const stored = how === 'worker' ? worker.close() : tracker[how]();
    await vi.advanceTimersByTimeAsync(10);
    await stored;
    expect(await row('1')).toMatchObject({ status: 'active', progress: 50 });
    expect(tracker.stats()).toMatchObject({ pending: 0, lagMs: 0 });
  }
});

test('nothing is held for longer than a second, however long a write waits', async () => {
  const { store, emit } = setUp({ flushIntervalMs: 60_000 });
  emit('active', '1');
  await vi.advanceTimersByTimeAsync(60_900);
  expect(store.batches).toEqual([]);
  await vi.advanceTimersByTimeAsync(200);
  expect(store.batches).toEqual([['1']]);
});

test('who reads the log sees each update when it happens, and still each job is written once', async () => {
  const debug = vi.fn<(row: object) => void>();
  const logger = { debug, info() {}, warn() {}, error() {} };
  const { store, tracker, emit } = setUp({ logger });
  emit('active', '1');
  emit('progress', '1', 50);
  expect(debug).toHaveBeenCalledTimes(2);
  emit('completed', '1', undefined, ENDED);
  expect(debug.mock.calls.map(([row]) => row)).toMatchObject([
    { status: 'active' },
    { status: 'active' },
    { status: 'completed' },
  ]);
  await vi.advanceTimersByTimeAsync(100);
  expect(store.batches).toEqual([['1']]);
  expect(tracker.stats()).toMatchObject({ written: 1, coalesced: 2 });
});

test.each(['time', 'flush', 'close', 'worker'] as const)(
  'a logger that throws keeps no update from the store, nor the worker from its close: by %s',
  async (how) => {
    const failing = () => {
      throw new Error('disk full');
    };
    const onError = vi.fn<(error: { code: string }) => void>();
    const logger = { debug: failing, info() {}, warn() {}, error() {} };
    const { worker, tracker, emit, row } = setUp({ logger, onError });
    for (let id = 0; id < 3; id++) emit('active', `${id}`);
    emit('progress', '2', 50);
    const stored = how === 'worker' ? worker.close() : how === 'time' ? undefined : tracker[how]();
    await vi.advanceTimersByTimeAsync(100);
    await stored;
    for (let id = 0; id < 3; id++) expect(await row(`${id}`)).toMatchObject({ status: 'active' });
    expect(await row('2')).toMatchObject({ progress: 50 });
    expect(onError.mock.calls.map(([{ code }]) => code)).toEqual(Array(4).fill('ERR_HOOK_FAILED'));
    expect(worker.closed).toBe(how === 'worker' ? 1 : 0);
  },
);

test('a job counts once, whatever of it waits in the store’s line and whatever is held back', async () => {
  const { worker, store, tracker, emit } = setUp();
  store.answers('hang');
  emit('active', '1');
  await vi.advanceTimersByTimeAsync(100);
  emit('progress', '1', 50);
  // Put back and taken again: another `Job` of the same id.
  for (let attempt = 2; attempt < 10; attempt++)
    worker.run('active', '1', { attemptsStarted: attempt });
  expect(tracker.stats()).toMatchObject({ pending: 1, lagMs: 100 });
});

test('who hears of a start that is given up finds the others, told or not', async () => {
  const pending: number[] = [];
  const onError = () => void pending.push(tracker.stats().pending);
  const { tracker, emit } = setUp({ onError, maxPending: 1, maxBatchSize: 1 });
  for (let id = 0; id < 6; id++) emit('active', `${id}`);
  const flushed = tracker.flush().catch(() => {});
  // One goes to the store at once, the last one waits, and those between are given up one by one.
  expect(pending).toEqual([5, 4, 3, 2]);
  await vi.advanceTimersByTimeAsync(10);
  await flushed;
});

test('no timer outlives a close', async () => {
  for (const how of ['close', 'worker'] as const) {
    const { worker, tracker, emit } = setUp({ flushIntervalMs: 1_000 });
    emit('active', '1');
    emit('active', '2');
    emit('completed', '2', undefined, ENDED);
    const closed = how === 'worker' ? worker.close() : tracker.close();
    await vi.advanceTimersByTimeAsync(10);
    await closed;
    expect(vi.getTimerCount()).toBe(0);
  }
});

test('a Job shows nothing of what is kept on it, and one that takes nothing is tracked all the same', async () => {
  const worker = new FakeWorker();
  const store = new MemoryStatusStore();
  const tracker = attach(worker, store);
  const job = { ...JOB };
  const frozen = Object.freeze({ ...JOB, id: '2' });
  for (const each of [job, frozen]) worker.emit('active', each);
  for (const each of [job, frozen]) worker.emit('completed', each, 1);
  expect({ ...job }).toEqual(JOB);
  expect(Reflect.ownKeys(Object.assign({}, job))).toEqual(Reflect.ownKeys(JOB));
  await tracker.flush();
  expect(await store.count({ status: 'completed' })).toBe(2);
  await tracker.close();
});
