import { describe } from '../errors.ts';
import type { PruneOptions } from '../store.ts';
import { FINISHED_STATES, type FinishedState } from '../types.ts';
import { hasMethods, resolve, unlike, type Rules } from '../validate.ts';
import { TIME } from './query.ts';

/** `PruneOptions`, checked and filled in. */
export interface ResolvedPrune {
  readonly olderThan: Date;
  readonly statuses: readonly FinishedState[];
  readonly signal?: AbortSignal;
}

/** How many rows one step deletes at most: some milliseconds of work. */
export const PRUNE_STEP = 1_000;

const OLDER_THAN = {
  expected: `${TIME.expected}, or an age in ms`,
  holds: (value: unknown) => TIME.holds(toTime(value)),
};

const RULES: Rules = {
  olderThan: OLDER_THAN,
  statuses: {
    expected: `a list of ${FINISHED_STATES.join(', ')}`,
    holds: (value) =>
      Array.isArray(value) && value.every((each) => FINISHED_STATES.includes(each as never)),
    fallback: FINISHED_STATES,
  },
  signal: { expected: 'an AbortSignal', holds: (value) => hasMethods(value, 'throwIfAborted') },
};

/**
 * @throws {InvalidArgumentError} also where `olderThan` is absent: what to delete is never guessed
 */
export function resolvePrune(options: PruneOptions): ResolvedPrune {
  const { olderThan, ...rest } = resolve('options', options, RULES);
  if (olderThan === undefined)
    throw unlike('options.olderThan', OLDER_THAN.expected, describe(olderThan));
  return { olderThan: toTime(olderThan) as Date, ...(rest as Omit<ResolvedPrune, 'olderThan'>) };
}

/** An age, in ms, as the time that lies so far back; anything else as it is. */
function toTime(value: unknown): unknown {
  return typeof value === 'number' && value >= 0 ? new Date(Date.now() - value) : value;
}

/** Takes steps until one finds fewer rows than it may delete. @returns how many they deleted in all */
export async function pruneInSteps(
  { signal }: ResolvedPrune,
  step: () => Promise<number>,
): Promise<number> {
  let pruned = 0;
  for (let found = PRUNE_STEP; found >= PRUNE_STEP; pruned += found) {
    signal?.throwIfAborted();
    found = await step();
  }
  return pruned;
}
