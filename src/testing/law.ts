import { toAttempts } from '../attempts.ts';
import { mergeStatus, mergeUpdates } from '../merge.ts';
import type { JobAttempt, JobStatus, StatusUpdate } from '../types.ts';

/** The row that the law gives; every store must come to the same. */
export function foldHistory(snapshots: readonly StatusUpdate[]): JobStatus | undefined {
  return snapshots.reduce<JobStatus | undefined>(mergeStatus, undefined);
}

/** The attempts that it gives. */
export function attemptsOf(snapshots: readonly StatusUpdate[]): JobAttempt[] {
  const told = snapshots.reduce(mergeUpdates);
  return toAttempts(told, told.earlierAttempts);
}

/** What of the time law a row breaks: nothing, if it is lawful. */
export function broken(row: JobStatus): string[] {
  const { createdAt, startedAt, attemptStartedAt, completedAt, failedAt, cancelledAt } = row;
  const faults: string[] = [];
  const before = (a: Date | null, b: Date | null, leastMs: number, what: string) => {
    if (b !== null && (a === null || b.getTime() - a.getTime() < leastMs)) faults.push(what);
  };
  before(createdAt, startedAt, 1, 'createdAt < startedAt');
  before(startedAt, attemptStartedAt, 0, 'startedAt <= attemptStartedAt');
  before(attemptStartedAt, completedAt, 1, 'attemptStartedAt < completedAt');
  before(attemptStartedAt, failedAt, 1, 'attemptStartedAt < failedAt');
  before(attemptStartedAt ?? createdAt, cancelledAt, 1, 'attemptStartedAt < cancelledAt');
  if ((startedAt === null) !== (attemptStartedAt === null)) faults.push('both starts or none');
  if ((row.status === 'completed') !== (completedAt !== null))
    faults.push('completedAt if completed');
  if ((row.status === 'failed') !== (failedAt !== null)) faults.push('failedAt if failed');
  if (row.status === 'active' && startedAt === null) faults.push('startedAt if active');
  return faults;
}

/** Every order of a list, by Heap's algorithm. */
export function* permutations<T>(items: readonly T[]): Generator<readonly T[]> {
  const list = [...items];
  const swap = (i: number, j: number) => ([list[i], list[j]] = [list[j] as T, list[i] as T]);
  function* permute(count: number): Generator<readonly T[]> {
    if (count <= 1) {
      yield list;
      return;
    }
    for (let i = 0; i < count - 1; i++) {
      yield* permute(count - 1);
      swap(count % 2 === 0 ? i : 0, count - 1);
    }
    yield* permute(count - 1);
  }
  yield* permute(list.length);
}
