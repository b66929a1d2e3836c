import { askStore } from './ask-store.ts';
import { createBatchSize } from './batch-size.ts';
import { createDropped } from './dropped.ts';
import { asStoreError, codeOf, describe, JobStatusError } from './errors.ts';
import { createFlushWaiters } from './flush-waiters.ts';
import { keyOf } from './key.ts';
import type { ResolvedOptions } from './options.ts';
import { createPendingUpdates, type PendingUpdate, type WaitingUpdate } from './pending.ts';
import { restAfter, withJitter } from './rest.ts';
import type { StatusStore } from './store.ts';
import type { StatusUpdate } from './types.ts';

export type BatcherOptions = Pick<
  ResolvedOptions,
  | 'flushIntervalMs'
  | 'maxBatchSize'
  | 'maxPending'
  | 'backoff'
  | 'writeTimeoutMs'
  | 'flushTimeoutMs'
>;

/** How delivery stands. Counts run from the start of tracking. */
export interface TrackerStats {
  /** Jobs whose newest update is not stored yet, those of the write under way among them. */
  readonly pending: number;
  /** Updates stored, after coalescing. */
  readonly written: number;
  /** Updates that a later one of the same job stood in for, as both still waited. */
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

/** Brings updates to a store. */
export interface Batcher {
  /**
   * Takes an update over. Returns at once, and never throws.
   *
   * @param since when it began to wait, by `performance.now`. @default now
   */
  readonly take: (update: StatusUpdate, since?: number) => void;
  /**
   * Resolves when every update taken so far is stored.
   *
   * @throws {JobStatusError} `ERR_FLUSH_INCOMPLETE` where `flushTimeoutMs` passed before, or where
   *   some were given up meanwhile; `updates` are the ones not stored
   * @param isPatient whether a store that fails may rest for as long as it should. @default false
   */
  readonly flush: (isPatient?: boolean) => Promise<void>;
  /** Flushes, then rests for good, whether or not all was stored. */
  readonly close: () => Promise<void>;
  /** Rests for good, and lets go of the write under way. */
  readonly end: () => void;
  /** @param heldBack what waits elsewhere, until it is taken */
  readonly stats: (heldBack?: readonly WaitingUpdate[]) => TrackerStats;
}

/** The longest rest that a store may ask for. */
const MAX_ASKED_MS = 3_600_000;

/** The longest rest while somebody flushes. */
const MAX_REST_IN_FLUSH_MS = 250;

/** How many times `flushIntervalMs` updates wait at most for a store that is slow, or for their job's end. */
export const MAX_GATHERING = 5;

/**
 * Many jobs in a write, one write at a time:
 *
 * - IDLE: nothing waits. An update leads to GATHERING.
 * - GATHERING: updates collect for `flushIntervalMs`, or longer while the store is slow. That over, or
 *   with a full batch or a flush: WRITING.
 * - WRITING: a batch is under way; what comes meanwhile waits. Stored: on to IDLE, GATHERING, or
 *   WRITING at once where a full batch waits. Refused: the batch is halved until the culprits stand
 *   alone, and these are given up. Failed otherwise: what was not stored waits again; RESTING.
 * - RESTING: nothing is written until the backoff is over, and soon where somebody flushes: WRITING.
 *
 * No update overtakes another in any way that matters, for the merge is free of order.
 *
 * @param report tells of an error and the updates it is about; it must not throw
 */
export function createBatcher(
  store: StatusStore,
  options: BatcherOptions,
  report: (error: JobStatusError, updates: readonly StatusUpdate[]) => void,
): Batcher {
  const { flushIntervalMs, backoff, writeTimeoutMs, flushTimeoutMs } = options;
  const pending = createPendingUpdates(options.maxPending);
  const waiters = createFlushWaiters(unsaved);
  const counts = { written: 0, coalesced: 0, retried: 0, refused: 0 };
  let lastError: JobStatusError | null = null;
  let lastTicket = 0;

  let timer: NodeJS.Timeout | undefined;
  /** Aborts the write under way; there is one in WRITING only. */
  let writing: AbortController | undefined;
  let underWay: readonly PendingUpdate[] = [];
  let closed = false;
  /** Failed writes since the last that was stored; more than none in RESTING. */
  let failures = 0;
  let failedAt = 0;
  let restUntil = 0;
  let lastWriteMs = 0;
  // As many as may wait are a full batch: else some are given up while the store is there.
  const batchSize = createBatchSize(Math.min(options.maxBatchSize, options.maxPending));
  const dropped = createDropped(options, tell);

  function add(entry: PendingUpdate): void {
    const { coalesced, evicted } = pending.add(entry);
    if (coalesced) counts.coalesced += 1;
    if (evicted === undefined) return;
    waiters.lose([evicted]);
    dropped.add(evicted.update);
  }

  /** From IDLE, GATHERING or RESTING: sets when the next write begins. */
  function schedule(): void {
    clearTimeout(timer);
    timer = undefined;
    if (writing !== undefined || pending.size() === 0) return;
    const isFlushing = waiters.count() > 0;
    if (closed && !isFlushing) return;
    const writeLater = (ms: number) => setTimeout(() => void writeBatch(), ms);
    if (failures > 0) timer = writeLater(Math.max(0, restUntil - performance.now()));
    else if (isFlushing || isBatchFull()) void writeBatch();
    else timer = writeLater(gatherMs());
  }

  function isBatchFull(): boolean {
    return pending.size() >= batchSize.now();
  }

  /**
   * A store at work gets twice as long to itself as its last write took. On a busy machine that leaves
   * the jobs their share of it, and more starts and ends meet in one write.
   */
  function gatherMs(): number {
    return Math.min(Math.max(flushIntervalMs, 2 * lastWriteMs), MAX_GATHERING * flushIntervalMs);
  }

  /** Sets when RESTING ends, counted from the last failure; while somebody flushes, soon. */
  function rest(ms: number): void {
    const isHurried = waiters.areHurried();
    restUntil = failedAt + (isHurried ? Math.min(ms, withJitter(MAX_REST_IN_FLUSH_MS)) : ms);
  }

  async function writeBatch(): Promise<void> {
    timer = undefined;
    underWay = pending.take(batchSize.now());
    const jobs = underWay.length;
    const start = performance.now();
    try {
      await writeOrSplit();
      failures = 0;
      batchSize.succeeded(jobs, performance.now() - start);
    } catch (thrown) {
      takeBack(asStoreError(thrown));
    } finally {
      underWay = [];
      writing = undefined;
      dropped.afterWrite(failures === 0);
      waiters.settle();
      schedule();
    }
  }

  /** After a failed write: what was not stored waits again, behind the others, in smaller company. */
  function takeBack(error: JobStatusError): void {
    const failed = underWay;
    underWay = [];
    for (const entry of failed) add(entry);
    // Let go of by `close`, whose waiters were told already.
    if (closed && waiters.count() === 0) return;
    failures += 1;
    counts.retried += 1;
    batchSize.failed(failed.length);
    failedAt = performance.now();
    rest(restAfter(error, failures, backoff, MAX_ASKED_MS));
    tell(error, failed.map(updateOf));
  }

  /** Writes what is under way; what remains of it when this throws is what was not stored. */
  async function writeOrSplit(): Promise<void> {
    const jobs = underWay.length;
    const refusedBefore = counts.refused;
    let isSplit = false;
    const parts = [underWay];
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      try {
        await write(part.map(updateOf));
        counts.written += part.length;
      } catch (error) {
        if (codeOf(error) !== 'ERR_STORE_REFUSED') throw error;
        if (part.length > 1) {
          isSplit = true;
          const half = Math.ceil(part.length / 2);
          parts.push(part.slice(half), part.slice(0, half));
          continue;
        }
        counts.refused += 1;
        waiters.lose(part);
        tellRefused(error, part.map(updateOf));
      }
      underWay = parts.flat();
    }
    if (isSplit && counts.refused === refusedBefore) batchSize.tooLarge(jobs);
  }

  /** One call of the store. One that is given up may be stored all the same, which does no harm. */
  async function write(updates: readonly StatusUpdate[]): Promise<void> {
    writing = new AbortController();
    const start = performance.now();
    try {
      const limits = { timeoutMs: writeTimeoutMs, sooner: writing.signal };
      await askStore(limits, (signal) => store.write(updates, { signal }));
    } finally {
      lastWriteMs = performance.now() - start;
    }
  }

  function tellRefused(thrown: unknown, updates: readonly StatusUpdate[]): void {
    const { message, cause = thrown } = asStoreError(thrown);
    const what = `Job ${describe(updates[0]?.jobId)} is refused for good: ${message}`;
    tell(new JobStatusError('ERR_STORE_REFUSED', what, { cause, updates }), updates);
  }

  function tell(error: JobStatusError, updates: readonly StatusUpdate[]): void {
    lastError = error;
    report(error, updates);
  }

  /** The write under way and what waits behind it. */
  function unsaved(): PendingUpdate[] {
    return [...underWay, ...pending.values()];
  }

  function flush(isPatient = false): Promise<void> {
    const flushed = waiters.wait(lastTicket, flushTimeoutMs, () => lastError, isPatient);
    // A store at rest gets its next chance soon: whoever flushes will not wait for long.
    if (!isPatient) rest(restUntil - failedAt);
    schedule();
    return flushed;
  }

  function end(): void {
    closed = true;
    clearTimeout(timer);
    timer = undefined;
    dropped.tell();
    // The answer of a write that still hangs would only hold the process.
    writing?.abort();
  }

  return {
    take(update, since = performance.now()) {
      add({ update, ticket: ++lastTicket, since });
      if (timer === undefined || (failures === 0 && isBatchFull())) schedule();
    },
    flush,
    end,
    async close() {
      closed = true;
      await flush().finally(end);
    },
    stats(heldBack = []) {
      // A job may wait in more than one place.
      const elsewhere = [...underWay, ...heldBack]
        .map(({ update }) => keyOf(update))
        .filter((key) => !pending.has(key));
      const now = performance.now();
      let oldest = now;
      for (const { since } of [...unsaved(), ...heldBack]) oldest = Math.min(oldest, since);
      return {
        pending: pending.size() + new Set(elsewhere).size,
        ...counts,
        dropped: dropped.count(),
        lagMs: Math.round(now - oldest),
        lastError,
      };
    },
  };
}

function updateOf(entry: PendingUpdate): StatusUpdate {
  return entry.update;
}
