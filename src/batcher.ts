import type { JobStatusError } from './errors.ts';
import { codeOf, StatusStoreError, toError, TrackingError } from './errors.ts';
import type { ResolvedOptions } from './options.ts';
import { PendingUpdates, type PendingUpdate } from './pending.ts';
import type { StatusStore } from './store.ts';
import type { StatusUpdate } from './types.ts';

export type BatcherOptions = Pick<
  ResolvedOptions,
  'flushIntervalMs' | 'maxBatchSize' | 'maxPending' | 'backoff' | 'writeTimeoutMs' | 'flushTimeoutMs'
>;

/** Tells of an error and of the updates it is about; never throws. */
export type Report = (error: JobStatusError, updates: readonly StatusUpdate[]) => void;

/** How delivery stands. Counts run from the start of tracking. */
export interface BatcherStats {
  /** Jobs whose newest update is not stored yet, those of the write under way among them. */
  readonly pending: number;
  /** Updates stored, after coalescing. */
  readonly written: number;
  /** Updates folded into one of the same job that was still waiting. */
  readonly coalesced: number;
  /** Writes that failed and were, or will be, tried again. */
  readonly retried: number;
  /** Updates that the store refused for good. */
  readonly refused: number;
  /** Updates given up because more than `maxPending` jobs waited. */
  readonly dropped: number;
  /** For how long the oldest pending update has waited, in ms; 0 where none does. */
  readonly lagMs: number;
  /** What went wrong last, if anything did. */
  readonly lastError: JobStatusError | null;
}

/** Errors that say the store is at fault, not the batch. */
const STORE_AT_FAULT: readonly unknown[] = [
  'ERR_STORE_UNAVAILABLE',
  'ERR_STORE_SETUP',
  'ERR_STORE_TIMEOUT',
];

/** Somebody waits until all up to a ticket is stored. */
interface FlushWaiter {
  readonly upTo: number;
  readonly lost: StatusUpdate[];
  readonly deadline: NodeJS.Timeout;
  settle(unsaved: readonly StatusUpdate[]): void;
}

/**
 * Brings updates to the store: many jobs in a write, one write at a time.
 *
 * - IDLE: nothing waits. An update leads to GATHERING.
 * - GATHERING: updates collect for `flushIntervalMs`. That over, a full batch or a flush: WRITING.
 * - WRITING: a batch is under way; what comes meanwhile waits. Stored: on to IDLE, GATHERING, or
 *   WRITING at once where a full batch waits. Refused: the batch is halved until the culprits stand
 *   alone, and these are given up. Failed otherwise: what was not stored waits again; RESTING.
 * - RESTING: nothing is written until the backoff is over, or somebody flushes: WRITING.
 *
 * No update overtakes another in any way that matters, for the merge is free of order.
 */
export class Batcher {
  readonly #store: StatusStore;
  readonly #options: BatcherOptions;
  readonly #report: Report;
  readonly #pending: PendingUpdates;
  readonly #waiters = new Set<FlushWaiter>();

  #underWay: readonly PendingUpdate[] = [];
  #abortWrite: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** Failed writes since the last that was stored. */
  #failures = 0;
  #retryAfterMs = 0;
  /**
   * Halved by each failure that no code explains: should one update be the culprit, the others of its
   * batch get by without it. Back at full size with the next success.
   */
  #batchSize: number;
  #lastTicket = 0;
  /** Given up past the bound and not reported yet: told in one report, not in one for each job. */
  #unreported: StatusUpdate[] = [];
  #counts = { written: 0, coalesced: 0, retried: 0, refused: 0, dropped: 0 };
  #lastError: JobStatusError | null = null;

  constructor(store: StatusStore, options: BatcherOptions, report: Report) {
    this.#store = store;
    this.#options = options;
    this.#batchSize = options.maxBatchSize;
    this.#pending = new PendingUpdates(options.maxPending);
    this.#report = (error, updates) => {
      this.#lastError = error;
      report(error, updates);
    };
  }

  /** Takes an update over. Returns at once, and never throws. */
  take(update: StatusUpdate): void {
    this.#add({ update, ticket: ++this.#lastTicket, since: Date.now() });
    if (this.#timer === undefined || this.#isFull()) this.#schedule();
  }

  /**
   * Resolves when every update taken so far is stored.
   *
   * @throws {TrackingError} `ERR_FLUSH_INCOMPLETE` where `flushTimeoutMs` passed before, or where some
   *   were given up meanwhile; `updates` are the ones not stored
   */
  flush(): Promise<void> {
    const { flushTimeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const waiter: FlushWaiter = {
        upTo: this.#lastTicket,
        lost: [],
        deadline: setTimeout(() => waiter.settle(this.#unsavedOf(waiter)), flushTimeoutMs),
        settle: (unsaved) => {
          clearTimeout(waiter.deadline);
          this.#waiters.delete(waiter);
          const updates = [...waiter.lost, ...unsaved];
          if (updates.length === 0) return resolve();
          const why = unsaved.length > 0 ? ` within ${flushTimeoutMs} ms` : '';
          const message = `${updates.length} updates could not be stored${why}`;
          reject(new TrackingError('ERR_FLUSH_INCOMPLETE', message, { updates, cause: this.#lastError }));
        },
      };
      this.#waiters.add(waiter);
      // A store at rest gets its next chance now: whoever flushes will not wait for long.
      this.#failures = 0;
      this.#retryAfterMs = 0;
      this.#settleWaiters();
      this.#schedule();
    });
  }

  /** Flushes, then rests for good, whether or not all was stored. */
  async close(): Promise<void> {
    this.#closed = true;
    try {
      await this.flush();
    } finally {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      // The answer of a write that still hangs would only hold the process.
      const message = 'Tracking was closed before the store answered';
      this.#abortWrite?.abort(new TrackingError('ERR_STORE_TIMEOUT', message));
    }
  }

  stats(): BatcherStats {
    const entries = [...this.#underWay, ...this.#pending.values()];
    const oldest = entries.reduce((since, entry) => Math.min(since, entry.since), Infinity);
    return {
      pending: entries.length,
      ...this.#counts,
      lagMs: Math.max(0, Date.now() - Math.min(oldest, Date.now())),
      lastError: this.#lastError,
    };
  }

  #isFull(): boolean {
    return this.#pending.size >= this.#options.maxBatchSize && this.#failures === 0;
  }

  #isWriting(): boolean {
    return this.#abortWrite !== undefined;
  }

  /** From IDLE, GATHERING or RESTING: sets when the next write begins. */
  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isWriting() || this.#pending.size === 0) return;
    if (this.#closed && this.#waiters.size === 0) return;
    if (this.#failures > 0) {
      this.#timer = setTimeout(() => void this.#writeBatch(), this.#backoffMs());
    } else if (this.#isFull() || this.#waiters.size > 0) {
      void this.#writeBatch();
    } else {
      this.#timer = setTimeout(() => void this.#writeBatch(), this.#options.flushIntervalMs);
    }
  }

  #backoffMs(): number {
    const { minMs, maxMs } = this.#options.backoff;
    const ms = Math.min(maxMs, minMs * 2 ** (this.#failures - 1));
    // Half of it is drawn by lot, so that many trackers do not come back at once.
    return Math.max(ms * (0.5 + Math.random() / 2), this.#retryAfterMs);
  }

  async #writeBatch(): Promise<void> {
    this.#timer = undefined;
    this.#underWay = this.#pending.take(this.#batchSize);
    try {
      await this.#writeOrSplit();
      this.#failures = 0;
      this.#batchSize = this.#options.maxBatchSize;
    } catch (thrown) {
      const error = asStoreError(thrown);
      const updates = this.#underWay.map((entry) => entry.update);
      for (const entry of this.#underWay) this.#add(entry);
      this.#failures += 1;
      this.#counts.retried += 1;
      this.#retryAfterMs = error instanceof StatusStoreError ? (error.retryAfterMs ?? 0) : 0;
      if (!STORE_AT_FAULT.includes(codeOf(thrown))) this.#batchSize = Math.ceil(updates.length / 2);
      this.#report(error, updates);
    }
    this.#underWay = [];
    this.#abortWrite = undefined;
    this.#reportDropped();
    this.#settleWaiters();
    this.#schedule();
  }

  /** Writes what is under way; what remains of it when this throws is what was not stored. */
  async #writeOrSplit(): Promise<void> {
    const parts = [this.#underWay];
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      try {
        await this.#write(part.map((entry) => entry.update));
        this.#counts.written += part.length;
      } catch (error) {
        if (codeOf(error) !== 'ERR_STORE_REFUSED') throw error;
        if (part.length > 1) {
          const half = Math.ceil(part.length / 2);
          parts.push(part.slice(half), part.slice(0, half));
          continue;
        }
        this.#counts.refused += 1;
        this.#giveUp(part);
        this.#report(asStoreError(error), part.map((entry) => entry.update));
      }
      this.#underWay = parts.flat();
    }
  }

  /** One call of the store, given up after `writeTimeoutMs`: it may be stored all the same, which does no harm. */
  async #write(updates: readonly StatusUpdate[]): Promise<void> {
    const abort = new AbortController();
    this.#abortWrite = abort;
    const { writeTimeoutMs } = this.#options;
    const message = `The store did not answer within ${writeTimeoutMs} ms`;
    const timeout = setTimeout(
      () => abort.abort(new TrackingError('ERR_STORE_TIMEOUT', message)),
      writeTimeoutMs,
    );
    try {
      await new Promise<void>((resolve, reject) => {
        abort.signal.addEventListener('abort', () => reject(abort.signal.reason as Error));
        Promise.resolve(this.#store.write(updates, { signal: abort.signal })).then(resolve, reject);
      });
    } finally {
      clearTimeout(timeout);
    }
  }

  #add(entry: PendingUpdate): void {
    const { coalesced, dropped } = this.#pending.add(entry);
    if (coalesced) this.#counts.coalesced += 1;
    if (dropped === undefined) return;
    this.#counts.dropped += 1;
    this.#giveUp([dropped]);
    this.#unreported.push(dropped.update);
    if (this.#unreported.length >= this.#options.maxBatchSize) this.#reportDropped();
  }

  #reportDropped(): void {
    const updates = this.#unreported;
    if (updates.length === 0) return;
    this.#unreported = [];
    const message = `More than ${this.#options.maxPending} jobs waited for the store; ${updates.length} updates were given up`;
    this.#report(new TrackingError('ERR_UPDATES_DROPPED', message, { updates }), updates);
  }

  #giveUp(entries: readonly PendingUpdate[]): void {
    for (const waiter of this.#waiters) {
      for (const { ticket, update } of entries) if (ticket <= waiter.upTo) waiter.lost.push(update);
    }
  }

  #settleWaiters(): void {
    for (const waiter of this.#waiters) {
      if (this.#unsavedOf(waiter).length === 0) waiter.settle([]);
    }
  }

  #unsavedOf({ upTo }: FlushWaiter): StatusUpdate[] {
    return [...this.#underWay, ...this.#pending.values()]
      .filter((entry) => entry.ticket <= upTo)
      .map((entry) => entry.update);
  }
}

/** What a store rejected with, as an error of ours with the store's own as its cause. */
function asStoreError(thrown: unknown): JobStatusError {
  if (thrown instanceof StatusStoreError || thrown instanceof TrackingError) return thrown;
  const { message } = toError(thrown);
  const code = codeOf(thrown) === 'ERR_STORE_REFUSED' ? 'ERR_STORE_REFUSED' : 'ERR_STORE_UNAVAILABLE';
  return new StatusStoreError(code, `The store failed: ${message}`, { cause: thrown });
}
