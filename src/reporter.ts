import { JobStatusError, messageOf } from './errors.ts';
import type { ResolvedOptions } from './options.ts';
import type { StatusUpdate } from './types.ts';

/** Tells of an error: `onError`, the logger, or else the process. It never throws. */
export type Report = (error: JobStatusError, updates?: readonly StatusUpdate[]) => void;

export interface Reporter {
  readonly report: Report;
  /** Tells that code of the user's own threw. */
  readonly reportHook: (what: string, thrown: unknown) => void;
}

/** @param queue the key of the queue, which every report names */
export function createReporter(
  queue: string,
  { onError, logger }: Pick<ResolvedOptions, 'onError' | 'logger'>,
): Reporter {
  const warned = new Set<string>();

  function report(error: JobStatusError, updates: readonly StatusUpdate[] = error.updates): void {
    try {
      const details = { err: error, queue, updates: updates.length };
      logger?.[PASSES.has(error.code) ? 'warn' : 'error'](details, error.message);
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

  /** Once for each code: a store that is away would say the same every few seconds. */
  function warn({ code, message }: JobStatusError): void {
    if (warned.has(code)) return;
    warned.add(code);
    process.emitWarning(`${queue}: ${message}`, { type: 'JobStatusWarning', code });
  }

  return {
    report,
    reportHook(what, cause) {
      report(new JobStatusError('ERR_HOOK_FAILED', `${what}: ${messageOf(cause)}`, { cause }));
    },
  };
}

/** What passes by itself, and is tried again. */
const PASSES: ReadonlySet<string> = new Set(['ERR_STORE_UNAVAILABLE', 'ERR_QUEUE_UNAVAILABLE']);
