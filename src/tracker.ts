import { createBatcher, type Batcher } from './batcher.ts';
import type { TrackableJob } from './bullmq.ts';
import { JobStatusError, messageOf } from './errors.ts';
import { mergeStatus } from './merge.ts';
import type { ResolvedOptions } from './options.ts';
import { nextSequence } from './sequence.ts';
import { atOnce, snapshotOf, type Capture, type JobEvent } from './snapshot.ts';
import type { StatusStore } from './store.ts';
import type { StatusUpdate } from './types.ts';

/** Turns events into snapshots and hands them to a batcher. */
export interface Tracker {
  readonly batcher: Batcher;
  /** Takes an event in. Whatever goes wrong is told, and never thrown. */
  readonly observe: (event: JobEvent, job: TrackableJob) => void;
  /** Tells of an error: `onError`, the logger, or else the process. */
  readonly report: (error: JobStatusError, updates?: readonly StatusUpdate[]) => void;
}

/** @param source the key of the queue, and the worker's name, that its snapshots bear */
export function createTracker(
  source: { readonly queue: string; readonly worker: string },
  store: StatusStore,
  options: ResolvedOptions<TrackableJob>,
): Tracker {
  const { filter, onError, logger } = options;
  /** The last snapshot of each `Job` object still in use: late progress is added to it. */
  const latest = new WeakMap<TrackableJob, StatusUpdate>();
  const warned = new Set<string>();

  const capture: Capture = {
    fields: { ...options.capture, metadata: true },
    maxValueLength: options.maxValueLength,
    redact: options.redact ?? ((value) => value),
    metadata: options.metadata ?? (() => null),
    hookFailed: (hook, thrown) => reportHook(`Your \`${hook}\` failed`, thrown),
  };
  const batcher = createBatcher(store, options, report);

  function observe(event: JobEvent, job: TrackableJob): void {
    try {
      if (!isWanted(job)) return;
      const now = Date.now();
      const at = { ...source, now, sequence: nextSequence(now) };
      const update = snapshotOf(event, job, at, capture, latest.get(job));
      if (update === undefined) return;
      latest.set(job, update);
      batcher.take(update);
      // As a row: the raw readings beside the times that the law makes of them. Nothing without a logger.
      logger?.debug(
        { event: event.type, ...mergeStatus(undefined, update), ...NO_VALUES },
        'job status observed',
      );
    } catch (thrown) {
      reportHook(`A job was not tracked at "${event.type}"`, thrown);
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

  function report(error: JobStatusError, updates: readonly StatusUpdate[] = error.updates): void {
    try {
      const details = { err: error, queue: source.queue, updates: updates.length };
      logger?.[error.code === 'ERR_STORE_UNAVAILABLE' ? 'warn' : 'error'](details, error.message);
      const told: unknown = onError?.(error, updates);
      if (told instanceof Promise) told.catch(warnOfHook);
      if (!logger && !onError) warn(error);
    } catch (thrown) {
      // Who was to be told threw; only the process is left to tell.
      warnOfHook(thrown);
      warn(error);
    }
  }

  function warnOfHook(thrown: unknown): void {
    warn(new JobStatusError('ERR_HOOK_FAILED', `onError or logger failed: ${messageOf(thrown)}`));
  }

  function reportHook(what: string, cause: unknown): void {
    report(new JobStatusError('ERR_HOOK_FAILED', `${what}: ${messageOf(cause)}`, { cause }));
  }

  /** Once for each code: a store that is away would say the same every few seconds. */
  function warn({ code, message }: JobStatusError): void {
    if (warned.has(code)) return;
    warned.add(code);
    process.emitWarning(`${source.queue}: ${message}`, { type: 'JobStatusWarning', code });
  }

  return { batcher, observe, report };
}

/** What a log line leaves out of a row: the user's own values. */
const NO_VALUES = { data: null, progress: null, result: null, error: null, metadata: null };
