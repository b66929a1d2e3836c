import { expect, test, vi } from 'vitest';
import type { TrackableQueue } from '../../src/bullmq.ts';
import { resolveOptions, type TrackingOptions } from '../../src/options.ts';
import { watchQueue } from '../../src/queue-watch.ts';
import { MemoryStatusStore } from '../../src/stores/memory.ts';
import { createTracker } from '../../src/tracker.ts';
import { FakeReader } from '../support/fake-reader.ts';

/** A watch of a queue that does nothing by itself. */
function watched(options: TrackingOptions = {}) {
  const reader = new FakeReader();
  const store = new MemoryStatusStore();
  const tracker = createTracker({ queue: 'q', worker: null }, store, resolveOptions(options));
  const queue = { name: 'q', qualifiedName: 'bull:q' } as TrackableQueue;
  const watch = watchQueue('q', queue, reader, tracker);
  const look = async () => {
    await watch.look();
    await tracker.settled();
    return (await store.get({ queue: 'q', jobId: '1' }))?.status;
  };
  const happens = (event: string, value?: unknown) =>
    reader.events.push({ jobId: '1', event, on: Date.now(), value });
  return { reader, store, tracker, watch, look, happens };
}

const WAITING = { attemptsStarted: 0, processedOn: undefined };

test('both tasks begin at one place, so that no event falls between', async () => {
  const { reader, watch, look } = watched();
  await look();
  await look();
  expect(reader.calls.filter((call) => call === 'lastCursor')).toHaveLength(1);
  await watch.close();
  expect(reader.calls).toContain('close');
});

test('a job that is gone after any event but its end or removal is left as it is: that event is to come', async () => {
  const { reader, watch, look, happens } = watched();
  await look();
  reader.put('1', 'waiting', WAITING);
  happens('added');
  expect(await look()).toBe('waiting');
  reader.jobs.clear();
  happens('active');
  expect(await look()).toBe('waiting');
  happens('completed', 'well');
  expect(await look()).toBe('completed');
  await watch.close();
});

test('a logger that throws holds up no look', async () => {
  const debug = () => {
    throw new Error('disk full');
  };
  const onError = vi.fn<(error: { code: string; message: string }) => void>();
  const logger = { debug, info() {}, warn() {}, error() {} };
  const { reader, watch, look, happens } = watched({ logger, onError });
  await look();
  reader.put('1', 'waiting', WAITING);
  happens('added');
  expect(await look()).toBe('waiting');
  reader.jobs.clear();
  happens('completed', 'well');
  expect(await look()).toBe('completed');
  expect(onError.mock.calls.map(([{ code, message }]) => `${code} ${message}`)).toEqual(
    Array(2).fill('ERR_HOOK_FAILED Your `logger` failed: disk full'),
  );
  await watch.close();
});

test('a job that was found removed, and of whose end an event tells then, ended', async () => {
  const { reader, watch, look, happens } = watched();
  await look();
  reader.put('1', 'waiting', WAITING);
  happens('added');
  expect(await look()).toBe('waiting');
  reader.jobs.clear();
  happens('removed');
  expect(await look()).toBe('removed');
  happens('failed', 'no');
  expect(await look()).toBe('failed');
  // And an ended one that is taken out of the queue has ended all the same.
  happens('removed');
  expect(await look()).toBe('failed');
  happens('completed', 'late');
  expect(await look()).toBe('failed');
  await watch.close();
});

test('a cancellation that was asked for under way is decided by the end, and not by who missed it', async () => {
  const { reader, store, watch, look, happens } = watched();
  await look();
  reader.put('1', 'active', { timestamp: Date.now() });
  happens('active');
  expect(await look()).toBe('active');
  const row = (await store.get({ queue: 'q', jobId: '1' }))!;
  const cancellation = { requestedOn: Date.now(), by: null, reason: null };
  await store.write([{ ...row, cancellation, earlierAttempts: [] }]);
  reader.jobs.clear();
  happens('removed', 'active');
  expect(await look()).toBe('cancelled');
  happens('completed', 'all the same');
  expect(await look()).toBe('completed');
  await watch.close();
});

test('a job that went back unseen before it was removed was there, as the event says', async () => {
  const { reader, store, watch, look, happens } = watched();
  await look();
  reader.put('1', 'active', { timestamp: Date.now() });
  happens('active');
  expect(await look()).toBe('active');
  const row = (await store.get({ queue: 'q', jobId: '1' }))!;
  reader.jobs.clear();
  happens('removed', 'delayed');
  expect(await look()).toBe('removed');
  // The worker's own word of its failure comes last.
  const late = { ...row, status: 'delayed', sequence: Date.now() * 1_000 + 10_000 } as const;
  await store.write([{ ...late, earlierAttempts: [] }]);
  expect(await store.get({ queue: 'q', jobId: '1' })).toMatchObject({
    status: 'removed',
    removedFrom: 'delayed',
  });
  await watch.close();
});
