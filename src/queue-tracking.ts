import { queueKey, type QueueJobOf, type TrackableJob, type TrackableQueue } from './bullmq.ts';
import { within } from './deadline.ts';
import { JobStatusError } from './errors.ts';
import { resolveOptions, type ResolvedOptions, type TrackingOptions } from './options.ts';
import { checkQueue, readerOf } from './queue/check.ts';
import { watchQueue } from './queue-watch.ts';
import { toText } from './storable.ts';
import type { StatusStore } from './store.ts';
import { isTapped, tap } from './tap.ts';
import { createTracker, type StatusTracker } from './tracker.ts';
import { checkStore } from './validate.ts';

/**
 * Tracks every job of a BullMQ queue into a store, from the moment it is added until it is gone: whoever
 * adds it (`add`, `addBulk`, flows, schedulers, another language) and whoever runs it. Workers that are
 * tracked too tell more, and sooner; the law puts what both say in order. Give both the same options.
 *
 * Any number of processes may track one queue; one is enough. It takes a connection beside the queue's own,
 * and at the beginning holds every job that has not ended against its row, as `reconcile` does.
 * `queue.close()` resolves once all is stored, or after `flushTimeoutMs`.
 *
 * @param queue a BullMQ `Queue`, on Redis or on BullMQ's Postgres backend
 * @param store where the rows go
 * @throws {InvalidArgumentError} where an argument or option is not what it must be
 * @throws {JobStatusError} `ERR_ALREADY_ATTACHED` where this queue is tracked into this store already,
 *   `ERR_QUEUE_UNAVAILABLE` where it is closed
 *
 * @example
 * const queue = new Queue('exports', { connection });
 * attachQueueTracking(queue, new SupabaseStatusStore(supabase));
 */
export function attachQueueTracking<Queue extends TrackableQueue>(
  queue: Queue,
  store: StatusStore,
  options?: TrackingOptions<QueueJobOf<Queue>>,
): StatusTracker {
  checkQueue(queue);
  checkStore(store);
  const resolved = resolveOptions(options) as ResolvedOptions as ResolvedOptions<TrackableJob>;
  const key = toText(queueKey(queue.qualifiedName));
  if (isTapped(queue, store)) {
    const message = `The queue "${key}" is tracked into this store already`;
    throw new JobStatusError('ERR_ALREADY_ATTACHED', message);
  }
  const reader = readerOf(queue);
  const tracker = createTracker({ queue: key, worker: null }, store, resolved);
  const { report } = tracker;
  const watch = watchQueue(key, queue, reader, tracker);
  let closing: Promise<void> | undefined;

  const untap = tap(queue, store, {
    onEvent() {},
    // While there is a connection; what was written to the queue before is in the rows after.
    onClosing: lastLook,
    onClosed() {
      const closed = end().catch(report);
      return resolved.flushOnClose ? closed : Promise.resolve();
    },
  });

  function end(): Promise<void> {
    closing ??= watch
      .close()
      .then(() => tracker.close())
      .finally(() => {
        tracker.end();
        untap();
      });
    return closing;
  }

  /** Everything until now, in time. */
  function look(): Promise<void> {
    const ms = resolved.flushTimeoutMs;
    return within(ms, watch.look, () => {
      const message = `Not all of the queue was taken in within ${ms} ms`;
      return new JobStatusError('ERR_FLUSH_INCOMPLETE', message);
    });
  }

  /** A queue that can't be read keeps nobody from its end. */
  function lastLook(): Promise<void> {
    return look().catch(report);
  }

  async function close(): Promise<void> {
    if (closing === undefined) await lastLook();
    return end();
  }

  return {
    async flush() {
      await look();
      await tracker.flush();
    },
    close,
    stats: tracker.stats,
    [Symbol.asyncDispose]: close,
  };
}
