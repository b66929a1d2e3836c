import { JobStatusError } from '../errors.ts';
import type { StatusUpdate } from '../types.ts';
import type { Kit } from './kit.ts';

/* What a test says that fails: the law by its name, what broke it, and how to draw the same again. */

/** What a test of the kit is about. */
export type Law =
  | 'Snapshot'
  | 'Order'
  | 'Merge'
  | 'Repetition'
  | 'Loss'
  | 'Time'
  | 'Status'
  | 'Values'
  | 'Keys'
  | 'Batches'
  | 'Atomicity'
  | 'Delivery'
  | 'Isolation'
  | 'Attempts'
  | 'List'
  | 'Count'
  | 'Delete'
  | 'Prune';

/** Each law in one sentence. Tests are named by them, and a failure says which was broken. */
const LAWS: Readonly<Record<Law, string>> = {
  Snapshot: 'Any one snapshot of a job is enough to insert its row.',
  Order: 'Which of two snapshots is newer is read off the two alone, whichever comes first.',
  Merge:
    "The newer snapshot's facts stand, whole; of an older one of the same job an earlier start is kept. Batches may be cut anywhere.",
  Repetition: 'What is told again changes nothing.',
  Loss: 'Whatever snapshots are lost, the row is lawful, and tells an older truth at worst.',
  Time: 'In every row createdAt < startedAt <= attemptStartedAt < completedAt, failedAt or cancelledAt, exact to the millisecond.',
  Status:
    'The status is that of the newest snapshot: a finished job that runs again is finished no more.',
  Values: 'What a job holds is read as it was written.',
  Keys: 'A row belongs to one queue and one id, compared character by character.',
  Batches: 'Of a batch of any size every job is stored, and each job once.',
  Atomicity: 'Reading a row, merging and writing it is one step: nobody comes between.',
  Delivery: 'What write has resolved for is stored; what is not stored it rejects.',
  Isolation: "What a store was given, and what it gave, is the caller's own to change.",
  Attempts: 'All attempts of a job are kept beside its row, by the same law.',
  List: 'Rows that match come newest first, page by page, each once, whatever changes meanwhile.',
  Count: 'The rows that match are counted, and no others.',
  Delete: 'What matches is deleted, and nothing else, and never everything by accident.',
  Prune: 'Rows of jobs that ended long ago are deleted, and no others.',
};

/**
 * @param lines what came instead, or what broke it
 * @param history the snapshots that show it
 * @param cause what the store threw
 */
export function broken(
  law: Law,
  kit: Kit,
  lines: readonly string[],
  history: readonly StatusUpdate[] = [],
  cause?: unknown,
): JobStatusError {
  const title = `The law of ${law} is broken. ${LAWS[law]}`;
  const message = [title, ...lines, `Drawn with seed ${kit.seed}, runs ${kit.runs}.`].join('\n');
  return new JobStatusError('ERR_LAW_BROKEN', message, { updates: history, cause });
}

/** Fails unless a list of what is wrong is empty. */
export function expectNothing(law: Law, kit: Kit, what: string, wrong: readonly string[]): void {
  if (wrong.length > 0) throw broken(law, kit, [`${what}:`, ...indent(wrong.slice(0, MAX_LINES))]);
}

/** How many lines of what is wrong are shown: they tend to say the same. */
export const MAX_LINES = 12;

export function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
