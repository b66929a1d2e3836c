import { setTimeout as sleep } from 'node:timers/promises';
import type { TrackableJob, TrackableQueue } from './bullmq.ts';
import { JobStatusError } from './errors.ts';
import { isFinished } from './phase.ts';
import { snapshotOfEnd } from './queue-snapshot.ts';
import { unreadable } from './queue/check.ts';
import type { Changes, JobChange, QueueReader } from './queue/reader.ts';
import { runReconciliation } from './reconciliation.ts';
import { restAfter } from './rest.ts';
import { pieces, UNFINISHED } from './rows.ts';
import { toText } from './storable.ts';
import type { Tracker } from './tracker.ts';
import type { JobState, JobStatus } from './types.ts';

/*
 * What happens in a queue, whoever makes it happen. The queue's events only hint which jobs have changed:
 * what has become of them is read off the queue itself, all of them in one look, and the law sorts out what
 * is read too late or twice, so any number of processes may watch one queue. Two tasks run beside each
 * other: one follows the events, the other, at the beginning, holds what is there already against its rows.
 */

/** How long a look waits after one that found changes, in ms: under load many events share it. */
const LOOK_MS = 100;

/** How many events one look takes in at most: fewer than BullMQ keeps. */
const MAX_EVENTS = 5_000;

/** For how long a wait for the next event holds a connection, in ms. */
const WAIT_MS = 10_000;

/** How long both tasks rest after the queue or the store could not be read: events wait, and a queue trims them. */
const BACKOFF = { minMs: 250, maxMs: 30_000 };

/** How long its end waits for what is under way, in ms. */
const END_MS = 1_000;

export interface QueueWatch {
  /** Takes in all that was there, or has changed, until now. */
  readonly look: () => Promise<void>;
  /** Ends it; resolves when both tasks are over, or a second later. */
  readonly close: () => Promise<void>;
}

/** @param key under which the queue's rows are kept */
export function watchQueue(
  key: string,
  queue: TrackableQueue,
  reader: QueueReader,
  tracker: Tracker,
): QueueWatch {
  const { observeQueued, observeGone, observation, rowsOf, capture, parts, settled, report } =
    tracker;
  const ending = new AbortController();
  const { signal } = ending;
  let cursor: string | undefined;
  let beginning: Promise<string> | undefined;
  let lastLook: Promise<Changes> | undefined;

  /** The place in the events from which on all is followed: one for both tasks, so that nothing falls between. */
  function begin(): Promise<string> {
    beginning ??= reader.lastCursor().catch((error: unknown) => {
      beginning = undefined;
      throw error;
    });
    return beginning;
  }

  /** One look at a time: one that is asked for meanwhile begins after it. */
  function look(): Promise<Changes> {
    const before = lastLook;
    lastLook = (async () => {
      await before?.catch(() => {});
      const changes = await reader.changes(cursor ?? (await begin()), MAX_EVENTS);
      await takeIn(changes.jobs);
      ({ cursor } = changes);
      return changes;
    })();
    return lastLook;
  }

  async function takeIn(changes: readonly JobChange[]): Promise<void> {
    for (const piece of pieces(changes)) {
      const at = observation();
      const ids = piece.map(({ jobId }) => jobId);
      const jobs = await reader.read(ids, parts);
      for (const seen of jobs.values()) observeQueued(seen, at);
      await takeInGone(piece.filter(({ jobId }) => !jobs.has(jobId)));
    }
  }

  /** Jobs that the queue has forgotten: what is left of them is their rows, and what their last event says. */
  async function takeInGone(changes: readonly JobChange[]): Promise<void> {
    if (changes.length === 0) return;
    // What was seen of them before may be on its way still.
    await settled();
    const rows = await rowsOf(changes.map(({ jobId }) => toText(jobId)));
    for (const { jobId, event, value, on } of changes) {
      const row = rows.get(toText(jobId));
      if (row === undefined) continue;
      if (event === 'completed' || event === 'failed') {
        if (isFinished(row.status) && !isGone(row)) continue;
        const end = { status: event, value, on } as const;
        tracker.take(snapshotOfEnd(row, end, jobOf(row), observation(), capture));
      } else if (event === 'removed' && !isFinished(row.status)) {
        // The event says where it stood; the row may not know yet.
        observeGone(row, queuedState(value));
      }
      // After any other event it has gone on since, and an event of that is to come.
    }
  }

  async function follow(): Promise<void> {
    const { cursor: place, jobs, hasMore } = await look();
    if (hasMore) return;
    if (jobs.length > 0) await sleep(LOOK_MS, undefined, { signal });
    else await reader.waitForChange(place, WAIT_MS, signal);
  }

  /** Does something until it says that it is done; where it fails, again after a rest. */
  async function persist(run: () => Promise<boolean>): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        if (await run()) return;
        failures = 0;
      } catch (cause) {
        // That a queue which closes can't be read is no news.
        if (signal.aborted || queue.closing !== undefined) return;
        if (++failures === 1) tell(cause);
        const restMs = restAfter(asError(cause), failures, BACKOFF, BACKOFF.maxMs);
        await sleep(restMs, undefined, { signal, ref: false }).catch(() => {});
      }
    }
  }

  /** Once for each outage. What could not be stored is told by the batcher already. */
  function tell(cause: unknown): void {
    const error = asError(cause);
    if (error.code !== 'ERR_FLUSH_INCOMPLETE') report(error);
  }

  /** What went wrong: the queue, unless an error of ours says otherwise. */
  function asError(cause: unknown): JobStatusError {
    return cause instanceof JobStatusError ? cause : unreadable(key, cause);
  }

  const following = persist(async () => {
    await follow();
    return false;
  });
  const begun = persist(async () => {
    await begin();
    const updatedBefore = new Date();
    await runReconciliation(key, queue, reader, tracker, { updatedBefore, signal });
    return true;
  });

  return {
    async look() {
      try {
        await begun;
        while ((await look()).hasMore);
      } catch (cause) {
        throw asError(cause);
      }
    },
    async close() {
      ending.abort();
      reader.close();
      // A look that hangs would hang this too.
      const tasks = Promise.all([following, begun]);
      await Promise.race([tasks, sleep(END_MS, undefined, { ref: false })]);
    },
  };
}

/**
 * Whether a row says only that nobody saw its job end: then an event that tells of an end does. A job that was
 * taken out on request, while it waited, has not ended otherwise.
 */
function isGone({ status, removedFrom }: JobStatus): boolean {
  return status === 'removed' || removedFrom === 'active';
}

/** A state in which a job waits, by the name that events have for it; `undefined` for any other. */
function queuedState(prev: unknown): JobState | undefined {
  const name = prev === 'wait' || prev === 'paused' ? 'waiting' : prev;
  return UNFINISHED.find((state) => state === name && state !== 'active');
}

/** As much of a `Job` as is left of one that is gone, for hooks. */
function jobOf(row: JobStatus): TrackableJob {
  return {
    id: row.jobId,
    name: row.name,
    data: row.data,
    progress: row.progress,
    stacktrace: null,
    timestamp: row.createdAt.getTime(),
    attemptsStarted: row.attempt,
    attemptsMade: row.attemptsMade,
    opts: { attempts: row.maxAttempts },
  };
}
