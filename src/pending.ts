import { keyOf } from './key.ts';
import { mergeUpdates } from './merge.ts';
import { isFinished } from './phase.ts';
import type { StatusUpdate } from './types.ts';

/** What waits of one job. */
export interface WaitingUpdate {
  readonly update: StatusUpdate;
  /** When the oldest one folded in was taken, by the clock that nobody sets (`performance.now`), in ms. */
  readonly since: number;
}

/** What waits to be written. */
export interface PendingUpdate extends WaitingUpdate {
  /** Rises with each update taken; that of the oldest one folded in, so that a flush knows its own. */
  readonly ticket: number;
}

/** The updates that wait for their write, one for each job. */
export interface PendingUpdates {
  size(): number;
  has(key: string): boolean;
  values(): Iterable<PendingUpdate>;
  /** Adds an entry. @returns whether it was folded into one that waits, and what the bound cost */
  add(entry: PendingUpdate): { coalesced: boolean; evicted: PendingUpdate | undefined };
  /** Takes out the entries that are first in line, `count` at most. */
  take(count: number): PendingUpdate[];
}

/**
 * First come, first out; bounded.
 *
 * Updates of one job coalesce by the law of `mergeUpdates`, so what waits is always enough to bring
 * the row to the truth. Past the bound, jobs that are still under way go before finished ones, for
 * their truth is still to come.
 */
export function createPendingUpdates(maxSize: number): PendingUpdates {
  let entries = new Map<string, PendingUpdate>();
  /** Keys of the entries that are not finished, in the same order: those to give up first. */
  let unfinished = new Set<string>();

  function remove(key: string): PendingUpdate | undefined {
    const entry = entries.get(key);
    entries.delete(key);
    unfinished.delete(key);
    return entry;
  }

  function evict(): PendingUpdate | undefined {
    if (entries.size <= maxSize) return undefined;
    const [first = ''] = unfinished.size > 0 ? unfinished : entries.keys();
    return remove(first);
  }

  /** New maps cost nothing; what ever stood in a long-lived one outlives its first garbage collections. */
  function takeAll(): PendingUpdate[] {
    const taken = [...entries.values()];
    entries = new Map();
    unfinished = new Set();
    return taken;
  }

  return {
    size: () => entries.size,
    has: (key) => entries.has(key),
    values: () => entries.values(),
    add(entry) {
      const key = keyOf(entry.update);
      const waiting = entries.get(key);
      const folded = waiting === undefined ? entry : fold(waiting, entry);
      // A key that is there keeps its place, so a job that reports often is not put off for ever.
      entries.set(key, folded);
      if (isFinished(folded.update.status)) unfinished.delete(key);
      else unfinished.add(key);
      return { coalesced: waiting !== undefined, evicted: evict() };
    },
    take(count) {
      if (count >= entries.size) return takeAll();
      const taken: PendingUpdate[] = [];
      for (const key of entries.keys()) {
        if (taken.length === count) break;
        taken.push(remove(key) as PendingUpdate);
      }
      return taken;
    },
  };
}

function fold(a: PendingUpdate, b: PendingUpdate): PendingUpdate {
  return {
    update: mergeUpdates(a.update, b.update),
    ticket: Math.min(a.ticket, b.ticket),
    since: Math.min(a.since, b.since),
  };
}
