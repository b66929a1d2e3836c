import type { JobKey } from './types.ts';

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

/** A BullMQ `Queue`, of any data, result, backend and version. */
export interface TrackableQueue {
  readonly name: string;
  /** `prefix:name`; on a backend without prefixes the bare name. */
  readonly qualifiedName: string;
  /** Set once the queue was told to close. */
  readonly closing?: Promise<void> | undefined;
  emit(event: never, ...args: never[]): boolean;
  close(): Promise<void>;
  getJob(jobId: string): Promise<unknown>;
  remove(jobId: string, options?: { removeChildren?: boolean }): Promise<number>;
}

/** What of a BullMQ `Job` is known where it was read off its queue: all that it holds, and no method. */
type JobField = keyof TrackableJob | 'queueName' | 'returnvalue' | 'parentKey';

/** A `Queue`'s job as hooks get it, with the user's own data and result types. */
export type QueueJobOf<Queue extends TrackableQueue> =
  NonNullable<Awaited<ReturnType<Queue['getJob']>>> extends infer Job
    ? { readonly [field in Extract<keyof Job, JobField>]: Job[field] }
    : never;

/** What a snapshot reads of a `Job`. */
export interface TrackableJob {
  readonly id?: string | undefined;
  readonly name: string;
  readonly data: unknown;
  readonly progress: unknown;
  readonly failedReason?: string | null | undefined;
  readonly stacktrace: readonly string[] | null;
  /** The delay in force, in ms: the backoff, where a failed attempt will be tried again. */
  readonly delay?: number | undefined;
  readonly priority?: number | undefined;
  readonly timestamp: number;
  readonly processedOn?: number | undefined;
  readonly finishedOn?: number | undefined;
  readonly attemptsStarted: number;
  readonly attemptsMade: number;
  /** The name of the worker that started it last, where that has one. */
  readonly processedBy?: string | undefined;
  readonly opts: { readonly attempts?: number | undefined };
  /** The flow's parent: its id, and the `prefix:name` of its queue (the bare name on Postgres). */
  readonly parent?: { readonly id: string; readonly queueKey: string } | undefined;
  readonly repeatJobKey?: string | undefined;
  readonly deduplicationId?: string | undefined;
}

/** The name under which rows of a queue are kept, given its `prefix:name`: see `JobKey.queue`. */
export function queueKey(qualifiedName: string): string {
  // BullMQ's default prefix; on Postgres there is none. A queue's name holds no ":", a prefix may.
  return /^bull:([^:]+)$/.exec(qualifiedName)?.[1] ?? qualifiedName;
}

/**
 * The key of a job that another one names by `prefix:name:id`, as flows in Redis do. Prefixes and ids may hold ":",
 * names don't; so it is read by the prefix that both queues have.
 *
 * @param queue the key of the queue of the one that names it
 */
export function jobKey(qualifiedId: string, queue: string): JobKey {
  const own = queue.slice(0, Math.max(0, queue.lastIndexOf(':')));
  const prefix = `${own || 'bull'}:`;
  const [, name, id] = qualifiedId.startsWith(prefix)
    ? (/^([^:]+):(.+)$/s.exec(qualifiedId.slice(prefix.length)) ?? [])
    : [];
  if (name !== undefined && id !== undefined)
    return { queue: own === '' ? name : `${own}:${name}`, jobId: id };
  // Another prefix: then an id without a colon is all that can be told.
  const at = qualifiedId.lastIndexOf(':');
  return { queue: queueKey(qualifiedId.slice(0, at)), jobId: qualifiedId.slice(at + 1) };
}
