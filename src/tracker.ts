import { createBatcher, MAX_GATHERING, type Batcher, type TrackerStats } from './batcher.ts';
import type { TrackableJob } from './bullmq.ts';
import { atOnce, type Capture } from './capture.ts';
import { JobStatusError } from './errors.ts';
import { toStatus } from './merge.ts';
import type { ResolvedOptions } from './options.ts';
import { snapshotOfGone, snapshotOfQueued, type QueuedJob } from './queue-snapshot.ts';
import type { Parts } from './queue/reader.ts';
import { createReporter, type Report } from './reporter.ts';
import { readPages, readRows } from './rows.ts';
import { nextSequence } from './sequence.ts';
import { snapshotOf, type JobEvent, type Observation } from './snapshot.ts';
import type { StatusFilter, StatusStore } from './store.ts';
import type { JobState, JobStatus, StatusUpdate } from './types.ts';
import { createUnderWay, type Seen } from './under-way.ts';

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
export interface Tracker extends Pick<Batcher, 'flush' | 'close'> {
  readonly stats: () => TrackerStats;
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

/** How long a start or progress is held back at most, in ms: no longer than until jobs that run are looked up. */
const MAX_HOLD_MS = 1_000;

/** @param onUnderWay is told of each job that is told to run, none that ended at once, and since when it was held */
export function createTracker(
  source: Source,
  store: StatusStore,
  options: ResolvedOptions<TrackableJob>,
  onUnderWay?: (job: TrackableJob, since: number) => void,
): Tracker {
  const { filter, logger } = options;
  const key: unique symbol = Symbol('bullmq-job-status');
  type SeenJob = TrackableJob & { readonly [key]?: Seen };
  const { report, reportHook } = createReporter(source.queue, options);
  const capture = createCapture(options, reportHook);
  const batcher = createBatcher(store, options, report);
  const holdMs = Math.min(MAX_GATHERING * options.flushIntervalMs, MAX_HOLD_MS);
  const underWay = createUnderWay(holdMs, ({ job, latest }, since) => {
    batcher.take(latest, since);
    onUnderWay?.(job, since);
  });
  const ending = new AbortController();
  const limits = { timeoutMs: options.writeTimeoutMs, sooner: ending.signal };

  function observation(): Observation {
    const now = Date.now();
    return { ...source, now, sequence: nextSequence(now) };
  }

  function take(update: StatusUpdate): void {
    batcher.take(update);
    log(update);
  }

  /** As a row: the raw readings beside the times that the law makes of them. Nothing without a logger. */
  function log(update: StatusUpdate): void {
    try {
      logger?.debug({ ...toStatus(update), ...NO_VALUES }, 'job status observed');
    } catch (thrown) {
      reportHook('Your `logger` failed', thrown);
    }
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
   * Keeps a job's last snapshot. It stands on the `Job` itself, where nobody comes upon it: in a `WeakMap` of all
   * jobs it would be a third of what tracking costs the worker, most of that to the garbage collector.
   */
  function keep(job: SeenJob, latest: StatusUpdate): Seen {
    const before = job[key];
    if (before !== undefined) {
      before.latest = latest;
      return before;
    }
    const seen: Seen = { job, latest, held: undefined };
    Reflect.defineProperty(job, key, { value: seen });
    return seen;
  }

  function observe(event: JobEvent, job: SeenJob): void {
    if (!isWanted(job)) return;
    const update = snapshotOf(event, job, observation(), capture, job[key]?.latest);
    if (update === undefined) return;
    const seen = keep(job, update);
    if (update.status === 'active') {
      underWay.hold(seen);
    } else {
      batcher.take(update, underWay.drop(seen));
    }
    log(update);
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
      const { coalesced, ...stats } = batcher.stats(underWay.values());
      return { ...stats, coalesced: coalesced + underWay.coalesced() };
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
    latestOf(job: SeenJob) {
      const update = job[key]?.latest;
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
