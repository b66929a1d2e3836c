import type { QueuedJob } from '../queue-snapshot.ts';

/** The last that a queue's events tell of one job: a hint that it changed, and how it went if it is gone. */
export interface JobChange {
  readonly jobId: string;
  /** BullMQ's name of the event: `added`, `waiting`, `active`, `completed`, `removed` … */
  readonly event: string;
  /** When the queue wrote it, in ms since 1970, by the queue's clock. */
  readonly on: number;
  /** What a `completed` job returned, why a `failed` one failed, whence a `removed` one was taken. */
  readonly value: unknown;
}

/** Some of a queue's events, and where the next ones begin. */
export interface Changes {
  /** Names the place after the last event read. */
  readonly cursor: string;
  /** One for each job that changed, by its last event. */
  readonly jobs: readonly JobChange[];
  /** Whether there are more events than were read. */
  readonly hasMore: boolean;
}

/**
 * How much of a job is read: `whole`; `without-data`, its payload left out, which may be large; `standing`, no
 * more than its state and its attempt.
 */
export type Parts = 'whole' | 'without-data' | 'standing';

/**
 * Looks at a queue, whatever it is kept in. Each method but one is one request, and none changes anything.
 *
 * Each rejects with what the queue's own client does.
 */
export interface QueueReader {
  /**
   * Looks jobs up: each as it was at one moment, so that its state and its attempt belong together.
   *
   * @param parts how much of each; `whole` unless said otherwise
   * @returns those that the queue knows, by their ids
   */
  read(ids: readonly string[], parts?: Parts): Promise<ReadonlyMap<string, QueuedJob>>;

  /** The ids of all jobs that have not ended; of one that moves meanwhile perhaps none, or twice. */
  unfinishedIds(): Promise<readonly string[]>;

  /**
   * When jobs ended that the queue still has, by their ids: those that did so at this time or later, in ms
   * since 1970.
   */
  endedSince(time: number): Promise<ReadonlyMap<string, number>>;

  /** The place after the last event that there is: where to begin. */
  lastCursor(): Promise<string>;

  /** The events after a place, up to `limit` of them, in one look; what was trimmed meanwhile is passed over. */
  changes(cursor: string, limit: number): Promise<Changes>;

  /**
   * Resolves when there is an event after a place, or `timeoutMs` has passed, or the signal aborts. Waits on a
   * connection of its own, made for the first wait.
   */
  waitForChange(cursor: string, timeoutMs: number, signal: AbortSignal): Promise<void>;

  /** Lets go of what `waitForChange` opened. */
  close(): void;
}
