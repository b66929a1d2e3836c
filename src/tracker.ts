import { createBatcher, MAX_GATHERING, type Batcher, type TrackerStats } from './batcher.ts';
import type { TrackableJob } from './bullmq.ts';
import { atOnce, keptError, type Capture } from './capture.ts';
import { JobStatusError } from './errors.ts';
import { toStatus } from './merge.ts';
import type { ResolvedOptions } from './options.ts';
import { isFinished } from './phase.ts';
import { snapshotOfGone, snapshotOfQueued, type QueuedJob } from './queue-snapshot.ts';
import type { Parts } from './queue/reader.ts';
import { createReporter, type Report } from './reporter.ts';
import { readPages, readRows } from './rows.ts';
import { nextSequence } from './sequence.ts';
import { snapshotOf, type JobEvent, type Observation } from './snapshot.ts';
import type { StatusFilter, StatusStore } from './store.ts';
import type { JobState, JobStatus, StatusUpdate } from './types.ts';
import { createUnderWay, drop, type Held } from './under-way.ts';

/** Tracking of one worker, or one queue, into one store. */
export interface StatusTracker extends AsyncDisposable {
  /**
   * Resolves when every update taken so far is stored.
   *
   * @throws {JobStatusError} `ERR_FLUSH_INCOMPLETE` with the `updates` not stored, after
   *   `flushTimeoutMs`, or where the store refused some
   */
  flush(): Promise<void>;
  /**
   * Detaches from the worker or queue and flushes; every later call returns the first one's promise. Its own
   * `close()` calls this by itself, so call it only to stop tracking one that goes on.
   *
   * @throws {JobStatusError} as `flush` does; tracking has ended all the same
   */
  close(): Promise<void>;
  /** How tracking stands: a snapshot, cheap enough for a metrics endpoint. */
  stats(): TrackerStats;
}

/** The key of the queue, and the worker's name where one worker is watched, that snapshots bear. */
export interface Source {
  readonly queue: string;
  readonly worker: string | null;
}

/** Turns what is seen of jobs into snapshots and hands them to a batcher. Nothing is ever thrown. */
export interface Tracker extends Pick<Batcher, 'flush' | 'close' | 'stats'> {
  /** Takes a worker's event in. */
  readonly observe: (event: JobEvent, job: TrackableJob) => void;
  /** Hands on what is held back of jobs that run. */
  readonly tellUnderWay: () => void;
  /**
   * Takes in how a job stands in its queue.
   *
   * @param at made before the queue was asked, so that of two answers the one asked for later is newer
   * @param known the job's row, where it is at hand
   */
  readonly observeQueued: (seen: QueuedJob, at: Observation, known?: JobStatus) => void;
  /** Takes in that the job of a row is gone from its queue. @param from the state that it had there */
  readonly observeGone: (row: JobStatus, from?: JobState) => void;
  /** The rows of jobs of this queue, as `readRows`; a store that does not answer is an error. */
  readonly rowsOf: (jobIds: readonly string[]) => Promise<ReadonlyMap<string, JobStatus>>;
  /** The rows of this queue that match, as `readPages`. */
  readonly pagesOf: (query: StatusFilter) => AsyncIterable<readonly JobStatus[]>;
  /** Takes in a snapshot made elsewhere. */
  readonly take: (update: StatusUpdate) => void;
  /**
   * Resolves when all that was taken in is stored, or given up: what the store refuses for good was told, and
   * holds up nothing else.
   *
   * @throws {JobStatusError} `ERR_FLUSH_INCOMPLETE` where some still waits after `flushTimeoutMs`
   */
  readonly settled: () => Promise<void>;
  /** The last snapshot of this very `Job` object, as a row. */
  readonly latestOf: (job: TrackableJob) => JobStatus | undefined;
  /** How much of a job has to be read off its queue: a payload may be large, and most need none of it. */
  readonly parts: Parts;
  /** What the user's filter says. */
  readonly isWanted: (job: TrackableJob) => boolean;
  readonly capture: Capture;
  /** Ends it for good: what a store has not answered by then holds the process no longer. */
  readonly end: () => void;
  /** Here and now. */
  readonly observation: () => Observation;
  readonly report: Report;
}

/** What was seen of a `Job` object that is still in use: its last snapshot, to which late progress is added. */
interface Seen extends Held {
  latest: StatusUpdate | undefined;
}

/** How long a start or progress is held back at most, in ms: shorter than it takes to look for a cancellation. */
const MAX_HOLD_MS = 1_000;

/** @param onUnderWay is told of each job that is told to run: none that ended at once */
export function createTracker(
  source: Source,
  store: StatusStore,
  options: ResolvedOptions<TrackableJob>,
  onUnderWay?: (job: TrackableJob) => void,
): Tracker {
  const { filter, logger } = options;
  const key = Symbol('bullmq-job-status');
  const { report, reportHook } = createReporter(source.queue, options);
  const capture = createCapture(options, reportHook);
  const batcher = createBatcher(store, options, report);
  const holdMs = Math.min(MAX_GATHERING * options.flushIntervalMs, MAX_HOLD_MS);
  const underWay = createUnderWay(holdMs);
  const ending = new AbortController();
  const limits = { timeoutMs: options.writeTimeoutMs, sooner: ending.signal };

  function observation(): Observation {
    const now = Date.now();
    return { ...source, now, sequence: nextSequence(now) };
  }

  function take(update: StatusUpdate): void {
    batcher.take(update);
    // As a row: the raw readings beside the times that the law makes of them. Nothing without a logger.
    logger?.debug({ ...toStatus(update), ...NO_VALUES }, 'job status observed');
  }

  /** A filter that can't say leaves the job tracked: a row too many beats a missing one. */
  function isWanted(job: TrackableJob): boolean {
    try {
      return filter === undefined || Boolean(atOnce(filter(job)));
    } catch (thrown) {
      capture.hookFailed('filter', thrown);
      return true;
    }
  }

  function guarded<T>(what: string, run: () => T): T | undefined {
    try {
      return run();
    } catch (thrown) {
      reportHook(`A job was not tracked at "${what}"`, thrown);
      return undefined;
    }
  }

  /**
   * It stands on the `Job` itself, where nobody comes upon it. In a `WeakMap` of all jobs it would be a third of
   * what tracking costs the worker: most of that to the garbage collector.
   */
  function seenOf(job: TrackableJob & { [key]?: Seen }): Seen {
    const before = job[key];
    if (before !== undefined) return before;
    const seen: Seen = { tell: undefined, since: 0, latest: undefined };
    Reflect.defineProperty(job, key, { value: seen });
    return seen;
  }

  function observe(event: JobEvent, job: TrackableJob): void {
    if (!isWanted(job)) return;
    const ofJob = seenOf(job);
    const at = observation();
    if (event.type === 'active') return observeStart(job, ofJob, at);
    const update = read(event, job, ofJob, at);
    if (update === undefined) return;
    if (event.type === 'progress' && !isFinished(update.status)) {
      underWay.hold(ofJob, () => tellUnderWay(job, update));
    } else {
      drop(ofJob);
      take(update);
    }
  }

  /** It is read when it is told, and of most jobs it never is. */
  function observeStart(job: TrackableJob, ofJob: Seen, at: Observation): void {
    // As it is now: a processor that has failed puts its own in its place before it says so.
    const start: JobEvent = { type: 'active', keptError: keptError(job) };
    underWay.hold(ofJob, () =>
      guarded('active', () => tellUnderWay(job, read(start, job, ofJob, at))),
    );
    // Who reads along sees each start when it happens.
    if (logger !== undefined) underWay.tellAll();
  }

  function tellUnderWay(job: TrackableJob, update: StatusUpdate | undefined): void {
    if (update === undefined) return;
    take(update);
    onUnderWay?.(job);
  }

  function read(
    event: JobEvent,
    job: TrackableJob,
    ofJob: Seen,
    at: Observation,
  ): StatusUpdate | undefined {
    const update = snapshotOf(event, job, at, capture, ofJob.latest);
    ofJob.latest = update ?? ofJob.latest;
    return update;
  }

  function flush(isPatient?: boolean): Promise<void> {
    underWay.tellAll();
    return batcher.flush(isPatient);
  }

  return {
    flush,
    close() {
      underWay.tellAll();
      return batcher.close();
    },
    stats() {
      const { pending, lagMs, ...stats } = batcher.stats();
      const heldMs = underWay.heldMs();
      return {
        pending: pending + underWay.size(),
        lagMs: Math.max(lagMs, Math.round(heldMs)),
        ...stats,
      };
    },
    tellUnderWay: underWay.tellAll,
    observe: (event, job) => guarded(event.type, () => observe(event, job)),
    observeQueued: (seen, at, known) =>
      guarded(seen.state, () => {
        if (!isWanted(seen.job)) return;
        take(snapshotOfQueued(seen, { ...at, worker: null }, capture, known));
      }),
    observeGone: (row, from) =>
      guarded('removed', () => take(snapshotOfGone(row, observation(), from))),
    rowsOf: (jobIds) => readRows(store, source.queue, jobIds, limits),
    pagesOf: (query) => readPages(store, { ...query, queue: source.queue }, limits),
    end() {
      ending.abort(new JobStatusError('ERR_STORE_UNAVAILABLE', 'Tracking has ended'));
      batcher.end();
    },
    take,
    async settled() {
      await flush(true).catch((error: unknown) => {
        if (batcher.stats().pending > 0) throw error;
      });
    },
    latestOf(job) {
      underWay.tellAll();
      const update = seenOf(job).latest;
      return update && toStatus(update);
    },
    parts: options.capture.data || filter || options.metadata ? 'whole' : 'without-data',
    isWanted,
    capture,
    observation,
    report,
  };
}

/** What of a job is kept, as the options say. */
function createCapture(
  options: Pick<
    ResolvedOptions<TrackableJob>,
    'capture' | 'maxValueLength' | 'redact' | 'metadata'
  >,
  reportHook: (what: string, thrown: unknown) => void,
): Capture {
  return {
    fields: { ...options.capture, metadata: true },
    maxValueLength: options.maxValueLength,
    redact: options.redact ?? ((value) => value),
    metadata: options.metadata ?? (() => null),
    hookFailed: (hook, thrown) => reportHook(`Your \`${hook}\` failed`, thrown),
  };
}

/** What a log line leaves out of a row: the user's own values. */
const NO_VALUES = { data: null, progress: null, result: null, error: null, metadata: null };
