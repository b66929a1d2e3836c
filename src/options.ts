import type { JobStatusError } from './errors.ts';
import type { CapturedField, StatusUpdate } from './types.ts';
import {
  boolean,
  hasMethods,
  resolve,
  unlike,
  wholeNumber,
  type Rule,
  type Rules,
} from './validate.ts';

/** The part of pino's logger that is called; `console` fits too. */
export interface Logger {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

/** Options of `attachStatusTracking`. An explicit `undefined` means the default. */
export interface TrackingOptions<Job = unknown> {
  /**
   * Which of a job's values the row keeps. `data` is off, for payloads hold what a status table
   * should not.
   *
   * @default { data: false, result: true, progress: true, error: true }
   */
  readonly capture?:
    { readonly [field in Exclude<CapturedField, 'metadata'>]?: boolean | undefined } | undefined;

  /**
   * Replaces a value before it leaves the process: called for each captured value that is not `null`,
   * with the field it is for. An error comes as `{ name, message, stack }`; data, progress and result are
   * the worker's own objects, so return a new value rather than change one. Where it throws, the value
   * is not stored at all.
   *
   * @example redact: (value, field) => (field === 'result' ? mask(value) : value)
   */
  readonly redact?: ((value: unknown, field: CapturedField, job: Job) => unknown) | undefined;

  /**
   * Ids of your own to find rows by: tenant, user, course. Called for each snapshot, so keep it cheap;
   * it must answer at once, with a plain object or nothing.
   *
   * @example metadata: (job) => ({ organizationId: job.data.organizationId })
   */
  readonly metadata?: ((job: Job) => (object & { then?: never }) | null | undefined) | undefined;

  /** Which jobs are tracked: those it answers `true` for, at once and the same every time. @default all */
  readonly filter?: ((job: Job) => boolean) | undefined;

  /**
   * How long an update waits for others to share its write, in ms: 0 to 60,000. While writes are slow
   * it is twice as long as the last one took, up to five times this. A start, and progress, waits five
   * times this before (a second at most), and with it all others of jobs that run: a job that has ended by
   * then is one row of one write.
   *
   * @default 10
   */
  readonly flushIntervalMs?: number | undefined;

  /**
   * How many jobs one write takes at most: 1 to 10,000. More than 500 only as many as the store, by its last
   * write, takes 200 ms for, and none once so many have shown to be too many for it.
   *
   * @default 2_000
   */
  readonly maxBatchSize?: number | undefined;

  /**
   * How many jobs' updates wait in memory at most while the store is away or slow: 1 to 10,000,000.
   * Past it, starts and progress are given up before ends, those first in line first, each counted
   * and reported. Count on about 1 kB each, and their values.
   *
   * @default 100_000
   */
  readonly maxPending?: number | undefined;

  /** How much of each captured value is kept, in characters of JSON, roughly: 256 to 100,000,000. @default 65_536 */
  readonly maxValueLength?: number | undefined;

  /**
   * How long to wait before a failed write is tried again, in ms: at first `minMs` (1 to 3,600,000),
   * then twice as long each time up to `maxMs`, each with jitter. A store's own `retryAfterMs` is kept,
   * an hour at most, and up to half as long again added by lot; while somebody flushes, no rest is longer than 250 ms.
   *
   * @default { minMs: 100, maxMs: 30_000 }
   */
  readonly backoff?:
    { readonly minMs?: number | undefined; readonly maxMs?: number | undefined } | undefined;

  /** How long a write may take before it counts as failed, in ms: 1 to 3,600,000. @default 30_000 */
  readonly writeTimeoutMs?: number | undefined;

  /** How long `flush` and `close` try, in ms: 1 to 3,600,000. @default 10_000 */
  readonly flushTimeoutMs?: number | undefined;

  /** Whether `worker.close()` waits until all is stored, for `flushTimeoutMs` at most. @default true */
  readonly flushOnClose?: boolean | undefined;

  /**
   * Told of everything that went wrong: `error.code` says what, `updates` which snapshots it is about.
   * Without it, and without a `logger`, the first error of each code becomes a process warning, once
   * for each tracker.
   */
  readonly onError?:
    ((error: JobStatusError, updates: readonly StatusUpdate[]) => void) | undefined;

  /** Gets each observed update at `debug`, and errors at `warn` or `error`. */
  readonly logger?: Logger | undefined;
}

type Hook = 'redact' | 'metadata' | 'filter' | 'onError' | 'logger';

/** The options with every default filled in. */
export type ResolvedOptions<Job = unknown> = {
  readonly [option in Exclude<keyof TrackingOptions, Hook | 'capture' | 'backoff'>]-?: NonNullable<
    TrackingOptions[option]
  >;
} & {
  readonly capture: Readonly<Record<Exclude<CapturedField, 'metadata'>, boolean>>;
  readonly backoff: { readonly minMs: number; readonly maxMs: number };
} & Pick<TrackingOptions<Job>, Hook>;

const HOOK: Rule = { expected: 'a function', holds: (value) => typeof value === 'function' };

const RULES: Rules = {
  capture: {
    keys: {
      data: boolean(false),
      result: boolean(true),
      progress: boolean(true),
      error: boolean(true),
    },
  },
  redact: HOOK,
  metadata: HOOK,
  filter: HOOK,
  flushIntervalMs: wholeNumber(10, 0, 60_000),
  maxBatchSize: wholeNumber(2_000, 1, 10_000),
  maxPending: wholeNumber(100_000, 1, 10_000_000),
  maxValueLength: wholeNumber(65_536, 256, 100_000_000),
  backoff: {
    keys: { minMs: wholeNumber(100, 1, 3_600_000), maxMs: wholeNumber(30_000, 1, 3_600_000) },
  },
  writeTimeoutMs: wholeNumber(30_000, 1, 3_600_000),
  flushTimeoutMs: wholeNumber(10_000, 1, 3_600_000),
  flushOnClose: boolean(true),
  onError: HOOK,
  logger: {
    expected: 'a logger with debug, info, warn and error',
    holds: (value) => hasMethods(value, 'debug', 'info', 'warn', 'error'),
  },
};

/**
 * Checks options and fills in defaults.
 *
 * @throws {InvalidArgumentError} naming the option, what was expected and what came
 */
export function resolveOptions<Job>(options?: TrackingOptions<Job>): ResolvedOptions<Job> {
  const resolved = resolve('options', options, RULES) as unknown as ResolvedOptions<Job>;
  const { minMs, maxMs } = resolved.backoff;
  if (maxMs < minMs) {
    throw unlike('options.backoff.maxMs', `at least minMs (${minMs})`, String(maxMs));
  }
  return resolved;
}
