import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { StatusFilter, StatusStore } from '../store.ts';
import type { JobKey, StatusUpdate } from '../types.ts';

/** The methods that a store may do without. */
export type OptionalMethod = 'attempts' | 'list' | 'count' | 'delete' | 'prune';

/** What a store does beside `write` and `get`, where the methods it has don't say it all. */
export interface StoreCapabilities {
  /** Whether it must have the method, or its tests are left out. @default tested where the store has it */
  readonly attempts?: boolean | undefined;
  readonly list?: boolean | undefined;
  readonly count?: boolean | undefined;
  readonly delete?: boolean | undefined;
  readonly prune?: boolean | undefined;
  /**
   * Whether stores that are made one after the other have the same rows, as those of a database have. Then no
   * writer may undo another's. Two stores of one process are tried: a lock that only this process knows passes,
   * and is wrong all the same. @default tested where they have
   */
  readonly shared?: boolean | undefined;
  /**
   * The conditions that `list`, `count` and `delete` know, `queue` among them. Each of the others must be
   * refused: ignored, it would match rows that nobody asked for. Trackers ask by `queue` and `jobId`, and
   * `reconcile` by `status`, `finishedFrom` and `updatedBefore`, too. @default all of them
   */
  readonly filters?: readonly (keyof StatusFilter)[] | undefined;
}

/** What the tests of the kit are given. */
export interface Kit {
  /** What all that is random is drawn from. */
  readonly seed: number;
  /** How many random histories there are. */
  readonly runs: number;
  readonly capabilities: StoreCapabilities;
  /** A store, to be closed after the test. */
  open(): Promise<StatusStore>;
  /** One whose database is out of reach, where its author makes such. */
  readonly openUnavailable: (() => Promise<StatusStore>) | undefined;
}

/** One test, named by the law that it is about. */
export interface LawTest {
  readonly name: string;
  /** What the test needs of the store beside `write` and `get`. */
  readonly needs?: OptionalMethod;
  /** @returns whether there was anything to test, where that depends on the store or the process */
  readonly run: (kit: Kit) => Promise<void> | Promise<'not there' | undefined>;
}

let last: Promise<unknown> = Promise.resolve();

/** One at a time, for tests that reach beyond their own queues, where a runner runs many at once. */
export function alone<T>(run: () => Promise<T>): Promise<T> {
  const turn = last.then(run);
  last = turn.catch(() => {});
  return turn;
}

/** Whether what is asked of a store is rejected, or throws. */
export async function isRefused(ask: () => Promise<unknown> | undefined): Promise<boolean> {
  try {
    await ask();
    return false;
  } catch {
    return true;
  }
}

/** The name of a queue that nobody else has, in a database that many runs share. */
export function newQueue(): string {
  return `kit-${randomUUID()}`;
}

/** The same snapshots of a job of another key. */
export function keyed(snapshots: readonly StatusUpdate[], key: JobKey): StatusUpdate[] {
  const { queue, jobId } = key;
  return snapshots.map((snapshot) => ({ ...snapshot, queue, jobId }));
}

/** Orders of a list at random: the same for the same seed. */
export function shuffles<Item>(items: readonly Item[], count: number, seed: number): Item[][] {
  const places = items.map((_, at) => at);
  const order = fc.shuffledSubarray(places, { minLength: places.length });
  return fc
    .sample(order, { seed, numRuns: count })
    .map((shuffled) => shuffled.map((at) => items[at] as Item));
}

/** Whole numbers from 0 to `max` at random: the same for the same seed. */
export function dice(max: number, count: number, seed: number): number[] {
  return fc.sample(fc.nat({ max }), { seed, numRuns: count, unbiased: true });
}

/** Cuts a list into lists of 1 to `max` items, at random. */
export function cut<Item>(items: readonly Item[], max: number, seed: number): Item[][] {
  const parts: Item[][] = [];
  let at = 0;
  for (const size of dice(max - 1, items.length, seed)) {
    if (at >= items.length) break;
    parts.push(items.slice(at, at + size + 1));
    at += size + 1;
  }
  return parts;
}
