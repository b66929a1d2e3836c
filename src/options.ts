import type { JobStatusError } from './errors.ts';
import { describe, InvalidArgumentError } from './errors.ts';
import type { CapturedField, StatusUpdate } from './types.ts';

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
  readonly capture?: {
    readonly [field in Exclude<CapturedField, 'metadata'>]?: boolean | undefined;
  };

  /**
   * Replaces a value before it leaves the process: called for each captured value that is not `null`,
   * with the field it is for. An error comes as `{ name, message, stack }`. Where it throws, the value
   * is not stored at all.
   *
   * @example redact: (value, field) => (field === 'result' ? mask(value) : value)
   */
  readonly redact?: (value: unknown, field: CapturedField, job: Job) => unknown;

  /**
   * Ids of your own to find rows by: tenant, user, course. Called at each transition, so keep it cheap;
   * it must answer at once, with a plain object or nothing.
   *
   * @example metadata: (job) => ({ organizationId: job.data.organizationId })
   */
  readonly metadata?: (job: Job) => object | null | undefined;

  /** Which jobs are tracked. It should say the same of a job every time. @default all */
  readonly filter?: (job: Job) => boolean;

  /**
   * How long an update waits for others to share its write, in ms: 0 to 60,000. It is also what a
   * job shorter than it saves: its start and end then are one row of one write.
   *
   * @default 10
   */
  readonly flushIntervalMs?: number | undefined;

  /** How many jobs one write takes at most: 1 to 10,000. @default 500 */
  readonly maxBatchSize?: number | undefined;

  /**
   * How many jobs' updates wait in memory at most while the store is away or slow: 1 to 10,000,000.
   * Past it, starts and progress are given up before ends, oldest first, each counted and reported.
   * Count on about 1 kB each, and their values.
   *
   * @default 100_000
   */
  readonly maxPending?: number | undefined;

  /** How much of each captured value is kept, in bytes, roughly: 256 to 100,000,000. @default 65_536 */
  readonly maxValueBytes?: number | undefined;

  /**
   * How long to wait before a failed write is tried again, in ms: at first `minMs` (1 to 3,600,000),
   * then twice as long each time up to `maxMs`, each with jitter. A store's own `Retry-After` is kept.
   *
   * @default { minMs: 100, maxMs: 30_000 }
   */
  readonly backoff?: { readonly minMs?: number | undefined; readonly maxMs?: number | undefined };

  /** How long a write may take before it counts as failed, in ms: 1 to 3,600,000. @default 30_000 */
  readonly writeTimeoutMs?: number | undefined;

  /** How long `flush` and `close` try, in ms: 1 to 3,600,000. @default 10_000 */
  readonly flushTimeoutMs?: number | undefined;

  /** Whether `worker.close()` waits until all is stored, for `flushTimeoutMs` at most. @default true */
  readonly flushOnClose?: boolean | undefined;

  /**
   * Told of everything that went wrong: `error.code` says what, `updates` which snapshots it is about.
   * Without it, and without a `logger`, the first error of each code becomes a process warning.
   */
  readonly onError?: (error: JobStatusError, updates: readonly StatusUpdate[]) => void;

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
  readonly capture: Readonly<Record<CapturedField, boolean>>;
  readonly backoff: { readonly minMs: number; readonly maxMs: number };
} & Pick<TrackingOptions<Job>, Hook>;

/** Every number option: default, least and greatest value. */
const NUMBERS = {
  flushIntervalMs: [10, 0, 60_000],
  maxBatchSize: [500, 1, 10_000],
  maxPending: [100_000, 1, 10_000_000],
  maxValueBytes: [65_536, 256, 100_000_000],
  writeTimeoutMs: [30_000, 1, 3_600_000],
  flushTimeoutMs: [10_000, 1, 3_600_000],
} as const;

const BACKOFF = { minMs: [100, 1, 3_600_000], maxMs: [30_000, 1, 3_600_000] } as const;
const CAPTURE = { data: false, result: true, progress: true, error: true };
const FUNCTIONS = ['redact', 'metadata', 'filter', 'onError'] as const;
const LOGGER_METHODS = ['debug', 'info', 'warn', 'error'] as const;

/**
 * Checks options and fills in defaults.
 *
 * @throws {InvalidArgumentError} naming the option, what was expected and what came
 */
export function resolveOptions<Job>(options: TrackingOptions<Job> = {}): ResolvedOptions<Job> {
  const known = [...Object.keys(NUMBERS), ...FUNCTIONS, 'logger', 'capture', 'backoff', 'flushOnClose'];
  const given = record('options', options, known);
  const capture = record('capture', given['capture'], Object.keys(CAPTURE));
  const backoff = numbers(BACKOFF, record('backoff', given['backoff'], Object.keys(BACKOFF)), 'backoff.');
  if (backoff.maxMs < backoff.minMs) {
    fail('backoff.maxMs', `at least backoff.minMs (${backoff.minMs})`, backoff.maxMs);
  }
  for (const name of FUNCTIONS) {
    const hook = given[name];
    if (hook !== undefined && typeof hook !== 'function') fail(name, 'a function', hook);
  }
  const logger = given['logger'] as Partial<Logger> | null | undefined;
  for (const method of logger === undefined ? [] : LOGGER_METHODS) {
    if (typeof logger?.[method] !== 'function') fail('logger', `an object with a method ${method}`, logger);
  }
  const { redact, metadata, filter, onError } = options;
  return {
    ...numbers(NUMBERS, given, ''),
    flushOnClose: boolean('flushOnClose', given['flushOnClose'], true),
    capture: {
      data: boolean('capture.data', capture['data'], CAPTURE.data),
      result: boolean('capture.result', capture['result'], CAPTURE.result),
      progress: boolean('capture.progress', capture['progress'], CAPTURE.progress),
      error: boolean('capture.error', capture['error'], CAPTURE.error),
      metadata: true,
    },
    backoff,
    ...(redact && { redact }),
    ...(metadata && { metadata }),
    ...(filter && { filter }),
    ...(onError && { onError }),
    ...(options.logger && { logger: options.logger }),
  };
}

function record(name: string, value: unknown, known: readonly string[]): Record<string, unknown> {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(name, 'an object', value);
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    throw new InvalidArgumentError(`Unknown option \`${key}\` in ${name}; known are ${known.join(', ')}`);
  }
  return value as Record<string, unknown>;
}

function numbers<Name extends string>(
  bounds: Record<Name, readonly [number, number, number]>,
  given: Record<string, unknown>,
  prefix: string,
): Record<Name, number> {
  const resolved: Record<string, number> = {};
  for (const [name, [fallback, least, greatest]] of Object.entries<readonly [number, number, number]>(bounds)) {
    const value = given[name] === undefined ? fallback : given[name];
    if (!(Number.isInteger(value) && (value as number) >= least && (value as number) <= greatest)) {
      fail(prefix + name, `a whole number from ${least} to ${greatest}`, value);
    }
    resolved[name] = value as number;
  }
  return resolved;
}

function boolean(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value !== 'boolean') fail(name, 'true or false', value);
  return value;
}

function fail(name: string, expected: string, got: unknown): never {
  throw new InvalidArgumentError(`Expected \`${name}\` to be ${expected}, got ${describe(got)} (${typeof got})`);
}
