import { conformanceTests } from 'bullmq-job-status/testing';
import { describe, expect, test } from 'vitest';
import type { JobStatusError } from '../../src/errors.ts';
import { BROKEN_STORES, type BrokenStore } from '../support/broken-stores/index.ts';

/* That the kit tells of the mistakes that authors of stores make, and says which they are. */

const SEED = 7;
const RUNS = 50;

interface Failure {
  readonly test: string;
  readonly error: JobStatusError;
}

/** What of the kit fails on a store. @param begin how the names of the tests begin that are run */
async function failuresOf(
  { createStore, capabilities }: BrokenStore,
  begin: string,
): Promise<Failure[]> {
  const failures: Failure[] = [];
  for (const { name, run } of conformanceTests({
    createStore,
    capabilities,
    seed: SEED,
    runs: RUNS,
  })) {
    if (!name.startsWith(begin)) continue;
    await run().catch((error: unknown) =>
      failures.push({ test: name, error: error as JobStatusError }),
    );
  }
  return failures;
}

/** A message without what is drawn by lot, or depends on where this checkout lies. */
function steady(message: string): string {
  return message
    .replaceAll(/kit-[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, 'kit-…')
    .replaceAll(/stack: '(?:[^'\\]|\\.)*'(?:\.\.\. \d+ more characters)?/g, "stack: '…'");
}

const tellsOf = ({ shows }: BrokenStore, message: string) =>
  typeof shows === 'string' ? message.includes(shows) : shows.test(message);

async function expectTold(broken: BrokenStore): Promise<void> {
  const { law, by = '', shortest } = broken;
  const failures = await failuresOf(broken, `${law}: ${by}`);
  expect(failures, `no test of the law of ${law} fails`).not.toEqual([]);
  const telling = failures.filter(({ error }) => tellsOf(broken, error.message));
  expect(telling, failures.map(({ error }) => error.message).join('\n\n')).not.toEqual([]);
  for (const { error } of telling) {
    expect(error).toMatchObject({ code: 'ERR_LAW_BROKEN', name: 'JobStatusError' });
    expect(error.message).toContain(`The law of ${law} is broken. `);
    expect(error.message).toContain(`Drawn with seed ${SEED}, runs ${RUNS}.`);
  }
  if (shortest === undefined) return;
  for (const { error } of telling) {
    expect(error.message).toContain('The shortest history that shows it');
    expect(error.updates.length).toBeGreaterThanOrEqual(shortest);
  }
  expect(Math.min(...telling.map(({ error }) => error.updates.length))).toBe(shortest);
}

describe('a store is caught in which', { timeout: 30_000 }, () => {
  test.each(BROKEN_STORES)('$mistake (law of $law)', expectTold);
});

/** Those that authors make most. */
const COMMON = [
  'the last write wins',
  'a row is read, and written a moment later',
  'of a batch no more than 500 are written',
  'queues are mixed: rows are kept by the id alone',
  'seconds are kept for milliseconds',
  'a finished row never changes again',
  'falsy values are lost (`result || null`)',
  'what a write fails with is swallowed',
  'times are kept as clocks on the wall have them',
  'progress is merged deep into what was reported before',
  '`updatedAt` decides which is newer',
  'each failure that is told again counts an attempt up',
  'a write resolves once the first chunk of it is stored',
  'get gives the very row that is kept',
  'the cursor counts rows, so that pages shift while rows come and go',
];

const brokenIn = (mistake: string) => BROKEN_STORES.find((each) => each.mistake === mistake)!;

describe('every test of the kit, twice, on a store in which', { timeout: 60_000 }, () => {
  test.each(COMMON)('%s', async (mistake) => {
    const broken = brokenIn(mistake);
    const run = async () => {
      const failures = await failuresOf(broken, '');
      for (const { error } of failures) expect(error.code).toBe('ERR_LAW_BROKEN');
      return failures.map(({ test, error }) => [test, steady(error.message)]);
    };
    const first = await run();
    expect(first).not.toEqual([]);
    expect(await run()).toEqual(first);
  });
});

describe('the message', () => {
  const messageOf = async (mistake: string) => {
    const broken = brokenIn(mistake);
    const failures = await failuresOf(broken, `${broken.law}: ${broken.by ?? ''}`);
    const { error } = failures.find(({ error }) => tellsOf(broken, error.message))!;
    return steady(error.message);
  };

  test('tells the law, the shortest history, what differs, and the seed', async () => {
    expect(await messageOf('the last write wins')).toMatchInlineSnapshot(`
      "The law of Order is broken. Which of two snapshots is newer is read off the two alone, whichever comes first.
      The shortest history that shows it, each in a write of its own, one after the other:
        (times in ms after 2026-01-01T00:00:00.000Z)
           status     attempt  createdAt  processedOn  finishedOn  sequence  attemptsMade  result        attemptEndedOn
        1  completed  1        0          0            0           1         1             { ok: true }  0
        2  active     1        0          0            -           0         0             -             -
      What the store has of it is not what mergeStatus makes of it:
        status: expected 'completed', got 'active'
        attemptsMade: expected 1, got 0
        result: expected { ok: true }, got null
        finishedOn: expected 1767225600000, got null
        attemptEndedOn: expected 1767225600000, got null
        sequence: expected 1767225600000001, got 1767225600000000
        completedAt: expected 2026-01-01T00:00:00.002Z, got null
      Drawn with seed 7, runs 50."
    `);
  });

  test('tells of a finished row that never changes again', async () => {
    expect(await messageOf('a finished row never changes again')).toMatchInlineSnapshot(`
      "The law of Status is broken. The status is that of the newest snapshot: a finished job that runs again is finished no more.
      The shortest history that shows it, each in a write of its own, one after the other:
        (times in ms after 2026-01-01T00:00:00.000Z)
           status     attempt  createdAt  processedOn  finishedOn  sequence  result        attemptEndedOn  updatedAt
        1  completed  1        0          1            2           2000      { ok: true }  2               2
        2  active     2        0          13           -           13000     -             -               13
      What the store has of it is not what mergeStatus makes of it:
        status: expected 'active', got 'completed'
        attempt: expected 2, got 1
        result: expected null, got { ok: true }
        processedOn: expected 1767225600013, got 1767225600001
        finishedOn: expected null, got 1767225600002
        attemptEndedOn: expected null, got 1767225600002
        updatedAt: expected 2026-01-01T00:00:00.013Z, got 2026-01-01T00:00:00.002Z
        sequence: expected 1767225600013000, got 1767225600002000
        attemptStartedAt: expected 2026-01-01T00:00:00.013Z, got 2026-01-01T00:00:00.001Z
        completedAt: expected null, got 2026-01-01T00:00:00.002Z
      Drawn with seed 7, runs 50."
    `);
  });

  test('tells of values that are lost', async () => {
    expect(await messageOf('falsy values are lost (`result || null`)')).toMatchInlineSnapshot(`
      "The law of Values is broken. What a job holds is read as it was written.
      The shortest history that shows it, each in a write of its own, one after the other:
        (times in ms after 2026-01-01T00:00:00.000Z)
           status     attempt  createdAt  processedOn  finishedOn  sequence  result
        1  completed  1        0          1            3           3000      0
      What the store has of it is not what mergeStatus makes of it:
        result: expected 0, got null
      Drawn with seed 7, runs 50."
    `);
  });

  test('tells of times that pass through a clock on the wall', async () => {
    const message = await messageOf('times are kept as clocks on the wall have them');
    expect(message).toMatchInlineSnapshot(`
      "The law of Time is broken. In every row createdAt < startedAt <= attemptStartedAt < completedAt, failedAt or cancelledAt, exact to the millisecond.
      The shortest history that shows it, all in one write:
        (times in ms after 2026-11-01T09:30:00.007Z)
           status     attempt  createdAt  processedOn  finishedOn  sequence         delayedUntil              updatedAt
        1  completed  1        0          3            5           -26299800005000  2026-11-01T09:30:00.008Z  4
      What the store has of it is not what mergeStatus makes of it:
        delayedUntil: expected 2026-11-01T09:30:00.008Z, got 2026-11-01T08:30:00.008Z
        createdAt: expected 2026-11-01T09:30:00.007Z, got 2026-11-01T08:30:00.007Z
        updatedAt: expected 2026-11-01T09:30:00.011Z, got 2026-11-01T08:30:00.011Z
        startedAt: expected 2026-11-01T09:30:00.009Z, got 2026-11-01T08:30:00.009Z
        attemptStartedAt: expected 2026-11-01T09:30:00.010Z, got 2026-11-01T08:30:00.010Z
        completedAt: expected 2026-11-01T09:30:00.012Z, got 2026-11-01T08:30:00.012Z
      Drawn with seed 7, runs 50."
    `);
  });

  test('tells of writers that cross', async () => {
    const message = await messageOf('a row is read, and written a moment later');
    expect(message).toMatchInlineSnapshot(`
      "The law of Atomicity is broken. Reading a row, merging and writing it is one step: nobody comes between.
      The shortest history that shows it, each in a write of its own, all at once:
        (times in ms after 2026-01-01T00:00:00.000Z)
           status  attempt  createdAt  processedOn  finishedOn  sequence           worker      updatedAt
        1  active  2        0          -896         -           903001             'host-900'  -896
        2  active  2        0          -896         -           -7232774399096998  'host900'   5
      What the store has of it is not what mergeStatus makes of it:
        worker: expected 'host-900', got 'host900'
        updatedAt: expected 2025-12-31T23:59:59.104Z, got 2026-01-01T00:00:00.005Z
        sequence: expected 1767225600903001, got -7232774399096998
      Drawn with seed 7, runs 50."
    `);
  });

  test('tells of attempts that are lost', async () => {
    const message = await messageOf('earlier attempts are lost when the row moves on');
    expect(message).toMatchInlineSnapshot(`
      "The law of Attempts is broken. All attempts of a job are kept beside its row, by the same law.
      The shortest history that shows it, each in a write of its own, one after the other:
        (times in ms after 2026-01-01T00:00:00.000Z)
           status   attempt  createdAt  processedOn  finishedOn  sequence
        1  waiting  1        0          1            -           2000
        2  active   2        0          3            -           3000
      What the store has of it is not what mergeStatus makes of it:
        attempts: expected [ { attempt: 1, outcome: 'failed', startedAt: 2026-01-01T00:00:00.001Z, endedAt: 2026-01-01T00:00:00.002Z, error: { name: 'RangeError', message: 'attempt 1 failed', stack: '…' }, worker: 'host0' }, { attempt: 2, outcome: 'active', startedAt: 2026-01-01T00:00:00.003Z, endedAt: null, error: null, worker: 'host0' } ], got [ { attempt: 2, outcome: 'active', startedAt: 2026-01-01T00:00:00.003Z, endedAt: null, error: null, worker: 'host0' } ]
      Drawn with seed 7, runs 50."
    `);
  });

  test('tells of an earlier start that is lost', async () => {
    const message = await messageOf('an earlier start is lost when a newer attempt comes');
    expect(message).toMatchInlineSnapshot(`
      "The law of Merge is broken. The newer snapshot's facts stand, whole; of an older one of the same job an earlier start is kept. Batches may be cut anywhere.
      The shortest history that shows it, each in a write of its own, one after the other:
        (times in ms after 2026-01-01T00:00:00.000Z)
           status  attempt  createdAt  processedOn  finishedOn  sequence  firstProcessedOn
        1  active  1        0          1            -           1000      1
        2  active  2        0          3            -           3000      3
      What the store has of it is not what mergeStatus makes of it:
        firstProcessedOn: expected 1767225600001, got 1767225600003
        startedAt: expected 2026-01-01T00:00:00.001Z, got 2026-01-01T00:00:00.003Z
      Drawn with seed 7, runs 50."
    `);
  });
});

test('the common ones are all there, and every mistake stands once', () => {
  const mistakes = BROKEN_STORES.map(({ law, mistake }) => `${law}: ${mistake}`);
  expect(new Set(mistakes).size).toBe(mistakes.length);
  expect(COMMON.map(brokenIn)).not.toContain(undefined);
});
