/** As many as a write may take however slow its store is. */
const SURE = 500;

/** How long the store may be at one write of more than that, in ms. */
const QUICK_MS = 200;

/**
 * How many jobs the next write may take at most.
 *
 * 500; and up to the full size as many as the store, by its last write, takes 200 ms for (of one that has taken none
 * yet nothing is known). A large write costs least a job, and one that is slow, be it for its values or for the store,
 * is no better for being larger. Once more than 500 have shown to be too many, there are no more again: a store, or
 * what stands in front of it, may have a limit.
 *
 * Halved by each failure: a batch may be too much for its store's time limit, and where one update is the
 * culprit the others get by without it. The first success leaps back to the full size, for most often the
 * store was away; where that very leap fails, each success doubles it instead.
 */
export interface BatchSize {
  readonly now: () => number;
  /** @param jobs how many the write had taken, and for how long it was under way */
  readonly succeeded: (jobs: number, ms: number) => void;
  /** @param jobs how many the write had taken that was refused, though no one of them is */
  readonly tooLarge: (jobs: number) => void;
  /** @param jobs how many the write had taken, or were left of it */
  readonly failed: (jobs: number) => void;
}

export function createBatchSize(full: number): BatchSize {
  let size = full;
  let quick = full;
  let most = full;
  let growth: 'by a leap' | 'has leapt' | 'by doubling' = 'by a leap';

  function tooLarge(jobs: number): void {
    if (jobs > SURE) most = SURE;
  }

  return {
    now: () => Math.min(size, quick, most),
    succeeded(jobs, ms) {
      quick = Math.max(SURE, Math.floor((jobs * QUICK_MS) / ms));
      if (size === full) growth = 'by a leap';
      else if (growth === 'by a leap') growth = 'has leapt';
      size = growth === 'by doubling' ? Math.min(2 * size, full) : full;
    },
    tooLarge,
    failed(jobs) {
      // What was stored meanwhile was smaller, so it is not that the store is away.
      if (growth !== 'by a leap') tooLarge(jobs);
      if (growth === 'has leapt') growth = 'by doubling';
      size = Math.ceil(jobs / 2);
    },
  };
}
