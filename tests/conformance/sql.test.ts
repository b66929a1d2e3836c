import fc from 'fast-check';
import { migrationSql } from 'bullmq-job-status/migrations';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mergeStatus, mergeUpdates } from '../../src/merge.ts';
import { toStorable } from '../../src/storable.ts';
import { fromRow, toRecord, type Row } from '../../src/stores/row.ts';
import { JOB_STATES, type JobStatus, type StatusUpdate } from '../../src/types.ts';
import { DATABASES, type TestDatabase } from '../support/databases.ts';
import { CANONICAL, JobHistory, START } from '../support/histories.ts';
import { broken, permutations } from '../support/law.ts';
import { anyValue, SEED, tellingSeed } from '../support/random-histories.ts';
import { asText } from '../support/rows.ts';

/*
 * The law stands twice, in TypeScript and in SQL. Here the SQL function alone is held against
 * `mergeStatus`, step by step: many histories side by side, each step of all of them one batch.
 */

/** Any snapshot at all, also such as no worker makes: of every status, with starts and ends that nobody saw. */
const [template] = new JobHistory().start().snapshots as [StatusUpdate];
const near = fc.constantFrom(0, 1, 4_999, 5_000, 5_001, 9_000);
const anySnapshot: fc.Arbitrary<StatusUpdate> = fc
  .record({
    status: fc.constantFrom(...JOB_STATES),
    attempt: fc.nat(3),
    createdAt: fc.constantFrom(0, 0, 0, 3, 6_000).map((ms) => new Date(START + ms)),
    processedOn: fc.option(near.map((ms) => START + ms)),
    first: fc.option(near),
    finishedOn: fc.option(near.map((ms) => START + ms)),
    sequence: fc.nat(3),
    result: anyValue.map((value) => toStorable(value, 10_000).value),
  })
  .map(({ first, ...facts }) => ({
    ...template,
    ...facts,
    firstProcessedOn:
      first === null ? facts.processedOn : Math.min(START + first, facts.processedOn ?? Infinity),
  }));

describe.each(Object.entries(DATABASES))('%s', (_, newDatabase) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await newDatabase();
    await database.query(migrationSql());
  });

  afterAll(() => database[Symbol.asyncDispose]());

  async function write(updates: readonly StatusUpdate[]): Promise<void> {
    await database.query('select job_status_write($1)', [JSON.stringify(updates.map(toRecord))]);
  }

  async function readAll(): Promise<JobStatus[]> {
    const { rows } = await database.query('select * from job_status');
    return rows.map((row) => fromRow(row as Row));
  }

  /** Writes histories side by side and holds every row after every step against `mergeStatus`. */
  async function holdStepByStep(histories: readonly (readonly StatusUpdate[])[]): Promise<void> {
    await database.query('truncate job_status');
    const expected = new Map<string, JobStatus>();
    const steps = Math.max(...histories.map((history) => history.length));
    for (let step = 0; step < steps; step++) {
      const batch = histories.flatMap((history, at) => {
        const snapshot = history[step];
        return snapshot === undefined ? [] : [{ ...snapshot, jobId: `${at}` }];
      });
      for (const update of batch)
        expected.set(update.jobId, mergeStatus(expected.get(update.jobId), update));
      await write(batch);
      const rows = await readAll();
      expect(rows.length).toBe(expected.size);
      for (const row of rows) {
        const should = expected.get(row.jobId);
        if (asText(row) !== asText(should)) expect(row).toEqual(should);
      }
    }
  }

  for (const [name, tell] of Object.entries(CANONICAL)) {
    test(`${name}: every permutation, step by step`, async () => {
      await holdStepByStep([...permutations(tell().snapshots)].map((order) => [...order]));
    });
  }

  test('snapshots of every status, with starts, ends and order of any kind, step by step', async () => {
    const histories = fc.sample(fc.array(anySnapshot, { minLength: 2, maxLength: 8 }), {
      numRuns: 2_000,
      seed: SEED,
    });
    await tellingSeed(() => holdStepByStep(histories));
    // What the law says of times it says of these too.
    const rows = await readAll();
    for (const row of rows) {
      const faults = broken(row).filter((fault) => fault !== 'startedAt if active');
      expect(faults).toEqual([]);
    }
  });

  test('histories cut anywhere into two batches, each folded first, end in the same rows', async () => {
    const histories = fc.sample(fc.array(anySnapshot, { minLength: 2, maxLength: 4 }), {
      numRuns: 500,
      seed: 1,
    });
    await database.query('truncate job_status');
    const cut = (history: readonly StatusUpdate[], at: number) => 1 + (at % (history.length - 1));
    for (const half of [0, 1]) {
      await write(
        histories.map((history, at) => {
          const [from, to] =
            half === 0 ? [0, cut(history, at)] : [cut(history, at), history.length];
          return { ...history.slice(from, to).reduce(mergeUpdates), jobId: `${at}` };
        }),
      );
    }
    const rows = await readAll();
    for (const row of rows) {
      const at = Number(row.jobId);
      const history = (histories[at] as StatusUpdate[]).map((each) => ({
        ...each,
        jobId: row.jobId,
      }));
      const halves = [history.slice(0, cut(history, at)), history.slice(cut(history, at))];
      expect(row).toEqual(
        halves
          .map((part) => part.reduce(mergeUpdates))
          .reduce<JobStatus | undefined>(mergeStatus, undefined),
      );
    }
  });
});
