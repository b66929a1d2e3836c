import type { TrackableQueue } from './bullmq.ts';
import { isToBeTakenOut } from './cancel-requests.ts';
import { takeOut } from './cancel.ts';
import type { JobStatusError } from './errors.ts';
import { mergeStatus, toStatus } from './merge.ts';
import { isFinished } from './phase.ts';
import { snapshotOfQueued, type QueuedJob } from './queue-snapshot.ts';
import { unreadable } from './queue/check.ts';
import type { QueueReader } from './queue/reader.ts';
import { MAX_ROWS, UNFINISHED } from './rows.ts';
import { toText } from './storable.ts';
import type { Observation } from './snapshot.ts';
import type { StatusFilter } from './store.ts';
import type { Tracker } from './tracker.ts';
import type { JobStatus } from './types.ts';

/** What a run of `reconcile` did. */
export interface ReconcileReport {
  /**
   * Jobs that were held against the queue: all whose row has not ended, all that the queue still has to do, and
   * those that ended of late otherwise than their row says.
   */
  readonly checked: number;
  /** Rows that said something else than the queue. */
  readonly repaired: number;
  /** Rows of jobs that the queue no longer knows: now `removed`, or `cancelled` where that was asked for. */
  readonly removed: number;
  /** Jobs that had no row. */
  readonly added: number;
  /**
   * Rows that say something else than the queue, and something newer, by the law: a host's clock was set back, or
   * the queue itself has forgotten what they tell. They stay as they are, until the job's next attempt: the ids
   * of their jobs.
   */
  readonly contradicted: readonly string[];
  /** How many times the queue was read. */
  readonly reads: number;
}

interface Limits {
  /** Rows that changed at this time or later are left alone. */
  readonly updatedBefore: Date;
  /** Jobs that ended at this time or later are held against their rows, too, in ms since 1970. @default none */
  readonly endedSince?: number | undefined;
  /** How many jobs one look at the queue takes in. @default MAX_ROWS */
  readonly batchSize?: number;
  readonly signal?: AbortSignal | undefined;
}

/** How far two hosts' clocks may be apart, in ms: a row from further ahead did not change just now. */
const CLOCKS_APART_MS = 2_500;

/** Rows that ended otherwise than well are looked at again for so long: their job may run again, unseen. */
const REOPENED_WITHIN_MS = 86_400_000;

/**
 * First which jobs to check, from both sides; then these, batch by batch, each with its rows as they are by
 * then. The batches come in an order drawn by lot: whoever does the same at the same time finds most of what was
 * repaired already, and leaves it.
 */
export async function runReconciliation(
  key: string,
  queue: TrackableQueue,
  reader: QueueReader,
  tracker: Tracker,
  { updatedBefore, endedSince, batchSize = MAX_ROWS, signal }: Limits,
): Promise<ReconcileReport> {
  const { take, isWanted, observation, observeGone, rowsOf, pagesOf, capture, parts, settled } =
    tracker;
  const report = { checked: 0, repaired: 0, removed: 0, added: 0, reads: 0 };
  const contradicted: string[] = [];

  /** Asks the queue. */
  async function read<T>(ask: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    report.reads += 1;
    try {
      return await ask();
    } catch (cause) {
      throw unreadable(key, cause);
    }
  }

  async function addRows(ids: Set<string>, query: StatusFilter): Promise<void> {
    signal?.throwIfAborted();
    for await (const rows of pagesOf(query)) {
      for (const { jobId } of rows) ids.add(jobId);
      signal?.throwIfAborted();
    }
  }

  /** Holds some jobs against the queue, and stores what differs before the next ones. */
  async function check(ids: readonly string[]): Promise<void> {
    const rows = await rowsOf(ids.map(toText));
    const isDue = (id: string) => {
      const row = rows.get(toText(id));
      if (row === undefined) return true;
      const { updatedAt, finishedOn } = row;
      const isFromAhead = updatedAt.getTime() > Date.now() + CLOCKS_APART_MS;
      return (updatedAt < updatedBefore || isFromAhead) && finishedOn !== ended.get(id);
    };
    const due = ids.filter(isDue);
    if (due.length === 0) return;
    const at = observation();
    const jobs = await read(() => reader.read(due, parts));
    for (const id of due) {
      const [row, seen] = [rows.get(toText(id)), jobs.get(id)];
      if (seen === undefined) judgeGone(row);
      else if (row !== undefined && isToBeTakenOut(row, seen)) await endCancellation(row, seen);
      else judge(row, seen, at);
    }
    await settled();
  }

  function judge(row: JobStatus | undefined, seen: QueuedJob, at: Observation): void {
    if (!isWanted(seen.job)) return;
    report.checked += 1;
    const update = snapshotOfQueued(seen, at, capture, row);
    if (row === undefined) report.added += 1;
    else if (differs(row, mergeStatus(row, update))) report.repaired += 1;
    else {
      // A request to cancel it is in the row alone.
      const said = toStatus({ ...update, cancellation: row.cancellation });
      if (differs(row, said)) contradicted.push(row.jobId);
      return;
    }
    take(update);
  }

  function judgeGone(row: JobStatus | undefined): void {
    if (row === undefined || isFinished(row.status)) return;
    report.checked += 1;
    report.removed += 1;
    observeGone(row);
  }

  /** Somebody asked for it, and whoever was to see to it died over it. What the queue won't let go is told. */
  async function endCancellation(row: JobStatus, { job, state }: QueuedJob): Promise<void> {
    report.checked += 1;
    try {
      if (!(await takeOut(queue, String(job.id)))) return;
      report.removed += 1;
      observeGone(row, state);
    } catch (error) {
      tracker.report(error as JobStatusError);
    }
  }

  const ids = new Set<string>();
  await addRows(ids, { status: UNFINISHED, updatedBefore });
  await addRows(ids, {
    status: ['failed', 'cancelled', 'removed'],
    finishedFrom: new Date(Date.now() - REOPENED_WITHIN_MS),
    updatedBefore,
  });
  for (const id of await read(() => reader.unfinishedIds())) ids.add(id);
  const ended: ReadonlyMap<string, number> =
    endedSince === undefined ? new Map() : await read(() => reader.endedSince(endedSince));
  for (const id of ended.keys()) ids.add(id);
  for (const batch of shuffled([...ids], batchSize)) await check(batch);
  return { ...report, contradicted };
}

/** A list cut into batches, in an order drawn by lot. */
function shuffled(ids: readonly string[], size: number): (readonly string[])[] {
  const batches = Array.from({ length: Math.ceil(ids.length / size) }, (_, at) =>
    ids.slice(at * size, (at + 1) * size),
  );
  const lots = new Map(batches.map((batch) => [batch, Math.random()]));
  return batches.toSorted((a, b) => (lots.get(a) ?? 0) - (lots.get(b) ?? 0));
}

/** Whether a repair changes what a row says of its job: to have looked again is no change. */
function differs(row: JobStatus, repaired: JobStatus): boolean {
  return (
    (['status', 'attempt', 'attemptsMade', 'processedOn', 'finishedOn'] as const).some(
      (fact) => row[fact] !== repaired[fact],
    ) ||
    (['createdAt', 'delayedUntil'] as const).some(
      (time) => row[time]?.getTime() !== repaired[time]?.getTime(),
    )
  );
}
