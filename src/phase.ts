import { FINISHED_STATES, type JobFacts, type JobState } from './types.ts';

/** Where a snapshot stands in an attempt: its state, and whence the job went if it is gone. */
export type Standing = Pick<JobFacts, 'status' | 'removedFrom'>;

/** Whether nothing follows this status unless somebody adds or retries the job by hand. */
export function isFinished(status: JobState): boolean {
  return (FINISHED_STATES as readonly JobState[]).includes(status);
}

/**
 * Rule 4 of the law in `merge.ts`, the phases of an attempt in the order in which it passes them: active 0,
 * gone while active 1, ended 2, queued again 3, gone from the queue 4. That a job is gone while it was
 * active says only that nobody saw its end: whoever did has the last word.
 */
export function phaseOf({ status, removedFrom }: Standing): number {
  if (status === 'active') return 0;
  if (!isFinished(status)) return 3;
  if (removedFrom === null) return 2;
  return removedFrom === 'active' ? 1 : 4;
}

/** Whether two snapshots with the same `createdAt` are of one attempt: its number and its raw start. */
export function isSameAttempt(
  a: Pick<JobFacts, 'attempt' | 'processedOn'>,
  b: Pick<JobFacts, 'attempt' | 'processedOn'>,
): boolean {
  return a.attempt === b.attempt && a.processedOn === b.processedOn;
}
