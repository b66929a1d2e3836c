import type { TrackerStats } from './batcher.ts';
import { queueKey, type JobOf, type TrackableJob, type TrackableWorker } from './bullmq.ts';
import { JobStatusError } from './errors.ts';
import { interpose } from './interpose.ts';
import { resolveOptions, type ResolvedOptions, type TrackingOptions } from './options.ts';
import type { JobEvent } from './snapshot.ts';
import type { StatusStore } from './store.ts';
import { createTracker, type Tracker } from './tracker.ts';
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

/** Which stores a worker is already tracked into. */
const attached = new WeakMap<object, Set<StatusStore>>();

/**
 * Tracks every job that a BullMQ worker runs into a store, from now on.
 *
 * The worker is never slowed, blocked or failed by it: the store is written to beside the jobs, and
 * what goes wrong is told to `options.onError`. `worker.close()` resolves once all is stored, or after
 * `flushTimeoutMs`; `process.exit()` without it may lose the last few milliseconds.
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
  const queue = queueKey(worker);
  const stores = attached.get(worker) ?? new Set();
  if (stores.has(store)) {
    const message = `The worker of queue "${queue}" is tracked into this store already; remove the second attachStatusTracking, or close the first tracker`;
    throw new JobStatusError('ERR_ALREADY_ATTACHED', message);
  }
  attached.set(worker, stores.add(store));

  const tracker = createTracker({ queue, worker: worker.opts?.name ?? worker.id }, store, resolved);
  let closing: Promise<void> | undefined;

  const restoreEmit = interpose<(event: string, ...args: unknown[]) => boolean>(
    worker,
    'emit',
    (emit) =>
      (event, ...args) => {
        if (closing === undefined) observe(tracker, event, args);
        return emit(event, ...args);
      },
  );
  const restoreClose = interpose<(...args: unknown[]) => Promise<void>>(
    worker,
    'close',
    (close) =>
      async (...args) => {
        try {
          await close(...args);
        } finally {
          const flushed = closeTracker().catch(tracker.report);
          if (resolved.flushOnClose) await flushed;
        }
      },
  );

  function closeTracker(): Promise<void> {
    if (closing === undefined) {
      restoreEmit();
      restoreClose();
      stores.delete(store);
      closing = tracker.batcher.close();
    }
    return closing;
  }

  return {
    flush: () => tracker.batcher.flush(),
    close: closeTracker,
    stats: () => tracker.batcher.stats(),
    [Symbol.asyncDispose]: closeTracker,
  };
}

/** The events that tell something of a job; all others pass unread. */
const JOB_EVENTS: readonly string[] = [
  'active',
  'progress',
  'completed',
  'failed',
] satisfies JobEvent['type'][];

function observe(tracker: Tracker, event: string, [job, value]: unknown[]): void {
  // Older BullMQ 5 emits `failed` with no job, where a stalled one is gone.
  if (!JOB_EVENTS.includes(event) || typeof job !== 'object' || job === null) return;
  tracker.observe({ type: event as JobEvent['type'], value }, job as TrackableJob);
}

function checkArguments(worker: unknown, store: unknown): void {
  if (!hasMethods(worker, 'emit', 'close') || !('qualifiedName' in (worker as object))) {
    throw unlike('worker', 'a BullMQ Worker', worker);
  }
  if (!hasMethods(store, 'write', 'get')) {
    throw unlike('store', 'a StatusStore with the methods write and get', store);
  }
}
