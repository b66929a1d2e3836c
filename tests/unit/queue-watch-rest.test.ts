import { expect, test, vi } from 'vitest';
import type { TrackableQueue } from '../../src/bullmq.ts';
import { JobStatusError } from '../../src/errors.ts';
import { resolveOptions } from '../../src/options.ts';
import { watchQueue } from '../../src/queue-watch.ts';
import { MemoryStatusStore } from '../../src/stores/memory.ts';
import { createTracker } from '../../src/tracker.ts';
import { FakeReader } from '../support/fake-reader.ts';

/** What was waited for, in ms, without waiting. */
const rests: number[] = [];
vi.mock('node:timers/promises', () => ({
  setTimeout: async (ms: number) => {
    rests.push(ms);
    await new Promise((resolve) => setTimeout(resolve, 1));
  },
}));

test('however long it is asked to rest, it looks again within a minute: a queue trims its events', async () => {
  const reader = new FakeReader();
  const busy = new JobStatusError('ERR_STORE_UNAVAILABLE', '429', { retryAfterMs: 3_600_000 });
  reader.changes = () => Promise.reject(busy);
  const tracker = createTracker(
    { queue: 'q', worker: null },
    new MemoryStatusStore(),
    resolveOptions({ onError: () => {} }),
  );
  const queue = { name: 'q', qualifiedName: 'bull:q' } as TrackableQueue;
  const watch = watchQueue('q', queue, reader, tracker);
  await vi.waitFor(() => expect(rests.length).toBeGreaterThan(5));
  expect(Math.min(...rests)).toBeGreaterThan(30_000);
  expect(Math.max(...rests)).toBeLessThanOrEqual(60_000);
  await watch.close();
});
