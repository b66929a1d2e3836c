import { queueKey, type TrackableQueue } from './bullmq.ts';
import { askStore } from './ask-store.ts';
import { describe, JobStatusError, messageOf } from './errors.ts';
import { resolveOptions } from './options.ts';
import { toStatus } from './merge.ts';
import { isFinished } from './phase.ts';
import { snapshotOfGone, snapshotOfQueued } from './queue-snapshot.ts';
import { checkQueue, readerOf, unreadable } from './queue/check.ts';
import { toText } from './storable.ts';
import type { StatusStore } from './store.ts';
import { createTracker } from './tracker.ts';
import type { StatusUpdate } from './types.ts';
import { checkStore, resolve, unlike, type Rule } from './validate.ts';

/** Options of `cancelJob`; both are kept in the row's `cancellation`. */
export interface CancelOptions {
  /** Who asks: a user's id, say. */
  readonly by?: string | undefined;
  /** Why. A running job's `AbortSignal` has it as its `reason`. */
  readonly reason?: string | undefined;
}

/**
 * What became of it: `cancelled`, the job was taken out of the queue before it ran, or between two attempts;
 * `requested`, it runs, and its worker was asked to end it; `finished`, it had ended before.
 */
export type CancelOutcome = 'cancelled' | 'requested' | 'finished';

/** How often a job may slip away from who cancels it. */
const MAX_MOVES = 20;

const TEXT: Rule = { expected: 'a string', holds: (value) => typeof value === 'string' };

/**
 * Cancels a job. One that waits is taken out of its queue, with its children if it has any. Of one that runs
 * the request is stored in its row, where its worker's tracker finds it within two seconds, on whichever host:
 * it aborts the signal that the processor got as its third parameter, and sees to it that a failure of this
 * attempt is the last. How the attempt ends decides: failed, the job is `cancelled`; completed all the same,
 * it is `completed`.
 *
 * The request is for the attempt under way. If that goes back to the queue instead of ending, the job is taken out,
 * where anybody sees it there; one that was started again by then, after a crash say, runs on.
 *
 * @param store the one that the job's worker is tracked into
 * @throws {InvalidArgumentError} where an argument or option is not what it must be
 * @throws {JobStatusError} `ERR_JOB_UNKNOWN` where neither queue nor store knows the job, `ERR_CANCEL_REFUSED`
 *   where the queue won't let it go, `ERR_QUEUE_UNAVAILABLE` where that is closed or can't be read; a store's
 *   code where that fails, or does not answer within 30 s: is the job out of the queue by then, `reconcile`
 *   tells its row
 *
 * @example
 * await cancelJob(queue, store, '42', { by: user.id, reason: 'no longer needed' });
 */
export async function cancelJob(
  queue: TrackableQueue,
  store: StatusStore,
  jobId: string,
  options?: CancelOptions,
): Promise<CancelOutcome> {
  checkQueue(queue);
  checkStore(store);
  if (typeof jobId !== 'string') throw unlike('jobId', 'a string', describe(jobId));
  const { by, reason } = resolve('options', options, { by: TEXT, reason: TEXT }) as CancelOptions;
  const queueOfRows = toText(queueKey(queue.qualifiedName));
  const cancellation = {
    requestedOn: Date.now(),
    by: by === undefined ? null : toText(by),
    reason: reason === undefined ? null : toText(reason),
  };
  // No value of the job is taken here, where nobody says what may be kept: its row has what it has.
  const capture = { data: false, progress: false, result: false, error: false };
  const source = { queue: queueOfRows, worker: null };
  const resolved = resolveOptions({ capture });
  const tracker = createTracker(source, store, resolved);
  const reader = readerOf(queue);

  // Again where the job started, or went back to the queue, just as it was to be taken out.
  for (let moves = 0; moves < MAX_MOVES; moves++) {
    const at = tracker.observation();
    const seen = await look();
    const key = { queue: queueOfRows, jobId: toText(jobId) };
    const row = await ask((signal) => store.get(key, { signal }));
    if (seen === undefined && row === undefined) {
      const message = `There is no job ${describe(jobId)} in the queue "${queueOfRows}", and no row of one`;
      throw new JobStatusError('ERR_JOB_UNKNOWN', message);
    }
    if (seen === undefined || isFinished(seen.state)) return 'finished';
    const request = { ...snapshotOfQueued(seen, at, tracker.capture, row), cancellation };
    // First of all: should this process die over it, `reconcile` finds the request.
    await write(request);
    if (seen.state === 'active') return 'requested';
    if (await takeOut(queue, jobId)) {
      await write(snapshotOfGone(toStatus(request), tracker.observation()));
      return 'cancelled';
    }
  }
  const message = `Job ${describe(jobId)} moved each time that it was to be taken out of the queue`;
  throw new JobStatusError('ERR_CANCEL_REFUSED', message);

  function ask<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return askStore({ timeoutMs: resolved.writeTimeoutMs }, call);
  }

  function write(update: StatusUpdate): Promise<void> {
    return ask((signal) => store.write([update], { signal }));
  }

  async function look() {
    try {
      return (await reader.read([jobId], 'without-data')).get(jobId);
    } catch (cause) {
      throw unreadable(queueOfRows, cause);
    }
  }
}

/**
 * Takes a job out of its queue, with its children.
 *
 * @returns whether it is out; not where it, or a child of it, has started
 */
export async function takeOut(queue: TrackableQueue, jobId: string): Promise<boolean> {
  try {
    // How many it took out, or whether it did: that differs between backends.
    if ((await queue.remove(jobId)) > 0) return true;
    // A child that runs would hold its parent back.
    return (await queue.remove(jobId, { removeChildren: false })) > 0;
  } catch (cause) {
    const message = `The queue won't let job ${describe(jobId)} go: ${messageOf(cause)}`;
    throw new JobStatusError('ERR_CANCEL_REFUSED', message, { cause });
  }
}
