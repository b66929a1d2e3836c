import type { TrackableJob } from './bullmq.ts';
import { JobStatusError, messageOf } from './errors.ts';
import { isFinished, phaseOf } from './phase.ts';
import type { QueuedJob } from './queue-snapshot.ts';
import type { QueueReader } from './queue/reader.ts';
import { toCount, toTime } from './readings.ts';
import { toText } from './storable.ts';
import type { Tracker } from './tracker.ts';
import type { JobStatus } from './types.ts';

/** A BullMQ `Job`, as far as cancelling one goes. */
export interface CancellableJob extends TrackableJob {
  opts: TrackableJob['opts'];
  remove?(): Promise<unknown>;
}

/** The worker, as far as cancelling one of its jobs goes. */
interface CancellingWorker {
  /** Aborts the processor's signal; older versions of BullMQ 5 have none. */
  cancelJob?(jobId: string, reason?: string): boolean;
}

/** Requests to cancel jobs of one worker, which `cancelJob` left in their rows. */
export interface CancelRequests {
  /**
   * Looks for requests and does what they ask.
   *
   * @param running jobs that run here
   * @param departed jobs that ran here and went back to the queue: a request may have come too late
   */
  look(running: readonly CancellableJob[], departed: readonly CancellableJob[]): Promise<void>;
}

export function createCancelRequests(
  worker: CancellingWorker,
  reader: QueueReader,
  { observeGone, rowsOf, report }: Tracker,
): CancelRequests {
  const ended = new WeakSet<TrackableJob>();

  function end(job: CancellableJob, row: JobStatus): void {
    ended.add(job);
    // If it fails now, it fails for good: this `Job` decides that by its own options.
    job.opts = { ...job.opts, attempts: job.attemptsMade + 1 };
    worker.cancelJob?.(String(job.id), row.cancellation?.reason ?? undefined);
  }

  /** What is in the queue still, and has not started again. */
  async function takeOut(wanted: readonly (readonly [CancellableJob, JobStatus])[]): Promise<void> {
    if (wanted.length === 0) return;
    const inQueue = await reader.read(
      wanted.map(([{ id }]) => String(id)),
      'standing',
    );
    for (const [job, row] of wanted) {
      const seen = inQueue.get(String(job.id));
      if (seen === undefined || !isToBeTakenOut(row, seen)) continue;
      try {
        await job.remove?.();
        // The row may not know yet that it went back.
        observeGone(row, seen.state);
      } catch (cause) {
        // It started this very moment, as another attempt, which nobody asked to cancel.
        const message = `Job "${job.id}" could not be cancelled: ${messageOf(cause)}`;
        report(new JobStatusError('ERR_CANCEL_REFUSED', message, { cause }));
      }
    }
  }

  return {
    async look(running, departed) {
      const open = running.filter((job) => !ended.has(job));
      const ids = [...open, ...departed].map(({ id }) => toText(String(id)));
      const rows = await rowsOf(ids);
      const requested = (jobs: readonly CancellableJob[]) =>
        jobs.flatMap((job) => {
          const row = rows.get(toText(String(job.id)));
          return row !== undefined && isRequested(row, job) ? [[job, row] as const] : [];
        });
      for (const [job, row] of requested(open)) end(job, row);
      await takeOut(requested(departed));
    },
  };
}

/** Whether somebody asked for the cancellation of this very attempt, and it has not ended for good. */
function isRequested(row: JobStatus, job: TrackableJob): boolean {
  return (
    row.cancellation !== null &&
    row.attempt === toCount(job.attemptsStarted) &&
    row.createdAt.getTime() === (toTime(job.timestamp) ?? 0) &&
    !isFinished(row.status)
  );
}

/** Whether a job waits whose cancellation was asked for, and has not started again since. */
export function isToBeTakenOut(row: JobStatus, { state, job }: QueuedJob): boolean {
  return isRequested(row, job) && phaseOf({ status: state, removedFrom: null }) > 2;
}
