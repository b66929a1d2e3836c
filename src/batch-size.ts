/**
 * How many jobs the next write may take at most.
 *
 * Halved by each failure: a batch may be too much for its store's time limit, and where one update is the
 * culprit the others get by without it. The first success leaps back to the full size, for most often the
 * store was away; where that very leap fails, each success doubles it instead.
 */
export interface BatchSize {
  readonly now: () => number;
  readonly succeeded: () => void;
  /** @param jobs how many the write had taken, or were left of it */
  readonly failed: (jobs: number) => void;
}

export function createBatchSize(full: number): BatchSize {
  let size = full;
  let growth: 'by a leap' | 'has leapt' | 'by doubling' = 'by a leap';

  return {
    now: () => size,
    succeeded() {
      if (size === full) growth = 'by a leap';
      else if (growth === 'by a leap') growth = 'has leapt';
      size = growth === 'by doubling' ? Math.min(2 * size, full) : full;
    },
    failed(jobs) {
      if (growth === 'has leapt') growth = 'by doubling';
      size = Math.ceil(jobs / 2);
    },
  };
}
