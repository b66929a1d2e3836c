import type { TrackerStats } from './batcher.ts';
import { queueKey, type JobOf, type TrackableJob, type TrackableWorker } from './bullmq.ts';
import { JobStatusError, kindOf } from './errors.ts';
import { resolveOptions, type ResolvedOptions, type TrackingOptions } from './options.ts';
import type { JobEvent } from './snapshot.ts';
import { toText } from './storable.ts';
import type { StatusStore } from './store.ts';
import { isTapped, tap } from './tap.ts';
import { createTracker } from './tracker.ts';
import { hasMethods, unlike } from './validate.ts';

/** Tracking of one worker into one store. */
export interface StatusTracker extends AsyncDisposable {
  /**
   * Resolves when every update taken so far is stored.
   *
   * @throws {JobStatusError} `ERR_FLUSH_INCOMPLETE` with the `updates` not stored, after
   *   `flushTimeoutMs`, or where the store refused some
   */
  flush(): Promise<void>;
  /**
   * Detaches from the worker and flushes; every later call returns the first one's promise.
   * `worker.close()` calls it by itself, so call it only to stop tracking a worker that goes on.
   *
   * @throws {JobStatusError} as `flush` does; tracking has ended all the same
   */
  close(): Promise<void>;
  /** How tracking stands: a snapshot, cheap enough for a metrics endpoint. */
  stats(): TrackerStats;
}

/**
 * Tracks every job that a BullMQ worker runs into a store, from now on.
 *
 * No job waits for it or fails by it: the store is written to beside the jobs, and what goes wrong is
 * told to `options.onError`. `worker.close()` resolves once all is stored, or after `flushTimeoutMs`;
 * `process.exit()` without it loses what is not stored yet.
 *
 * @param worker any BullMQ `Worker`, running or not
 * @param store where the rows go; several workers may share one, and a worker may have several
 * @throws {InvalidArgumentError} where an argument or option is not what it must be
 * @throws {JobStatusError} `ERR_ALREADY_ATTACHED` where this worker is tracked into this store already
 *
 * @example
 * const worker = new Worker('exports', processor, { connection });
 * attachStatusTracking(worker, new SupabaseStatusStore(supabase));
 */
export function attachStatusTracking<Worker extends TrackableWorker>(
  worker: Worker,
  store: StatusStore,
  options?: TrackingOptions<JobOf<Worker>>,
): StatusTracker {
  checkArguments(worker, store);
  const resolved = resolveOptions(options) as ResolvedOptions as ResolvedOptions<TrackableJob>;
  const queue = toText(queueKey(worker));
  if (isTapped(worker, store)) {
    const message = `The worker of queue "${queue}" is tracked into this store already`;
    throw new JobStatusError('ERR_ALREADY_ATTACHED', message);
  }
  const source = { queue, worker: toText(worker.opts?.name || worker.id) };
  const { observe, report, batcher } = createTracker(source, store, resolved);
  let closing: Promise<void> | undefined;
  let closedWithWorker: Promise<void> | undefined;

  const untap = tap(worker, store, {
    onEvent(event, args) {
      const [job, value] = args;
      // Older BullMQ 5 emits `failed` with no job, where a stalled one is gone.
      if (closing !== undefined || !isJobEvent(event) || typeof job !== 'object' || !job) return;
      observe({ type: event, value }, job as TrackableJob);
    },
    onClosed() {
      closedWithWorker ??= close().catch(report);
      return resolved.flushOnClose ? closedWithWorker : Promise.resolve();
    },
  });

  // Untapped only once it has flushed: whoever closes the worker meanwhile waits too.
  function close(): Promise<void> {
    closing ??= batcher.close().finally(untap);
    return closing;
  }

  return { flush: batcher.flush, close, stats: batcher.stats, [Symbol.asyncDispose]: close };
}

/** Whether an event tells something of a job; all others pass unread. */
function isJobEvent(event: string): event is JobEvent['type'] {
  return ['active', 'progress', 'completed', 'failed'].includes(event);
}

/** What came is told by its kind only: where a worker should stand, people pass URLs with passwords. */
function checkArguments(worker: unknown, store: unknown): void {
  if (!hasMethods(worker, 'emit', 'close') || !('qualifiedName' in (worker as object))) {
    throw unlike('worker', 'a BullMQ Worker', kindOf(worker));
  }
  if (!hasMethods(store, 'write', 'get')) {
    throw unlike('store', 'a StatusStore with write and get', kindOf(store));
  }
}
