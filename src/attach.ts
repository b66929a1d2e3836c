import { queueKey, type JobOf, type TrackableJob, type TrackableWorker } from './bullmq.ts';
import { JobStatusError, kindOf } from './errors.ts';
import { resolveOptions, type ResolvedOptions, type TrackingOptions } from './options.ts';
import { createQueueReader } from './queue/create.ts';
import type { JobEvent } from './snapshot.ts';
import { toText } from './storable.ts';
import type { StatusStore } from './store.ts';
import { isTapped, tap } from './tap.ts';
import { createTracker, type StatusTracker } from './tracker.ts';
import { checkStore, hasMethods, unlike } from './validate.ts';
import { createWorkerWatch } from './worker-watch.ts';

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
  checkWorker(worker);
  checkStore(store);
  const resolved = resolveOptions(options) as ResolvedOptions as ResolvedOptions<TrackableJob>;
  const queue = toText(queueKey(worker.qualifiedName));
  if (isTapped(worker, store)) {
    const message = `The worker of queue "${queue}" is tracked into this store already`;
    throw new JobStatusError('ERR_ALREADY_ATTACHED', message);
  }
  const source = { queue, worker: toText(worker.opts?.name || worker.id) };
  const tracker = createTracker(source, store, resolved, (job, since) =>
    watch?.started(job, since),
  );
  const { observe, report } = tracker;
  const reader = createQueueReader(worker);
  const watch = reader && createWorkerWatch(worker, reader, tracker);
  let closing: Promise<void> | undefined;
  let closedWithWorker: Promise<void> | undefined;

  const untap = tap(worker, store, {
    onEvent(event, args) {
      if (closing !== undefined) return;
      const [job, value] = args;
      if (event === 'stalled' && typeof job === 'string') watch?.suspect(job);
      // Older BullMQ 5 emits `failed` with no job, where a stalled one is gone.
      if (!isJobEvent(event) || typeof job !== 'object' || !job) return;
      observe({ type: event, value }, job as TrackableJob);
      if (event === 'completed' || event === 'failed') watch?.ended(job as TrackableJob);
    },
    onClosing() {
      tracker.tellUnderWay();
      watch?.closing();
      return undefined;
    },
    onClosed() {
      closedWithWorker ??= close().catch(report);
      return resolved.flushOnClose ? closedWithWorker : Promise.resolve();
    },
  });

  // Untapped only once it has flushed: whoever closes the worker meanwhile waits too.
  function close(): Promise<void> {
    closing ??= end().finally(() => {
      tracker.end();
      untap();
    });
    return closing;
  }

  async function end(): Promise<void> {
    // First, so that the last look misses none of the jobs that run.
    tracker.tellUnderWay();
    await watch?.close();
    await tracker.close();
  }

  return {
    flush: () => tracker.flush(),
    close,
    stats: tracker.stats,
    [Symbol.asyncDispose]: close,
  };
}

/** Events that tell something of a job; all others pass unread. */
const JOB_EVENTS: ReadonlySet<string> = new Set<JobEvent['type']>([
  'active',
  'progress',
  'completed',
  'failed',
]);

function isJobEvent(event: string): event is JobEvent['type'] {
  return JOB_EVENTS.has(event);
}

/** What came is told by its kind only: where a worker should stand, people pass URLs with passwords. */
function checkWorker(worker: unknown): void {
  if (!hasMethods(worker, 'emit', 'close') || !('qualifiedName' in (worker as object))) {
    throw unlike('worker', 'a BullMQ Worker', kindOf(worker));
  }
}
