import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, expect, inject, test } from 'vitest';
import type { StatusUpdate } from '../../src/types.ts';
import { broken, foldHistory } from '../support/law.ts';
import { randomHistory, SEED, tellingSeed } from '../support/random-histories.ts';
import { asText, readAll } from '../support/rows.ts';
import { STORES, type WholeStore } from '../support/stores.ts';

/*
 * Every store against `mergeStatus`: the same random histories, in an order that no queue would give
 * them, from four writers at once.
 */

const SAMPLE = { seed: SEED, numRuns: 2_000 };

/** Random numbers: the same at every run of one seed. */
function dice(count: number, max: number): number[] {
  return fc.sample(fc.nat(max), { seed: SEED, numRuns: count, unbiased: true });
}

/** What networks and processes do to snapshots: shuffled, some twice, cut into batches of any size. */
function scatter(snapshots: readonly StatusUpdate[]): StatusUpdate[][] {
  const twice = [...snapshots, ...snapshots.filter((_, at) => at % 4 === 0)];
  const places = dice(twice.length, 2 ** 30);
  const order = twice.map((_, at) => at).toSorted((a, b) => places[a]! - places[b]!);
  const batches: StatusUpdate[][] = [];
  for (const size of dice(order.length, 299)) {
    batches.push(order.splice(0, size + 1).map((at) => twice[at]!));
    if (order.length === 0) break;
  }
  return batches;
}

async function writeFromFour(store: WholeStore, batches: readonly StatusUpdate[][]): Promise<void> {
  const left = batches.values();
  const writer = async () => {
    for (const batch of left) await store.write(batch);
  };
  await Promise.all([writer(), writer(), writer(), writer()]);
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
    await writeFromFour(store, scatter(histories.flat()));

    const rows = new Map(
      (await readAll(store, { queue, limit: 1_000 })).map((row) => [row.jobId, row]),
    );
    expect(rows.size).toBe(histories.length);
    for (const [at, history] of histories.entries()) {
      const row = rows.get(`${at}`)!;
      const should = foldHistory(history)!;
      if (asText(row) === asText(should) && broken(row).length === 0) continue;
      await failAlone(store, at);
      // It takes the others to fail: then this is all there is to tell.
      expect({ row, faults: broken(row) }).toEqual({ row: should, faults: [] });
    }
  }

  test(
    '2,000 random histories, written by four at once, are the rows that mergeStatus folds',
    () => tellingSeed(holdHistories),
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
