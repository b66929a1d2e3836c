import fc from 'fast-check';
import { migrationSql } from 'bullmq-job-status/migrations';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  firstChildren,
  MAX_CHILDREN,
  mergeUpdates,
  shownStatus,
  toStatus,
} from '../../src/merge.ts';
import { toStorable } from '../../src/storable.ts';
import { fromAttemptRow, fromRow, toRecord, type Row } from '../../src/stores/row.ts';
import {
  JOB_STATES,
  type AttemptRecord,
  type JobStatus,
  type StatusUpdate,
} from '../../src/types.ts';
import { DATABASES, type TestDatabase } from '../support/databases.ts';
import { CANONICAL, CANONICAL_OF_QUEUES } from '../../src/testing/canonical.ts';
import { JobHistory, START } from '../../src/testing/histories.ts';
import { broken, permutations } from '../../src/testing/law.ts';
import { anyValue } from '../../src/testing/random-histories.ts';
import { SEED, tellingSeed } from '../support/seed.ts';
import { asText } from '../support/rows.ts';

/*
 * The law stands twice, in TypeScript and in SQL. Here the SQL function alone is held against
 * `mergeStatus`, step by step: many histories side by side, each step of all of them one batch.
 */

/** Any snapshot at all, also such as nobody takes: of every status, with starts and ends that nobody saw. */
const [template] = new JobHistory().start().snapshots as [StatusUpdate];
/** More than a row has room for, in an order of their own. */
const MANY_CHILDREN = Array.from({ length: MAX_CHILDREN + 20 }, (_, n) => ({
  queue: ['q', 'Q', 'é', '\u{1F600}', '\uFF5E'][n % 5]!,
  jobId: `${n}`,
}));
const near = fc.constantFrom(0, 1, 4_999, 5_000, 5_001, 9_000);
const time = fc.option(near.map((ms) => START + ms));
const anySnapshot: fc.Arbitrary<StatusUpdate> = fc
  .record({
    status: fc.constantFrom(...JOB_STATES),
    removedFrom: fc.option(fc.constantFrom(...JOB_STATES)),
    cancellation: fc.option(
      fc.record({
        requestedOn: fc.nat(2),
        by: fc.constantFrom('u1', 'u2'),
        reason: fc.constant(null),
      }),
    ),
    children: fc.option(fc.subarray(MANY_CHILDREN).map((children) => firstChildren(children))),
    worker: fc.option(fc.constantFrom('w1', 'w2')),
    attempt: fc.nat(3),
    attemptEndedOn: time,
    attemptFailed: fc.boolean(),
    queuedOn: time,
    createdAt: fc.constantFrom(0, 0, 0, 3, 6_000).map((ms) => new Date(START + ms)),
    processedOn: time,
    first: fc.option(near),
    finishedOn: time,
    sequence: fc.nat(3),
    result: anyValue.map((value) => toStorable(value, 10_000).value),
  })
  .map(({ first, ...facts }) => ({
    ...template,
    ...facts,
    firstProcessedOn:
      first === null ? facts.processedOn : Math.min(START + first, facts.processedOn ?? Infinity),
  }));

interface Kept {
  readonly row: JobStatus;
  readonly records: readonly AttemptRecord[];
}

function hold({ row, records }: Kept, told: StatusUpdate): void {
  const is = { row, records: inOrder(records) };
  const should = { row: toStatus(told), records: inOrder(told.earlierAttempts) };
  if (asText(is) !== asText(should)) expect(is).toEqual(should);
}

/** A row that goes on leaves its state as it was shown: an attempt's outcome is the same by both. */
function inOrder(records: readonly AttemptRecord[]): AttemptRecord[] {
  return records
    .map((record) => ({ ...record, status: shownStatus(record) }))
    .toSorted((a, b) => a.processedOn - b.processedOn || a.attempt - b.attempt);
}

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

  /** Every row, and the attempts beside it. */
  async function readAll(): Promise<Map<string, Kept>> {
    const { rows } = await database.query('select * from job_status');
    const attempts = await database.query('select * from job_status_attempts');
    const all = new Map(
      rows
        .map(fromRow as (row: unknown) => JobStatus)
        .map((row) => [row.jobId, { row, records: [] as AttemptRecord[] }]),
    );
    for (const each of attempts.rows as Row[])
      all.get(each['job_id'] as string)?.records.push(fromAttemptRow(each));
    return all;
  }

  /** Writes histories side by side and holds all that is kept after every step against `mergeUpdates`. */
  async function holdStepByStep(histories: readonly (readonly StatusUpdate[])[]): Promise<void> {
    await database.query('truncate job_status cascade');
    const told = new Map<string, StatusUpdate>();
    const steps = Math.max(...histories.map((history) => history.length));
    for (let step = 0; step < steps; step++) {
      const batch = histories.flatMap((history, at) => {
        const snapshot = history[step];
        return snapshot === undefined ? [] : [{ ...snapshot, jobId: `${at}` }];
      });
      for (const update of batch) {
        const before = told.get(update.jobId);
        told.set(update.jobId, before === undefined ? update : mergeUpdates(before, update));
      }
      await write(batch);
      const all = await readAll();
      expect(all.size).toBe(told.size);
      for (const [jobId, kept] of all) hold(kept, told.get(jobId)!);
    }
  }

  for (const [name, tell] of Object.entries({ ...CANONICAL, ...CANONICAL_OF_QUEUES })) {
    test(`${name}: every permutation, or 120 of very many, step by step`, async () => {
      const all = Array.from(permutations(tell().snapshots), (order) => [...order]);
      // Five thousand orders on three databases take a minute; `merge.test.ts` holds them all.
      const orders = all.filter((_order, at) => at % Math.ceil(all.length / 120) === 0);
      await holdStepByStep(orders);
    });
  }

  test('what is told again is not written again, in either table', async () => {
    const histories = Object.values({ ...CANONICAL, ...CANONICAL_OF_QUEUES }).map(
      (tell) => tell().snapshots,
    );
    await holdStepByStep(histories);
    const versions = async () => {
      const table = (name: string) =>
        database.query(`select xmin::text, ctid::text, * from ${name} order by 2`);
      return [(await table('job_status')).rows, (await table('job_status_attempts')).rows];
    };
    const before = await versions();
    expect(before[1]!.length).toBeGreaterThan(10);
    for (const [at, history] of histories.entries()) {
      for (const snapshot of history.toReversed()) {
        const told = JSON.stringify([toRecord({ ...snapshot, jobId: `${at}` })]);
        const { rows } = await database.query('select job_status_write($1, 3) as written', [told]);
        expect(rows).toEqual([{ written: 0 }]);
      }
    }
    expect(await versions()).toEqual(before);
  });

  test('snapshots of every status, with starts, ends and order of any kind, step by step', async () => {
    const histories = fc.sample(fc.array(anySnapshot, { minLength: 2, maxLength: 8 }), {
      numRuns: 1_000,
      seed: SEED,
    });
    await tellingSeed(() => holdStepByStep(histories));
    // What the law says of times it says of these too.
    for (const { row } of (await readAll()).values()) {
      const faults = broken(row).filter((fault) => fault !== 'startedAt if active');
      expect(faults).toEqual([]);
    }
  });

  test('histories cut anywhere into two batches, each folded first, end in the same rows', async () => {
    const histories = fc.sample(fc.array(anySnapshot, { minLength: 2, maxLength: 4 }), {
      numRuns: 500,
      seed: 1,
    });
    await database.query('truncate job_status cascade');
    const halvesOf = (history: readonly StatusUpdate[], at: number) => {
      const cut = 1 + (at % (history.length - 1));
      return [history.slice(0, cut), history.slice(cut)].map((half) => ({
        ...half.reduce(mergeUpdates),
        jobId: `${at}`,
      }));
    };
    const halves = histories.map(halvesOf);
    for (const half of [0, 1]) await write(halves.map((each) => each[half]!));
    for (const [jobId, kept] of await readAll())
      hold(kept, halves[Number(jobId)]!.reduce(mergeUpdates));
  });
});
