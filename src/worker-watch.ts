import { setTimeout as sleep } from 'node:timers/promises';
import type { TrackableJob } from './bullmq.ts';
import { createCancelRequests, type CancellableJob } from './cancel-requests.ts';
import { JobStatusError, messageOf } from './errors.ts';
import type { QueuedJob } from './queue-snapshot.ts';
import type { QueueReader } from './queue/reader.ts';
import { pieces } from './rows.ts';
import type { Observation } from './snapshot.ts';
import type { Tracker } from './tracker.ts';

/*
 * What a worker's events don't tell. A job may leave `active` without one (a DelayedError and its kin, a rate
 * limit, a lost lock, an answer lost with the connection, a job moved or removed by hand), and a request to
 * cancel it is made elsewhere. So as long as jobs run here, once a second all of them are looked up: in the
 * queue, where one that left is taken in as it stands there; and, those that have run for a second, in the
 * store, where somebody may have asked for their cancellation. Short jobs cost the first alone, and no job's
 * end is ever waited for: what is read late is older by the law than what the worker tells itself.
 */

/** How often the jobs that run here are looked up, in ms. */
const LOOK_MS = 1_000;

/** How soon a job is looked up of which the worker told no more than its id. */
const SOON_MS = 50;

/** A job that runs here. */
interface Running {
  readonly job: CancellableJob;
  /** Whether an earlier look found it at work. */
  isLong: boolean;
}

/** A job that is looked up, and what ran here of it when that began, if anything did. */
type Looked = readonly [id: string, each: Running | undefined];

export interface WorkerWatch {
  /** It runs here, at least since then, by `performance.now`; to be told so again is no harm. */
  readonly started: (job: TrackableJob, since: number) => void;
  /** The worker told of the attempt's end. */
  readonly ended: (job: TrackableJob) => void;
  /** Something happened to a job of which nothing but the id is known. */
  readonly suspect: (jobId: string) => void;
  /** The worker closes: looks at once, while it still has a connection, and no longer minds if it has none. */
  readonly closing: () => void;
  /** Ends it: resolves when the look under way is over, within a second. */
  readonly close: () => Promise<void>;
}

export function createWorkerWatch(
  worker: object,
  reader: QueueReader,
  tracker: Tracker,
): WorkerWatch {
  const { observeQueued, observeGone, observation, latestOf, parts, report } = tracker;
  const requests = createCancelRequests(worker, reader, tracker);
  const running = new Map<string, Running>();
  const suspects = new Set<string>();
  /** Jobs that ran long and went back to the queue: a request may have come just too late. */
  const departed = new Set<CancellableJob>();
  const failing = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let dueAt = Infinity;
  let looking: Promise<unknown> = Promise.resolve();
  /** Which of the two looks are under way: a store that does not answer must not keep the queue from it. */
  const underWay = new Set<'queue' | 'store'>();
  let isClosing = false;
  let closed = false;

  /** Sees to it that there is a look in so many ms, or sooner. */
  function schedule(ms: number): void {
    const at = performance.now() + ms;
    if (closed || at >= dueAt) return;
    clearTimeout(timer);
    dueAt = at;
    timer = setTimeout(() => {
      dueAt = Infinity;
      look();
    }, ms);
    // The worker's own connection holds the process, as long as it is open.
    timer.unref();
  }

  function look(): void {
    looking = Promise.all([
      told('queue', 'ERR_QUEUE_UNAVAILABLE', lookAtQueue),
      told('store', 'ERR_STORE_UNAVAILABLE', lookForRequests),
    ]);
  }

  async function lookAtQueue(): Promise<void> {
    const looked = new Map<string, Running | undefined>(running);
    for (const id of suspects) if (!looked.has(id)) looked.set(id, undefined);
    for (const piece of pieces([...looked])) {
      const left = isClosing ? piece : await withoutAtWork(piece);
      const at = observation();
      const jobs = await reader.read(idsOf(left), parts);
      for (const [id, each] of left) {
        suspects.delete(id);
        if (!isAtWork(each, jobs.get(id))) takeIn(id, each, jobs.get(id), at);
      }
    }
  }

  /** Most are at work, and of those no more need be known. While the worker closes there is time for one look. */
  async function withoutAtWork(piece: readonly Looked[]): Promise<readonly Looked[]> {
    const standing = await reader.read(idsOf(piece), 'standing');
    return piece.filter(([id, each]) => !isAtWork(each, standing.get(id)));
  }

  function isAtWork(each: Running | undefined, seen: QueuedJob | undefined): boolean {
    const isSame =
      seen?.state === 'active' && seen.job.attemptsStarted === each?.job.attemptsStarted;
    if (each !== undefined && isSame) each.isLong = true;
    return isSame;
  }

  function takeIn(
    id: string,
    each: Running | undefined,
    seen: QueuedJob | undefined,
    at: Observation,
  ): void {
    // Ended meanwhile, and told by the worker.
    if (running.get(id) !== each) return;
    running.delete(id);
    if (each?.isLong) departed.add(each.job);
    const row = each && latestOf(each.job);
    if (seen !== undefined) observeQueued(seen, at, row);
    else if (row !== undefined) observeGone(row);
  }

  async function lookForRequests(): Promise<void> {
    const long = [...running.values()].filter(({ isLong }) => isLong).map(({ job }) => job);
    const gone = [...departed];
    departed.clear();
    await requests.look(long, gone);
  }

  /** Tells of what fails once, until it succeeds again. */
  async function told(
    what: 'queue' | 'store',
    code: 'ERR_QUEUE_UNAVAILABLE' | 'ERR_STORE_UNAVAILABLE',
    run: () => Promise<void>,
  ): Promise<void> {
    if (underWay.has(what)) return;
    underWay.add(what);
    try {
      await run();
      failing.delete(what);
    } catch (cause) {
      if (isClosing || failing.has(what)) return;
      failing.add(what);
      const message = `Running jobs could not be looked up in the ${what}: ${messageOf(cause)}`;
      report(new JobStatusError(code, message, { cause }));
    } finally {
      underWay.delete(what);
      if (running.size + departed.size + suspects.size > 0) schedule(LOOK_MS);
    }
  }

  return {
    started(job, since) {
      const before = running.get(String(job.id))?.job;
      // Or late word of an attempt that has lost its job to the one that is known.
      if (before === job) return;
      if (before !== undefined && before.attemptsStarted > job.attemptsStarted) return;
      running.set(String(job.id), { job, isLong: false });
      schedule(Math.max(0, since + LOOK_MS - performance.now()));
    },
    ended(job) {
      const id = String(job.id);
      const each = running.get(id);
      if (each?.job !== job) return;
      running.delete(id);
      if (each.isLong && job.finishedOn === undefined) departed.add(job);
    },
    suspect(jobId) {
      suspects.add(jobId);
      schedule(SOON_MS);
    },
    closing() {
      isClosing = true;
      // Also where a look is under way: it may be past what has happened since.
      looking = Promise.allSettled([looking, lookAtQueue()]);
    },
    async close() {
      if (!isClosing) look();
      closed = true;
      clearTimeout(timer);
      await Promise.race([looking, sleep(LOOK_MS, undefined, { ref: false })]);
    },
  };
}

function idsOf(looked: readonly Looked[]): string[] {
  return looked.map(([id]) => id);
}
