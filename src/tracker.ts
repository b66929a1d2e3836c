import { Batcher, type BatcherStats } from './batcher.ts';
import type { TrackableJob } from './bullmq.ts';
import { TrackingError, describe, toError, type JobStatusError } from './errors.ts';
import { mergeStatus } from './merge.ts';
import type { ResolvedOptions } from './options.ts';
import { nextSequence } from './sequence.ts';
import { snapshotOf, type Capture, type JobEvent } from './snapshot.ts';
import type { StatusStore } from './store.ts';
import type { StatusUpdate } from './types.ts';

/** How tracking stands: see `StatusTracker.stats`. */
export type TrackerStats = BatcherStats;

/** The source of a tracker's snapshots. */
export interface TrackedSource {
  readonly queue: string;
  readonly worker: string;
}

/** Turns events into snapshots and hands them to the batcher; whatever goes wrong is told, never thrown. */
export class Tracker {
  readonly batcher: Batcher;
  readonly #source: TrackedSource;
  readonly #options: ResolvedOptions<TrackableJob>;
  readonly #capture: Capture;
  /** The last snapshot of each `Job` object that is still in use: what late progress is added to. */
  readonly #latest = new WeakMap<TrackableJob, StatusUpdate>();
  readonly #warned = new Set<string>();

  constructor(source: TrackedSource, store: StatusStore, options: ResolvedOptions<TrackableJob>) {
    this.#source = source;
    this.#options = options;
    this.batcher = new Batcher(store, options, (error, updates) => this.report(error, updates));
    this.#capture = {
      fields: options.capture,
      maxValueBytes: options.maxValueBytes,
      redact: options.redact ?? ((value) => value),
      metadata: options.metadata ?? (() => null),
      hookFailed: (hook, thrown) => this.#hookFailed(hook, thrown),
    };
  }

  observe(event: JobEvent, job: TrackableJob): void {
    try {
      if (this.#options.filter?.(job) === false) return;
    } catch (thrown) {
      // A filter that can't say leaves the job tracked: a row too many beats a missing one.
      this.#hookFailed('filter', thrown);
    }
    try {
      const now = Date.now();
      const at = { ...this.#source, now, sequence: nextSequence(now) };
      const update = snapshotOf(event, job, at, this.#capture, this.#latest.get(job));
      if (update === undefined) return;
      this.#latest.set(job, update);
      this.batcher.take(update);
      if (this.#options.logger !== undefined) this.#logUpdate(event, update);
    } catch (thrown) {
      const message = `An event "${event.type}" could not be tracked: ${toError(thrown).message}`;
      this.report(new TrackingError('ERR_HOOK_FAILED', message, { cause: thrown }), []);
    }
  }

  report(error: JobStatusError, updates: readonly StatusUpdate[]): void {
    const { onError, logger } = this.#options;
    const details = { err: error, code: error.code, queue: this.#source.queue, updates: updates.length };
    try {
      logger?.[error.code === 'ERR_STORE_UNAVAILABLE' ? 'warn' : 'error'](details, error.message);
      onError?.(error, updates);
      if (logger === undefined && onError === undefined) this.#warnOnce(error);
    } catch (thrown) {
      // The last one to be told threw itself; only the process is left to tell.
      const message = `onError or logger threw while told "${error.message}": ${toError(thrown).message}`;
      this.#warnOnce(new TrackingError('ERR_HOOK_FAILED', message, { cause: thrown }));
    }
  }

  #hookFailed(hook: string, thrown: unknown): void {
    const message = `Your \`${hook}\` failed: ${thrown instanceof Error ? thrown.message : describe(thrown)}`;
    this.report(new TrackingError('ERR_HOOK_FAILED', message, { cause: thrown }), []);
  }

  #warnOnce(error: JobStatusError): void {
    if (this.#warned.has(error.code)) return;
    this.#warned.add(error.code);
    const message = `${error.message} (queue "${this.#source.queue}"; told once, pass onError or logger for all)`;
    process.emitWarning(message, { type: 'BullMQJobStatusWarning', code: error.code });
  }

  /** Each update, and where the time law had to move one of its times off the raw reading. */
  #logUpdate(event: JobEvent, update: StatusUpdate): void {
    const row = mergeStatus(undefined, update);
    const { jobId, status, attempt, processedOn, finishedOn } = update;
    const end = row.completedAt ?? row.failedAt;
    const adjusted = {
      ...(row.attemptStartedAt?.getTime() !== (processedOn ?? undefined) && { startedAt: row.attemptStartedAt }),
      ...(end !== null && end.getTime() !== finishedOn && { endedAt: end }),
    };
    const details = { queue: update.queue, jobId, event: event.type, status, attempt, processedOn, finishedOn };
    const isAdjusted = Object.keys(adjusted).length > 0;
    this.#options.logger?.debug(isAdjusted ? { ...details, adjusted } : details, 'job status observed');
  }
}
