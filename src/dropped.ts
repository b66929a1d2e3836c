import { JobStatusError } from './errors.ts';
import { isFinished } from './phase.ts';
import type { StatusUpdate } from './types.ts';

/** What is given up past `maxPending`: each update is told once, and thousands of them at a time. */
export interface Dropped {
  readonly count: () => number;
  readonly add: (update: StatusUpdate) => void;
  /** Tells of it where it has begun since the last write, or has ended: by one that was stored. */
  readonly afterWrite: (isStored: boolean) => void;
  /** Tells of what is not told yet. */
  readonly tell: () => void;
}

/**
 * @param maxPending the bound past which updates are given up; a tenth of it may wait to be told
 * @param maxBatchSize as many may always wait
 */
export function createDropped(
  { maxPending, maxBatchSize }: { readonly maxPending: number; readonly maxBatchSize: number },
  report: (error: JobStatusError, updates: readonly StatusUpdate[]) => void,
): Dropped {
  const maxUntold = Math.max(maxBatchSize, maxPending / 10);
  let untold: StatusUpdate[] = [];
  let count = 0;
  let countBefore = 0;
  let goesOn = false;

  function tell(): void {
    const updates = untold;
    if (updates.length === 0) return;
    untold = [];
    const ended = updates.filter(({ status }) => isFinished(status)).length;
    const message =
      `${updates.length} updates were given up, ${ended} of them of jobs that had ended: more than ` +
      `${maxPending} jobs wait for the store. reconcile() mends the rows of jobs that the queue still knows`;
    report(new JobStatusError('ERR_UPDATES_DROPPED', message, { updates }), updates);
  }

  return {
    count: () => count,
    add(update) {
      count += 1;
      untold.push(update);
      if (untold.length >= maxUntold) tell();
    },
    afterWrite(isStored) {
      const wentOn = goesOn;
      goesOn = count > countBefore || (wentOn && !isStored);
      countBefore = count;
      if (goesOn !== wentOn) tell();
    },
    tell,
  };
}
