import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergeStatus, mergeUpdates } from '../../src/merge.ts';
import type { JobStatus, StatusUpdate } from '../../src/types.ts';
import { CANONICAL, CANONICAL_OF_QUEUES } from '../../src/testing/canonical.ts';
import { JobHistory, START } from '../../src/testing/histories.ts';
import { attemptsOf, broken, permutations } from '../../src/testing/law.ts';
import {
  randomHistory,
  randomHistoryOfQueues,
  randomHistoryOfWorkers,
} from '../../src/testing/random-histories.ts';

/** Folds snapshots into a row, and holds every row on the way against the time law. */
function fold(snapshots: readonly StatusUpdate[]): JobStatus {
  let row: JobStatus | undefined;
  for (const snapshot of snapshots) {
    row = mergeStatus(row, snapshot);
    const faults = broken(row);
    if (faults.length > 0) throw new Error(`${faults.join(', ')}: ${JSON.stringify(row)}`);
  }
  if (row === undefined) throw new Error('a history has at least one snapshot');
  return row;
}

const RUNS = 2_000;

describe('every order of a history ends in the same lawful row', () => {
  for (const [name, tell] of Object.entries({ ...CANONICAL, ...CANONICAL_OF_QUEUES })) {
    const { snapshots } = tell();

    test(`${name}: all permutations of ${snapshots.length} snapshots`, () => {
      const expected = JSON.stringify(fold(snapshots));
      for (const order of permutations(snapshots))
        expect(JSON.stringify(fold(order))).toBe(expected);
    });

    test(`${name}: with any one snapshot told twice`, () => {
      const expected = JSON.stringify(fold(snapshots));
      for (const repeated of snapshots) {
        for (const order of withRepeated(snapshots, repeated)) {
          expect(JSON.stringify(fold(order))).toBe(expected);
        }
      }
    });

    test(`${name}: the attempts too`, () => {
      const expected = JSON.stringify(attemptsOf(snapshots));
      for (const order of permutations(snapshots))
        expect(JSON.stringify(attemptsOf(order))).toBe(expected);
    });
  }

  for (const [name, tell] of Object.entries(CANONICAL)) {
    test(`${name}: the row is the last snapshot's facts`, () => {
      const { snapshots } = tell();
      const { earlierAttempts: _, ...last } = snapshots.at(-1)!;
      expect(fold(snapshots)).toMatchObject({ ...last, firstProcessedOn: expect.any(Number) });
    });
  }
});

describe('random histories: skewed clocks, equal milliseconds, retries by hand, ids used again', () => {
  test('any shuffle, with any repeated and the row on the way always lawful, ends in the same row', () => {
    fc.assert(
      fc.property(shuffled(randomHistory), ({ history, order }) => {
        const told = [...order, ...order.slice(0, 3)];
        expect(fold(told)).toEqual(fold(history));
        expect(attemptsOf(told)).toEqual(attemptsOf(history));
      }),
      { numRuns: RUNS },
    );
  });

  test("as workers tell it, the row is the last snapshot's facts", () => {
    fc.assert(
      fc.property(randomHistoryOfWorkers, (history) => {
        const { earlierAttempts: _, ...last } = history.at(-1)!;
        expect(fold(history)).toMatchObject({ ...last, firstProcessedOn: expect.anything() });
      }),
      { numRuns: RUNS },
    );
  });

  test('once somebody has looked at the queue, the row stands where the job does', () => {
    fc.assert(
      fc.property(randomHistoryOfQueues, (history) => {
        const { status } = fold(history.look(1).snapshots);
        const { state = 'removed' } = history;
        expect(status === 'cancelled' ? state : status).toBe(state);
      }),
      { numRuns: RUNS },
    );
  });

  test('any cut into batches, coalesced first, ends in the same row', () => {
    fc.assert(
      fc.property(
        shuffled(randomHistory),
        fc.infiniteStream(fc.integer({ min: 1, max: 5 })),
        ({ history, order }, sizes) => {
          const batches: StatusUpdate[] = [];
          for (let at = 0; at < order.length;) {
            const size = sizes.next().value as number;
            batches.push(order.slice(at, at + size).reduce(mergeUpdates));
            at += size;
          }
          expect(fold(batches)).toEqual(fold(history));
          expect(attemptsOf(batches)).toEqual(attemptsOf(history));
        },
      ),
      { numRuns: RUNS },
    );
  });

  test('with any snapshots lost, a shuffle of the rest ends in the same lawful row', () => {
    fc.assert(
      fc.property(
        shuffled(randomHistory),
        fc.infiniteStream(fc.boolean()),
        ({ history, order }, dice) => {
          const lost = new Set(history.filter(() => dice.next().value as boolean));
          const rest = (snapshots: readonly StatusUpdate[]) =>
            snapshots.filter((each) => !lost.has(each));
          fc.pre(lost.size < history.length);
          expect(fold(rest(order))).toEqual(fold(rest(history)));
          expect(attemptsOf(rest(order))).toEqual(attemptsOf(rest(history)));
        },
      ),
      { numRuns: RUNS },
    );
  });

  test('mergeStatus changes neither of its arguments', () => {
    fc.assert(
      fc.property(shuffled(randomHistory), ({ order }) => {
        order.forEach((snapshot) => Object.freeze(snapshot));
        let row: JobStatus | undefined;
        for (const snapshot of order) row = Object.freeze(mergeStatus(row, snapshot));
      }),
    );
  });
});

describe('times', () => {
  test('a job that starts and ends in the millisecond it was added in gets 1 ms for each step', () => {
    const row = fold(new JobHistory().start(0).complete(0).snapshots);
    expect(row.createdAt.getTime()).toBe(START);
    expect(row.startedAt?.getTime()).toBe(START + 1);
    expect(row.completedAt?.getTime()).toBe(START + 2);
    expect([row.processedOn, row.finishedOn]).toEqual([START, START]);
  });

  test('a start nobody saw is inferred, and gives way to the real one', () => {
    const [active, completed] = new JobHistory().start(50).complete().snapshots as [
      StatusUpdate,
      StatusUpdate,
    ];
    const unseen = { ...completed, processedOn: null, firstProcessedOn: null };
    const inferred = mergeStatus(undefined, unseen);
    expect(inferred).toMatchObject({ startedAt: new Date(START + 1), startedAtInferred: true });
    expect(mergeStatus(inferred, active)).toMatchObject({
      startedAt: new Date(START + 50),
      startedAtInferred: false,
    });
  });

  test('a job added with a future timestamp is lawful, and its raw readings stay as they were', () => {
    const [active, completed] = new JobHistory().start().complete().snapshots as [
      StatusUpdate,
      StatusUpdate,
    ];
    const future = new Date(START + 1_000_000);
    const row = fold([active, completed].map((snapshot) => ({ ...snapshot, createdAt: future })));
    expect(row.completedAt?.getTime()).toBe(future.getTime() + 2);
    expect(row.finishedOn).toBe(START + 2);
  });

  test('the first start is kept across retries, the attempt has its own', () => {
    const row = fold(new JobHistory().start(5).fail(1, 0).start(10).complete().snapshots);
    expect(row.startedAt?.getTime()).toBe(START + 5);
    expect(row.attemptStartedAt?.getTime()).toBe(START + 16);
  });

  test('an id used again does not inherit the start of the job before', () => {
    const row = fold(
      new JobHistory().start(5).complete().addAgain(10).start(7).complete().snapshots,
    );
    expect(row.startedAt?.getTime()).toBe(START + 23);
    expect(row.firstProcessedOn).toBe(row.processedOn);
  });

  test('of one attempt the later phase is newer, whatever the sequence', () => {
    const [active, waiting] = new JobHistory().start().fail(1, 0).snapshots as [
      StatusUpdate,
      StatusUpdate,
    ];
    const late = { ...active, sequence: waiting.sequence + 1 };
    expect(fold([waiting, late])).toMatchObject({ status: 'waiting', sequence: waiting.sequence });
    expect(fold([late, waiting]).status).toBe('waiting');
  });

  test('a finished job that is retried is no longer finished', () => {
    const row = fold(new JobHistory().start().fail().retryByHand(10).start().snapshots);
    expect(row).toMatchObject({ status: 'active', attempt: 2, failedAt: null, finishedOn: null });
  });
});

describe('a start that was read long before the queue answered', () => {
  const [active, completed] = new JobHistory().start().complete().snapshots as [
    StatusUpdate,
    StatusUpdate,
  ];
  const held = { processedOn: START - 8_000, firstProcessedOn: START - 8_000 };
  const waiting: StatusUpdate = {
    ...active,
    status: 'waiting',
    attempt: 0,
    processedOn: null,
    firstProcessedOn: null,
    queuedOn: START,
  };

  test('comes after the job was seen waiting all the same', () => {
    const started = { ...active, ...held };
    expect(fold([waiting, started])).toMatchObject({ status: 'active' });
    expect(fold([started, waiting])).toMatchObject({ status: 'active' });
    for (const order of permutations([waiting, started, { ...completed, ...held }]))
      expect(fold(order)).toMatchObject({ status: 'completed' });
  });

  test('and the job retried with its counters reset, seen waiting 5 s after its end, waits', () => {
    const retried = { ...waiting, queuedOn: START + 6_000 };
    for (const order of permutations([active, completed, retried]))
      expect(fold(order)).toMatchObject({ status: 'waiting', completedAt: null });
  });
});

describe('the limits of the law', () => {
  test('a reset retry is newer once its start reads more than 5 s later, whatever the clocks', () => {
    const retriedAfter = (ms: number, skew: number) =>
      fold(
        new JobHistory().start(0).fail(0, 0).start(0).fail(0).retryByHand(ms, true).start(0, skew)
          .snapshots,
      ).status;
    expect(retriedAfter(5_001, 0)).toBe('active');
    expect(retriedAfter(5_000, 0)).toBe('failed');
    // Between hosts, what the clocks differ by comes on top.
    expect(retriedAfter(7_501, -2_500)).toBe('active');
    expect(retriedAfter(7_500, -2_500)).toBe('failed');
  });
});

function shuffled(histories: fc.Arbitrary<StatusUpdate[]>) {
  return histories.chain((history) =>
    fc
      .shuffledSubarray(history, { minLength: history.length, maxLength: history.length })
      .map((order) => ({ history, order })),
  );
}

/**
 * Every order in which one is told twice; of six and more, for time's sake, those in which it is first or last,
 * and of seven each fifth of them.
 */
function* withRepeated(
  snapshots: readonly StatusUpdate[],
  repeated: StatusUpdate,
): Generator<readonly StatusUpdate[]> {
  if (snapshots.length < 6) return yield* permutations([...snapshots, repeated]);
  let at = 0;
  for (const order of permutations(snapshots)) {
    if (snapshots.length > 6 && at++ % 5 > 0) continue;
    yield [repeated, ...order];
    yield [...order, repeated];
  }
}
