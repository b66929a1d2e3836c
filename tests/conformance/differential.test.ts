import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, expect, inject, test } from 'vitest';
import type { JobAttempt, StatusUpdate } from '../../src/types.ts';
import { JobHistory } from '../../src/testing/histories.ts';
import { attemptsOf, broken, foldHistory } from '../../src/testing/law.ts';
import { randomHistory } from '../../src/testing/random-histories.ts';
import { SEED, tellingSeed } from '../support/seed.ts';
import { asText, readAll } from '../support/rows.ts';
import { STORES, type WholeStore } from '../support/stores.ts';

/*
 * Every store against `mergeStatus`: the same random histories, in an order that no queue would give
 * them, from four writers at once.
 */

const SAMPLE = { seed: SEED, numRuns: 1_000 };

/** Random numbers: the same at every run of one seed. */
function dice(count: number, max: number): number[] {
  return fc.sample(fc.nat(max), { seed: SEED, numRuns: count, unbiased: true });
}

/** What networks and processes do to snapshots: shuffled, some twice, cut into batches of any size. */
function scatter(snapshots: readonly StatusUpdate[], maxSize: number): StatusUpdate[][] {
  const twice = [...snapshots, ...snapshots.filter((_, at) => at % 4 === 0)];
  const places = dice(twice.length, 2 ** 30);
  const order = twice.map((_, at) => at).toSorted((a, b) => places[a]! - places[b]!);
  const batches: StatusUpdate[][] = [];
  for (const size of dice(order.length, maxSize - 1)) {
    batches.push(order.splice(0, size + 1).map((at) => twice[at]!));
    if (order.length === 0) break;
  }
  return batches;
}

async function writeFrom(
  writers: number,
  store: WholeStore,
  batches: readonly StatusUpdate[][],
): Promise<void> {
  const left = batches.values();
  const writer = async () => {
    for (const batch of left) await store.write(batch);
  };
  await Promise.all(Array.from({ length: writers }, writer));
}

/** A job that fails up to 60 times, on two hosts, is looked at and to be cancelled; some are added again at last. */
function historyOfMany(queue: string, n: number): StatusUpdate[] {
  const history = new JobHistory({ queue, id: `${n}` }).look();
  for (let attempt = 1; attempt <= (n % 4 === 0 ? 60 : n); attempt++) {
    history.start(3, attempt % 2 === 0 ? 200 : -200).progress();
    if (attempt % 3 === 0) history.cancel(1, `u${attempt}`);
    history.fail(1, attempt % 2).look();
  }
  if (n % 3 === 0) history.remove().look().addAgain(2).start().fail(1, 0).start();
  return history.snapshots;
}

/** The attempts of many jobs, asked for by ten at once. */
async function attemptsOfEach(
  store: WholeStore,
  histories: readonly (readonly StatusUpdate[])[],
): Promise<JobAttempt[][]> {
  const all: JobAttempt[][] = [];
  const left = histories.entries();
  const reader = async () => {
    for (const [at, [first]] of left) all[at] = await store.attempts(first!);
  };
  await Promise.all(Array.from({ length: 10 }, reader));
  return all;
}

/** Writes one history of the sample alone, one by one, and has fast-check tell the shortest that fails. */
async function failAlone(store: WholeStore, index: number): Promise<void> {
  const alone = fc.asyncProperty(randomHistory, async (snapshots) => {
    for (const order of [snapshots, snapshots.toReversed()]) {
      const told = order.map((each) => ({ ...each, queue: 'alone', jobId: randomUUID() }));
      const keyed = told.map((each) => ({ ...each, jobId: told[0]!.jobId }));
      for (const [at, snapshot] of keyed.entries()) {
        await store.write([snapshot]);
        expect(await store.get(snapshot)).toEqual(foldHistory(keyed.slice(0, at + 1)));
        expect(await store.attempts(snapshot)).toEqual(attemptsOf(keyed.slice(0, at + 1)));
      }
    }
  });
  await fc.assert(alone, { seed: SEED, path: `${index}`, numRuns: 1 });
}

describe.each(Object.entries(STORES))('%s store', (name, createStore) => {
  async function holdHistories(): Promise<void> {
    const store = createStore();
    const queue = `differential-${name}-${randomUUID()}`;
    const histories = fc
      .sample(randomHistory, SAMPLE)
      .map((history, at) => history.map((each) => ({ ...each, queue, jobId: `${at}` })));
    await writeFrom(4, store, scatter(histories.flat(), 300));

    const rows = new Map(
      (await readAll(store, { queue, limit: 1_000 })).map((row) => [row.jobId, row]),
    );
    expect(rows.size).toBe(histories.length);
    // Attempts are read one job at a time, so of each fourth alone.
    const some = histories.filter((_, at) => at % 4 === 0);
    const attempts = await attemptsOfEach(store, some);
    for (const [at, history] of histories.entries()) {
      const row = rows.get(`${at}`)!;
      const beside = at % 4 === 0;
      const is = { row, attempts: beside ? attempts[at / 4] : [], faults: broken(row) };
      const all = beside ? attemptsOf(history) : [];
      const should = { row: foldHistory(history), attempts: all, faults: [] };
      if (asText(is) === asText(should)) continue;
      await failAlone(store, at);
      // It takes the others to fail: then this is all there is to tell.
      expect(is).toEqual(should);
    }
  }

  test(
    '1,000 random histories, written by four at once, are the rows and attempts that mergeStatus folds',
    () => tellingSeed(holdHistories),
    60_000,
  );

  async function holdFewJobs(): Promise<void> {
    const store = createStore();
    const queue = `many-attempts-${name}-${randomUUID()}`;
    const histories = Array.from({ length: 12 }, (_, n) => historyOfMany(queue, n));
    await writeFrom(12, store, scatter(histories.flat(), 10));
    const attempts = await attemptsOfEach(store, histories);
    for (const [at, history] of histories.entries()) {
      const is = { row: await store.get(history[0]!), attempts: attempts[at] };
      const should = { row: foldHistory(history), attempts: attemptsOf(history) };
      if (asText(is) !== asText(should)) expect(is).toEqual(should);
    }
  }

  test(
    'a few jobs of many attempts, of which twelve tell at once, lose none of them',
    () => tellingSeed(holdFewJobs),
    60_000,
  );
});

test.each([
  ['Postgres', () => inject('parts').logFile],
  ['Postgres 15', () => inject('parts').postgres15.logFile],
])('the log of %s knows of no constraint violated, and of no deadlock', async (_, logFile) => {
  const file = logFile();
  // A server that is not ours shows nobody its log.
  if (file === undefined) return;
  const lines = (await readFile(file, 'utf8')).split('\n');
  // In the database of all stores; others have tables in which tests break the law on purpose.
  const errors = lines.filter((line) => / postgres ERROR: /.test(line));
  const faults = /"job_status\w*"|deadlock detected/;
  expect(errors.filter((line) => faults.test(line))).toEqual([]);
});
