import { keyOf } from './key.ts';
import { isFinished, mergeUpdates } from './merge.ts';
import type { StatusUpdate } from './types.ts';

/** What waits to be written of one job. */
export interface PendingUpdate {
  readonly update: StatusUpdate;
  /** Rises with each update taken; that of the oldest one folded in, so that a flush knows its own. */
  readonly ticket: number;
  /** When the oldest one folded in was taken, in ms since 1970. */
  readonly since: number;
}

/**
 * The updates that wait for their write, one for each job, first come first out; bounded.
 *
 * Updates of one job coalesce by the law of `mergeUpdates`, so what waits is always enough to bring
 * the row to the truth. Past the bound, jobs that are still under way go before finished ones, for
 * their truth is still to come.
 */
export class PendingUpdates {
  readonly #maxSize: number;
  readonly #entries = new Map<string, PendingUpdate>();
  /** Keys of the entries that are not finished, in the same order: those to give up first. */
  readonly #unfinished = new Set<string>();

  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Adds an entry, and returns what became of it and of the bound. */
  add(entry: PendingUpdate): {
    readonly coalesced: boolean;
    readonly dropped: PendingUpdate | undefined;
  } {
    const key = keyOf(entry.update);
    const waiting = this.#entries.get(key);
    const folded = waiting === undefined ? entry : fold(waiting, entry);
    // A key that is there keeps its place, so a job that reports often is not put off for ever.
    this.#entries.set(key, folded);
    if (isFinished(folded.update.status)) this.#unfinished.delete(key);
    else this.#unfinished.add(key);
    return { coalesced: waiting !== undefined, dropped: this.#evict() };
  }

  /** Takes out the entries that are first in line, `count` at most. */
  take(count: number): PendingUpdate[] {
    const taken: PendingUpdate[] = [];
    for (const [key, entry] of this.#entries) {
      if (taken.length === count) break;
      taken.push(entry);
      this.#delete(key);
    }
    return taken;
  }

  values(): Iterable<PendingUpdate> {
    return this.#entries.values();
  }

  #evict(): PendingUpdate | undefined {
    if (this.#entries.size <= this.#maxSize) return undefined;
    const [first = ''] = this.#unfinished.size > 0 ? this.#unfinished : this.#entries.keys();
    const entry = this.#entries.get(first);
    this.#delete(first);
    return entry;
  }

  #delete(key: string): void {
    this.#entries.delete(key);
    this.#unfinished.delete(key);
  }
}

function fold(a: PendingUpdate, b: PendingUpdate): PendingUpdate {
  return {
    update: mergeUpdates(a.update, b.update),
    ticket: Math.min(a.ticket, b.ticket),
    since: Math.min(a.since, b.since),
  };
}
