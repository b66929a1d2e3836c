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
  /** The store did not answer a write within `writeTimeoutMs`. The write is tried again. */
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
 * Tracking or its store went wrong; the job did not. `cause` is the client's or hook's own error, without what
 * it may quote of credentials; what it quotes of rows and commands is not enumerable, so that no log has it.
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
    // Frozen, or a proxy that throws: it is what its owner made it.
    attempt(() => hush(options.cause));
    this.code = code;
    Object.defineProperty(this, 'updates', { value: options.updates ?? [] });
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** `error.code`, of whatever was thrown: also of a string, or of what throws when it is looked at. */
export function codeOf(thrown: unknown): string {
  return attempt(() => String((thrown as { code?: unknown } | null | undefined)?.code));
}

/** The message of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return attempt(() => (thrown instanceof Error ? thrown.message : describe(thrown)));
}

function attempt<T>(read: () => T): T | string {
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

/** What a store rejected with: itself, where it has a store's code; else one that has, with it as the cause. */
export function asStoreError(thrown: unknown): JobStatusError {
  if (codeOf(thrown).startsWith('ERR_STORE_')) return thrown as JobStatusError;
  return new JobStatusError('ERR_STORE_UNAVAILABLE', `The store failed: ${messageOf(thrown)}`, {
    cause: thrown,
  });
}

/**
 * What clients quote of credentials: a URL's user and password, a header's value that can't be sent, a bearer's
 * token, Supabase's keys, which were JSON Web Tokens once, and a connection string's password.
 */
const SECRETS =
  /(?<=:\/\/)[^\s"'<>]*(?=@)|(?<=")[^"]*(?=" is an invalid header value)|(?<=bearer )[^\s"']+|sb_secret_[\w-]+|eyJ[\w-]+\.[\w-]+\.[\w-]+|(?<=password=)[^\s&]+/gi;

/** Text as errors may have it. */
function withoutSecrets(text: string): string {
  return text.replace(SECRETS, '...');
}

/** What clients add to their errors that quotes rows (Postgres), commands (Redis) or addresses (URL). */
const QUOTING = ['detail', 'details', 'where', 'internalQuery', 'command', 'input'];

/** How much of a cause's message is kept: a gateway answers with a page. */
const MAX_LENGTH = 1_000;

/** How many causes, each the next one's, are looked at. */
const MAX_CAUSES = 5;

/** Makes a client's error fit for logs, and what caused that. */
function hush(thrown: unknown): void {
  let error = thrown as Record<string, unknown> | null | undefined;
  for (let depth = 0; depth < MAX_CAUSES && typeof error === 'object' && error !== null; depth++) {
    for (const name of ['message', 'stack', ...QUOTING]) {
      const value = error[name];
      if (typeof value === 'string') {
        const hushed = withoutSecrets(name === 'message' ? value.slice(0, MAX_LENGTH) : value);
        if (hushed !== value) error[name] = hushed;
      }
      if (QUOTING.includes(name) && Object.hasOwn(error, name))
        Object.defineProperty(error, name, { enumerable: false });
    }
    error = error['cause'] as typeof error;
  }
}
