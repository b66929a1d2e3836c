import { describe, expect, test } from 'vitest';
import { toAttempts } from '../../src/attempts.ts';
import { mergeUpdates } from '../../src/merge.ts';
import type { AttemptOutcome, JobState } from '../../src/types.ts';
import { CANONICAL, CANONICAL_OF_QUEUES } from '../../src/testing/canonical.ts';
import { JobHistory, START } from '../../src/testing/histories.ts';
import { attemptsOf, foldHistory } from '../../src/testing/law.ts';

/** What each history ends in: the row's status and attempt, and how its attempts ended. */
const ENDS: Readonly<Record<string, readonly [JobState, number, ...AttemptOutcome[]]>> = {
  'a fast job, all within one millisecond': ['completed', 1, 'completed'],
  'a job with progress, and progress after its end': ['completed', 1, 'completed'],
  'one retry': ['completed', 2, 'failed', 'completed'],
  'three attempts on three hosts': ['completed', 3, 'failed', 'failed', 'completed'],
  // Nobody saw how these attempts ended.
  'stalled and run again elsewhere': ['completed', 2, 'lost', 'completed'],
  'delayed by a DelayedError': ['completed', 3, 'lost', 'lost', 'completed'],
  'failed for good': ['failed', 3, 'failed', 'failed', 'failed'],
  'retried by hand after failing': ['completed', 3, 'failed', 'failed', 'completed'],
  'retried by hand, counters reset': ['completed', 1, 'failed', 'failed', 'completed'],
  'an id used again at once': ['completed', 1, 'completed'],
  'seen waiting before it starts, and running, and ended': ['completed', 1, 'completed'],
  'seen by others alone': ['completed', 2, 'requeued', 'completed'],
  'failed, seen delayed, and run again': ['failed', 2, 'failed', 'failed'],
  'put back in silence, seen waiting, and run again elsewhere': [
    'completed',
    2,
    'requeued',
    'completed',
  ],
  'removed as it waited': ['removed', 0],
  'removed as it ran': ['removed', 1, 'lost'],
  'gone before its worker told of the end': ['completed', 1, 'completed'],
  'removed between two attempts, its last end heard': ['completed', 2, 'failed', 'completed'],
  'cancelled as it waited': ['cancelled', 0],
  'cancelled between two attempts': ['active', 1, 'active'],
  'asked to end by two, and failed': ['cancelled', 1, 'cancelled'],
  'asked to end, and completed all the same': ['completed', 1, 'completed'],
  'asked to end, failed, and run again': ['completed', 2, 'failed', 'completed'],
  'retried by hand, seen waiting': ['completed', 2, 'failed', 'completed'],
  'retried by hand, counters reset, seen waiting': ['active', 1, 'failed', 'failed', 'active'],
  'a parent whose children come and go': ['completed', 1, 'completed'],
  'a child, its scheduler, and by what it is deduplicated': ['completed', 1, 'completed'],
};

describe('what histories end in', () => {
  test.each(Object.entries({ ...CANONICAL, ...CANONICAL_OF_QUEUES }))('%s', (name, tell) => {
    const { snapshots } = tell();
    const { status, attempt } = foldHistory(snapshots)!;
    const outcomes = attemptsOf(snapshots).map(({ outcome }) => outcome);
    expect([status, attempt, ...outcomes]).toEqual(ENDS[name]);
  });

  test('the row of a parent names all children that were seen, in the order of their keys', () => {
    const { snapshots } = CANONICAL_OF_QUEUES['a parent whose children come and go']!();
    expect(foldHistory(snapshots)!.children).toEqual([
      { queue: 'child', jobId: '1' },
      { queue: 'child', jobId: '2' },
      { queue: 'other:ch\uFF5E', jobId: '1' },
      { queue: 'other:ch\u{1F600}', jobId: '1' },
    ]);
  });

  test('of two who ask for an end, the first stands in the row', () => {
    const { snapshots } = CANONICAL_OF_QUEUES['asked to end by two, and failed']!();
    // By the clocks of who asked: the second one's is a second behind.
    expect(foldHistory(snapshots)!.cancellation).toMatchObject({ by: 'u2' });
  });

  test('a job that was taken out of its queue was cancelled when that was found', () => {
    const { snapshots } = CANONICAL_OF_QUEUES['cancelled as it waited']!();
    expect(foldHistory(snapshots)).toMatchObject({
      cancelledAt: new Date(START + 60_001),
      removedFrom: 'waiting',
    });
  });
});

describe('times', () => {
  test('an attempt starts 1 ms after the job was added, and ends 1 ms later, at least', () => {
    const [attempt] = attemptsOf(new JobHistory().start(0).complete(0).snapshots);
    expect(attempt).toMatchObject({
      startedAt: new Date(START + 1),
      endedAt: new Date(START + 2),
    });
  });

  test('the first end that was seen of an attempt is its end', () => {
    const { snapshots } = new JobHistory().start().fail(5, 0).look(3);
    const [attempt] = attemptsOf(snapshots);
    expect(attempt).toMatchObject({ outcome: 'failed', endedAt: new Date(START + 6) });
  });

  test('a row knows when its job ended where it is not told of its attempt', () => {
    const told = new JobHistory().start().complete(5).snapshots.reduce(mergeUpdates);
    const [attempt] = toAttempts({ ...told, attemptEndedOn: null }, []);
    expect(attempt).toMatchObject({ endedAt: new Date(START + 6) });
  });
});
