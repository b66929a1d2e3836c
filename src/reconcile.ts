import { queueKey, type QueueJobOf, type TrackableJob, type TrackableQueue } from './bullmq.ts';
import { kindOf } from './errors.ts';
import { resolveOptions, type TrackingOptions } from './options.ts';
import { checkQueue, readerOf } from './queue/check.ts';
import { runReconciliation, type ReconcileReport } from './reconciliation.ts';
import { MAX_ROWS } from './rows.ts';
import { toText } from './storable.ts';
import type { StatusStore } from './store.ts';
import { createTracker } from './tracker.ts';
import { checkStore, hasMethods, resolve, unlike, wholeNumber, type Rules } from './validate.ts';

export type { ReconcileReport } from './reconciliation.ts';

/** Options of `reconcile`. An explicit `undefined` means the default. */
export interface ReconcileOptions<Job = unknown> extends Pick<
  TrackingOptions<Job>,
  | 'capture'
  | 'redact'
  | 'metadata'
  | 'filter'
  | 'maxValueLength'
  | 'writeTimeoutMs'
  | 'flushTimeoutMs'
  | 'onError'
  | 'logger'
> {
  /**
   * Rows that changed within so many ms are left alone, for what follows may be on its way: 0 to
   * 31,536,000,000 (a year).
   *
   * @default 60_000
   */
  readonly olderThan?: number | undefined;
  /**
   * Jobs that ended within so many ms are looked at too, as far as the queue keeps them: one of which neither
   * start nor end could be stored has no row. Make it longer than the store was away: 0 to 31,536,000,000.
   *
   * @default 600_000
   */
  readonly endedWithin?: number | undefined;
  /** How many jobs one look at the queue takes in: 1 to 500. @default 500 */
  readonly batchSize?: number | undefined;
  /** Ends it before its next step; it then rejects with the signal's reason. What is repaired stays so. */
  readonly signal?: AbortSignal | undefined;
}

const RULES: Rules = {
  olderThan: wholeNumber(60_000, 0, 31_536_000_000),
  endedWithin: wholeNumber(600_000, 0, 31_536_000_000),
  batchSize: wholeNumber(MAX_ROWS, 1, MAX_ROWS),
  signal: { expected: 'an AbortSignal', holds: (value) => hasMethods(value, 'throwIfAborted') },
};

/**
 * Holds every row that has not ended, and has not changed for a while, against the queue, and every job of
 * the queue that has not ended, or did so of late, against its row; and repairs what differs: what no event
 * told, what a process that died had not written yet, what was removed behind everybody's back.
 *
 * A repair is a snapshot like any other, so whatever has happened meanwhile stands by the law of
 * `mergeStatus`, and a job that is gone is `removed` only until its worker's own word of its end arrives.
 * Run it every few minutes; several at once do no harm.
 *
 * @param queue a BullMQ `Queue`, on Redis or on BullMQ's Postgres backend
 * @param store one that has `list`
 * @param options give the `capture`, `redact`, `metadata` and `filter` that tracking has
 * @throws {InvalidArgumentError} where an argument or option is not what it must be, or the store has no `list`
 * @throws {JobStatusError} `ERR_QUEUE_UNAVAILABLE` where the queue is closed or can't be read,
 *   `ERR_FLUSH_INCOMPLETE` where repairs could not be stored, or a store's code where its rows can't be read
 *
 * @example
 * const { repaired, removed } = await reconcile(queue, store, { olderThan: 5 * 60_000 });
 */
export async function reconcile<Queue extends TrackableQueue>(
  queue: Queue,
  store: StatusStore,
  options?: ReconcileOptions<QueueJobOf<Queue>>,
): Promise<ReconcileReport> {
  checkQueue(queue);
  checkStore(store);
  if (store.list === undefined) throw unlike('store', 'a StatusStore with list', kindOf(store));
  const { olderThan, endedWithin, batchSize, signal, ...rest } = options ?? {};
  const own = resolve('options', { olderThan, endedWithin, batchSize, signal }, RULES);
  const tracking = resolveOptions<TrackableJob>(rest as TrackingOptions<TrackableJob>);
  const reader = readerOf(queue);
  const key = toText(queueKey(queue.qualifiedName));
  const tracker = createTracker({ queue: key, worker: null }, store, tracking);
  try {
    return await runReconciliation(key, queue, reader, tracker, {
      // With 0 what changed in this very millisecond too.
      updatedBefore: new Date(Date.now() - (own['olderThan'] as number) + 1),
      endedSince: Date.now() - (own['endedWithin'] as number),
      batchSize: own['batchSize'] as number,
      signal: own['signal'] as AbortSignal | undefined,
    });
  } finally {
    tracker.end();
    reader.close();
  }
}
