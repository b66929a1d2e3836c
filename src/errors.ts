import { hush, withoutSecrets } from './secrets.ts';
import type { StatusUpdate } from './types.ts';

/**
 * The codes of everything this package throws, rejects with, or hands to `onError`. Recognise errors
 * by `error.code`: it is stable, and it holds across copies of the package where `instanceof` fails.
 */
export type JobStatusErrorCode =
  /** An argument or option is not what it must be. A `TypeError`, thrown at once. */
  | 'ERR_INVALID_ARGUMENT'
  /** The worker or queue is already tracked into this very store. */
  | 'ERR_ALREADY_ATTACHED'
  /** The store can't be reached or is overloaded. The write is tried again. */
  | 'ERR_STORE_UNAVAILABLE'
  /** The store answers, but isn't set up: no table, no rights. Tried again, for somebody will mend it. */
  | 'ERR_STORE_SETUP'
  /** The store did not answer within `writeTimeoutMs`. A write is tried again. */
  | 'ERR_STORE_TIMEOUT'
  /** The store will never take this update. It is given up; the others of its batch are stored. */
  | 'ERR_STORE_REFUSED'
  /** More than `maxPending` updates waited, so some were given up. */
  | 'ERR_UPDATES_DROPPED'
  /** `flush` or `close` ended at its deadline with updates unsaved, or some were given up meanwhile. */
  | 'ERR_FLUSH_INCOMPLETE'
  /** The queue can't be read: it is closed, or its database out of reach. Tracking tries again. */
  | 'ERR_QUEUE_UNAVAILABLE'
  /** Neither the queue nor the store knows a job of this id. */
  | 'ERR_JOB_UNKNOWN'
  /** The queue won't let the job go: it belongs to a scheduler, say. */
  | 'ERR_CANCEL_REFUSED'
  /** A `filter`, `metadata`, `redact`, `onError` or `logger` of yours threw, or gave what can't be used. */
  | 'ERR_HOOK_FAILED'
  /** A store of your own breaks a law, as a test of `bullmq-job-status/testing` found. `updates` shows it. */
  | 'ERR_LAW_BROKEN';

/** An argument or option is not what it must be: the message names what was expected and what came. */
export class InvalidArgumentError extends TypeError {
  override readonly name = 'InvalidArgumentError';
  readonly code = 'ERR_INVALID_ARGUMENT';
}

/**
 * Tracking or its store went wrong; the job did not. `cause` is the client's or hook's own error. Of a client's
 * the credentials that it quotes are blanked out, and what it quotes of rows and commands is not enumerable, so
 * that no log has it.
 */
export class JobStatusError extends Error {
  override readonly name = 'JobStatusError';
  readonly code: JobStatusErrorCode;
  /** The snapshots it is about, where there are any. Not enumerable: they hold values, and errors get logged. */
  declare readonly updates: readonly StatusUpdate[];
  /** How long the store asks to be left alone, in ms (HTTP's `Retry-After`). */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: JobStatusErrorCode,
    message: string,
    options: { cause?: unknown; updates?: readonly StatusUpdate[]; retryAfterMs?: number } = {},
  ) {
    super(withoutSecrets(message), options);
    // What a hook threw is the user's own, and may lead to a job that is still to run.
    if (code !== 'ERR_HOOK_FAILED') hush(options.cause);
    this.code = code;
    Object.defineProperty(this, 'updates', { value: options.updates ?? [] });
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** How much of a client's message ours quotes, in UTF-16 units: Postgres' may quote a whole value. */
const MAX_MESSAGE_LENGTH = 1_000;

/** `error.code`, of whatever was thrown: also of a string, or of what throws when it is looked at. */
export function codeOf(thrown: unknown): string {
  return attempt(() => String((thrown as { code?: unknown } | null | undefined)?.code));
}

/** The message of whatever was thrown, as far as people read. */
export function messageOf(thrown: unknown): string {
  const read = () => (thrown instanceof Error ? thrown.message : describe(thrown));
  return attempt(() => read().slice(0, MAX_MESSAGE_LENGTH));
}

function attempt(read: () => string): string {
  try {
    return read();
  } catch {
    return 'what cannot be read';
  }
}

/** A value as an error message shows it: short, and on one line. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40));
  if (typeof value === 'object' || typeof value === 'function') return kindOf(value);
  const primitive = value as symbol | number | undefined;
  return String(primitive);
}

/** What kind of value it is, without a word of what it holds. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== 'object') return `a ${typeof value}`;
  return `an object with the keys ${Object.keys(value).slice(0, 5).join(', ') || '(none)'}`;
}

/** What a store rejected with: itself, where it is ours; else one of ours that has it as the cause, and its code. */
export function asStoreError(thrown: unknown): JobStatusError {
  const code = codeOf(thrown) as JobStatusErrorCode;
  if (code.startsWith('ERR_STORE_'))
    return thrown instanceof JobStatusError ? thrown : ours(code, thrown);
  return new JobStatusError('ERR_STORE_UNAVAILABLE', `The store failed: ${messageOf(thrown)}`, {
    cause: thrown,
  });
}

/** An error that has a code of ours, and is of another copy of this package, or of the store's own making. */
function ours(code: JobStatusErrorCode, thrown: unknown): JobStatusError {
  const { retryAfterMs } = thrown as { retryAfterMs?: unknown };
  const asked = typeof retryAfterMs === 'number' ? { retryAfterMs } : {};
  return new JobStatusError(code, messageOf(thrown), { cause: thrown, ...asked });
}
