import type { StatusUpdate } from './types.ts';

/**
 * The codes of everything this package throws, rejects with, or hands to `onError`. Recognise errors
 * by `error.code`: it is stable, and it holds across copies of the package where `instanceof` fails.
 */
export type JobStatusErrorCode =
  /** An argument or option is not what it must be. A `TypeError`, thrown at once. */
  | 'ERR_INVALID_ARGUMENT'
  /** The worker is already tracked into this very store. */
  | 'ERR_ALREADY_ATTACHED'
  /** The store can't be reached or is overloaded. The write is tried again. */
  | 'ERR_STORE_UNAVAILABLE'
  /** The store answers, but isn't set up: no table, no rights. Tried again, for somebody will mend it. */
  | 'ERR_STORE_SETUP'
  /** The store will never take this update. It is given up; the others of its batch are stored. */
  | 'ERR_STORE_REFUSED'
  /** The store did not answer a write within `writeTimeoutMs`. The write is tried again. */
  | 'ERR_STORE_TIMEOUT'
  /** More than `maxPending` updates waited, so some were given up. */
  | 'ERR_UPDATES_DROPPED'
  /** `flush` or `close` ended at its deadline with updates unsaved, or some were given up meanwhile. */
  | 'ERR_FLUSH_INCOMPLETE'
  /** A `filter`, `metadata`, `redact` or `onError` of yours threw, or returned what can't be used. */
  | 'ERR_HOOK_FAILED';

/** What every error of this package has. */
export interface JobStatusError extends Error {
  readonly code: JobStatusErrorCode;
}

/** An argument or option is not what it must be: the message names what was expected and what came. */
export class InvalidArgumentError extends TypeError implements JobStatusError {
  override readonly name = 'InvalidArgumentError';
  readonly code = 'ERR_INVALID_ARGUMENT';
}

/** Tracking itself went wrong; the job did not. `updates` are the ones it is about, where there are any. */
export class TrackingError extends Error implements JobStatusError {
  override readonly name = 'TrackingError';
  readonly code: JobStatusErrorCode;
  readonly updates: readonly StatusUpdate[];

  constructor(
    code: JobStatusErrorCode,
    message: string,
    options: { cause?: unknown; updates?: readonly StatusUpdate[] } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.updates = options.updates ?? [];
  }
}

/** How a store says what became of a request, and so whether it is worth a retry. */
export type StoreErrorCode = 'ERR_STORE_UNAVAILABLE' | 'ERR_STORE_SETUP' | 'ERR_STORE_REFUSED';

/** A store's request failed. `cause` is the client's own error. */
export class StatusStoreError extends Error implements JobStatusError {
  override readonly name = 'StatusStoreError';
  readonly code: StoreErrorCode;
  /** How long the store asks to be left alone, in ms (HTTP's `Retry-After`). */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: StoreErrorCode,
    message: string,
    options: { cause?: unknown; retryAfterMs?: number | undefined } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** `error.code`, of whatever was thrown. */
export function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

/** Whatever was thrown, as an `Error`: programs throw strings too. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(describe(thrown), { cause: thrown });
}

/** A value as an error message shows it: short, on one line, and never throwing. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === 'function') return `function ${value.name}`.trim();
  if (typeof value === 'object' && value !== null) {
    return Array.isArray(value) ? 'an array' : `an object with the keys ${Object.keys(value).slice(0, 5).join(', ') || '(none)'}`;
  }
  return typeof value === 'bigint' ? `${value}n` : String(value);
}
