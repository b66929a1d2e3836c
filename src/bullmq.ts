/*
 * The few parts of BullMQ's `Worker` and `Job` that tracking reads, typed by their shape: so that one
 * build serves BullMQ 5 and 6, every backend, and subclasses, and users' types need no copy of ours.
 * `tests/types` holds them against both real versions.
 */

/** A BullMQ `Worker`, of any data, result, backend and version. */
export interface TrackableWorker {
  readonly name: string;
  /** `prefix:name`; on a backend without prefixes the bare name. */
  readonly qualifiedName: string;
  readonly id: string;
  readonly opts: { readonly name?: string | undefined };
  // Methods, not properties, so that their parameters compare loosely across BullMQ's versions.
  emit(event: never, ...args: never[]): boolean;
  close(force?: boolean): Promise<void>;
  getNextJob(token: string): Promise<unknown>;
}

/** The `Job` that a worker's processor gets, with the user's own data and result types. */
export type JobOf<Worker extends TrackableWorker> = NonNullable<
  Awaited<ReturnType<Worker['getNextJob']>>
>;

/** What a snapshot reads of a `Job`. */
export interface TrackableJob {
  readonly id?: string | undefined;
  readonly name: string;
  readonly data: unknown;
  readonly progress: unknown;
  readonly failedReason?: string | undefined;
  readonly stacktrace: readonly string[] | null;
  /** The delay in force, in ms: the backoff, where a failed attempt will be tried again. */
  readonly delay?: number | undefined;
  readonly priority?: number | undefined;
  readonly timestamp: number;
  readonly processedOn?: number | undefined;
  readonly finishedOn?: number | undefined;
  readonly attemptsStarted: number;
  readonly attemptsMade: number;
  readonly opts: { readonly attempts?: number | undefined };
}

/** BullMQ's default key prefix. */
const DEFAULT_PREFIX = 'bull';

/** The name under which a worker's rows are kept: see `JobKey.queue`. */
export function queueKey(worker: Pick<TrackableWorker, 'name' | 'qualifiedName'>): string {
  const isDefault = worker.qualifiedName === `${DEFAULT_PREFIX}:${worker.name}`;
  return isDefault ? worker.name : worker.qualifiedName;
}
