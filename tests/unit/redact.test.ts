import { MemoryStatusStore, type StatusUpdate, type TrackingOptions } from 'bullmq-job-status';
import { inspect } from 'node:util';
import { afterEach, expect, test, vi } from 'vitest';
import type { TrackableJob, TrackableQueue } from '../../src/bullmq.ts';
import { resolveOptions, type ResolvedOptions } from '../../src/options.ts';
import type { QueuedJob } from '../../src/queue-snapshot.ts';
import { watchQueue } from '../../src/queue-watch.ts';
import { runReconciliation } from '../../src/reconciliation.ts';
import { createTracker } from '../../src/tracker.ts';
import { createWorkerWatch } from '../../src/worker-watch.ts';
import { FakeReader } from '../support/fake-reader.ts';
import { attach, FakeWorker, JOB } from '../support/fake-worker.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

const SECRET = 's3cret';
const MASK = '[hidden]';
const FAILURE = `no entry for ${SECRET}`;
const STACK = `Error: ${FAILURE}\n    at ${SECRET}.js:1:1`;

/** A value as it may be kept: the same, but for what is secret in it. */
function mask(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replaceAll(SECRET, MASK));
}

/** A job of which every value that can be captured is secret. */
const SECRETIVE = {
  data: { token: SECRET },
  progress: { step: SECRET },
  failedReason: FAILURE,
  stacktrace: ['Error: another\n    at a.js:1:1', STACK],
};
const ERROR = Object.assign(new Error(FAILURE), { name: `${SECRET}Error`, stack: STACK });
/** As rows of it have them. */
const MASKED = {
  data: { token: MASK },
  progress: { step: MASK },
  error: { message: FAILURE.replace(SECRET, MASK), stack: STACK.replaceAll(SECRET, MASK) },
  metadata: { tenant: MASK },
};

/** All that leaves the process: what the store is given, and what is told of it. */
function listen(redact: TrackingOptions['redact'] = mask) {
  const written: StatusUpdate[] = [];
  const told: unknown[] = [];
  const store = new MemoryStatusStore();
  const write = store.write.bind(store);
  vi.spyOn(store, 'write')
    // Once it fails: `onError` is given what could not be stored.
    .mockImplementationOnce(async (updates) => {
      written.push(...updates);
      throw new Error('away');
    })
    .mockImplementation(async (updates) => {
      written.push(...updates);
      await write(updates);
    });
  vi.spyOn(process, 'emitWarning').mockImplementation((...args: unknown[]) => void told.push(args));
  const tell = (...args: unknown[]) => void told.push(args);
  const options = {
    capture: { data: true },
    metadata: () => ({ tenant: SECRET }),
    redact,
    logger: { debug: tell, info: tell, warn: tell, error: tell },
    onError: tell,
    backoff: { minMs: 1, maxMs: 1 },
  };
  return {
    store,
    options,
    row: () => store.get({ queue: 'q', jobId: '1' }),
    /** Nothing of the original left, in any update or word; and there was something to look at. */
    async expectNoSecret() {
      const kept = [
        ...written,
        await store.list(),
        await store.attempts({ queue: 'q', jobId: '1' }),
      ];
      expect(inspect(kept, { depth: 20 })).toContain(MASK);
      expect(told.length).toBeGreaterThan(2);
      const all = [kept, told, told.flat().map((each) => (each as Error).cause)];
      expect(inspect(all, { depth: 20, showHidden: true })).not.toContain(SECRET);
      expect(JSON.stringify(all)).not.toContain(SECRET);
    },
  };
}

/** What is tracked by a look at the queue, of which the test says what is in it. */
function lookAt(heard: ReturnType<typeof listen>) {
  const options = resolveOptions(heard.options) as ResolvedOptions as ResolvedOptions<TrackableJob>;
  const tracker = createTracker({ queue: 'q', worker: null }, heard.store, options);
  const queue = { name: 'q', qualifiedName: 'bull:q' } as TrackableQueue;
  return { reader: new FakeReader(), tracker, queue };
}

function put(reader: FakeReader, state: QueuedJob['state'], result: unknown = null): void {
  reader.put('1', state, { ...SECRETIVE, finishedOn: result === null ? undefined : 5 });
  const job = reader.jobs.get('1');
  if (job !== undefined) reader.jobs.set('1', { ...job, result });
}

test("each of a worker's events is redacted: progress, result, error, data and metadata", async () => {
  const heard = listen();
  const worker = new FakeWorker();
  const tracker = attach(worker, heard.store, heard.options);
  const job = { ...JOB, ...SECRETIVE };
  worker.emit('active', job);
  await tracker.flush();
  expect(await heard.row()).toMatchObject({ status: 'active', ...MASKED });
  worker.emit('progress', { ...job, progress: 0 }, [SECRET]);
  await tracker.flush();
  expect(await heard.row()).toMatchObject({ progress: [MASK] });
  const ended = { ...job, finishedOn: 5 };
  worker.emit('completed', ended, { url: SECRET });
  // Late progress is added to the last snapshot, whose values are redacted already.
  worker.emit('progress', ended, SECRET);
  await tracker.close();
  expect(await heard.row()).toMatchObject({ result: { url: MASK }, progress: MASK, error: null });
  await heard.expectNoSecret();
});

test('an error is redacted whole, its name and stack too, and stays so among earlier attempts', async () => {
  const heard = listen();
  const worker = new FakeWorker();
  const tracker = attach(worker, heard.store, heard.options);
  const thrown = [ERROR, SECRET, { message: SECRET, name: SECRET }, undefined];
  for (const [at, error] of thrown.entries()) {
    const attempt = { attemptsStarted: at + 1, processedOn: 10 * (at + 1), attemptsMade: at + 1 };
    const isLast = at === thrown.length - 1;
    const job = { ...JOB, ...SECRETIVE, ...attempt, ...(isLast && { finishedOn: 100 }) };
    worker.emit('active', { ...job, finishedOn: undefined });
    worker.emit('failed', job, error);
    await tracker.flush();
    expect((await heard.row())?.error?.message).toContain(MASK);
  }
  await tracker.close();
  const attempts = await heard.store.attempts({ queue: 'q', jobId: '1' });
  expect(attempts.map(({ error }) => error)).toEqual([
    { name: `${MASK}Error`, ...MASKED.error },
    { name: 'Error', message: MASK },
    { name: MASK, message: MASK },
    { name: 'Error', message: MASKED.error.message },
  ]);
  await heard.expectNoSecret();
});

test('a job that left its worker without an event is redacted as it is read off the queue', async () => {
  const heard = listen();
  const { reader, tracker } = lookAt(heard);
  const watch = createWorkerWatch(new FakeWorker(), reader, tracker);
  const job = { ...JOB, ...SECRETIVE };
  tracker.observe({ type: 'active' }, job);
  watch.started(job, performance.now());
  put(reader, 'delayed');
  await watch.close();
  await tracker.close();
  expect(await heard.row()).toMatchObject({ status: 'delayed', ...MASKED });
  await heard.expectNoSecret();
});

test.each(['waiting', 'delayed', 'active', 'failed', 'completed'] as const)(
  'a job that queue tracking or reconcile reads as %s is redacted',
  async (state) => {
    for (const way of ['watch', 'reconcile']) {
      const heard = listen();
      const { reader, tracker, queue } = lookAt(heard);
      const isOver = state === 'completed' || state === 'failed';
      put(reader, state, isOver ? { url: SECRET } : null);
      reader.events.push({ jobId: '1', event: 'added', on: 5, value: SECRET });
      vi.spyOn(reader, 'lastCursor').mockResolvedValue('0');
      vi.spyOn(reader, 'unfinishedIds').mockResolvedValue(['1']);
      if (way === 'watch') {
        const watch = watchQueue('q', queue, reader, tracker);
        await watch.look();
        await watch.close();
      } else {
        const updatedBefore = new Date();
        await runReconciliation('q', queue, reader, tracker, { updatedBefore });
      }
      await tracker.close();
      expect(await heard.row()).toMatchObject({
        status: state,
        ...MASKED,
        ...(state === 'completed' && { result: { url: MASK }, error: null }),
      });
      await heard.expectNoSecret();
    }
  },
);

test.each([
  ['completed', { url: SECRET }, { result: { url: MASK }, error: null }],
  ['failed', FAILURE, { error: { name: 'Error', message: MASKED.error.message } }],
])('of a job that is gone, what its %s event says is redacted', async (event, value, kept) => {
  const heard = listen();
  const { reader, tracker, queue } = lookAt(heard);
  const watch = watchQueue('q', queue, reader, tracker);
  await watch.look();
  put(reader, 'active');
  reader.events.push({ jobId: '1', event: 'active', on: 5, value: null });
  await watch.look();
  reader.jobs.clear();
  reader.events.push({ jobId: '1', event, on: 6, value });
  await watch.look();
  await tracker.close();
  await watch.close();
  const { data, progress, metadata } = MASKED;
  expect(await heard.row()).toMatchObject({ status: event, data, progress, metadata, ...kept });
  await heard.expectNoSecret();
});

test('it is called for each captured field with the job, and not for what is not captured or is null', async () => {
  const redact = vi.fn<(value: unknown, field: string, job: unknown) => unknown>(mask);
  const heard = listen(redact);
  const worker = new FakeWorker();
  const capture = { data: false, progress: false };
  const tracker = attach(worker, heard.store, { ...heard.options, capture });
  const job = { ...JOB, ...SECRETIVE, finishedOn: 5 };
  worker.emit('failed', job, ERROR);
  await tracker.close();
  expect(redact.mock.calls).toEqual([
    [{ name: ERROR.name, message: FAILURE, stack: STACK }, 'error', job],
    [{ tenant: SECRET }, 'metadata', job],
  ]);
  expect(await heard.row()).toMatchObject({ data: null, progress: null, result: null });
  await heard.expectNoSecret();
});

test.each([undefined, null])('what it answers with %s is not kept at all', async (nothing) => {
  const heard = listen((value, field) => (field === 'metadata' ? mask(value) : nothing));
  const worker = new FakeWorker();
  const tracker = attach(worker, heard.store, heard.options);
  worker.emit('failed', { ...JOB, ...SECRETIVE, finishedOn: 5 }, ERROR);
  await tracker.close();
  const row = await heard.row();
  expect(row).toMatchObject({ error: null, data: null, progress: null, metadata: MASKED.metadata });
  await heard.expectNoSecret();
});

test('where it throws for one value, nothing of that value is kept or told, and the others are', async () => {
  const heard = listen((value, field) => {
    if (field === 'metadata') return mask(value);
    throw new TypeError('no rule');
  });
  const worker = new FakeWorker();
  const tracker = attach(worker, heard.store, heard.options);
  worker.emit('failed', { ...JOB, ...SECRETIVE, finishedOn: 5 }, ERROR);
  await tracker.close();
  expect(await heard.row()).toMatchObject({
    error: null,
    data: null,
    progress: null,
    metadata: MASKED.metadata,
    altered: { error: ['hook-failed'], data: ['hook-failed'], progress: ['hook-failed'] },
  });
  await heard.expectNoSecret();
});
