import { migrationSql } from 'bullmq-job-status/migrations';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DATABASES, type TestDatabase } from '../support/databases.ts';

/*
 * The time law as the table itself states it, met with plain SQL: whatever writes a row, a program
 * of yours or a person, can't write one that breaks it. What is finer than a millisecond is rounded first.
 */

/** The columns of the time law. */
const COLUMNS = ['started', 'attempt_started', 'completed', 'failed', 'cancelled'] as const;

/** Times of a row, in microseconds since its `created_at`; what is not given is null. */
type Times = { readonly [column in (typeof COLUMNS)[number]]?: number };

const STARTED: Times = { started: 1_000, attempt_started: 1_000 };

/** Each clause of the law: rows that break it and nothing else, and their lawful neighbours. */
const CLAUSES: Readonly<Record<string, { broken: readonly Times[]; lawful: readonly Times[] }>> = {
  'a start comes 1 ms after the creation, or later': {
    broken: [-1_000, 0, 1, 499].map((us) => ({ started: us, attempt_started: us })),
    lawful: [1_000, 2_000].map((us) => ({ started: us, attempt_started: us })),
  },
  'the first start and the latest are known both, or neither': {
    broken: [{ started: 1_000 }, { attempt_started: 1_000 }],
    lawful: [STARTED, {}],
  },
  'the latest start is no earlier than the first': {
    broken: [1_000, 1_499].map((us) => ({ started: 2_000, attempt_started: us })),
    lawful: [2_000, 3_000].map((us) => ({ started: 2_000, attempt_started: us })),
  },
  'a job completes 1 ms after its latest start, or later': {
    broken: [0, 1_000, 1_499].map((us) => ({ ...STARTED, completed: us })),
    lawful: [2_000, 3_000].map((us) => ({ ...STARTED, completed: us })),
  },
  'the latest start counts for a completion, not the first': {
    broken: [{ started: 1_000, attempt_started: 5_000, completed: 5_499 }],
    lawful: [{ started: 1_000, attempt_started: 5_000, completed: 6_000 }],
  },
  'a job that completes has started': {
    broken: [{ completed: 9_000 }],
    lawful: [{ ...STARTED, completed: 9_000 }],
  },
  'a job fails 1 ms after its latest start, or later': {
    broken: [0, 1_000, 1_499].map((us) => ({ ...STARTED, failed: us })),
    lawful: [2_000, 3_000].map((us) => ({ ...STARTED, failed: us })),
  },
  'the latest start counts for a failure, not the first': {
    broken: [{ started: 1_000, attempt_started: 5_000, failed: 5_499 }],
    lawful: [{ started: 1_000, attempt_started: 5_000, failed: 6_000 }],
  },
  'a job that fails has started': {
    broken: [{ failed: 9_000 }],
    lawful: [{ ...STARTED, failed: 9_000 }],
  },
  'a job is cancelled 1 ms after its latest start, or later': {
    broken: [0, 1_000, 1_499].map((us) => ({ ...STARTED, cancelled: us })),
    lawful: [2_000, 3_000].map((us) => ({ ...STARTED, cancelled: us })),
  },
  'a job that never started is cancelled 1 ms after its creation, or later': {
    broken: [-1_000, 0, 499].map((us) => ({ cancelled: us })),
    lawful: [1_000, 2_000].map((us) => ({ cancelled: us })),
  },
};

const ROWS = Object.entries(CLAUSES).flatMap(([clause, { broken, lawful }]) => [
  ...broken.map((times) => [clause, 'refused', times] as const),
  ...lawful.map((times) => [clause, 'stored', times] as const),
]);

const time = (parameter: number) =>
  `timestamptz '2026-01-01 00:00:00+00' + $${parameter}::float8 * interval '1 microsecond'`;

const INSERT = `insert into job_status (queue, job_id, name, status, attempt, attempts_made, max_attempts,
    updated_at, sequence, created_at, ${COLUMNS.map((column) => `${column}_at`).join(', ')})
  values ('q', $1, 'job', 'active', 1, 0, 1, now(), 1, ${time(2)}, ${COLUMNS.map((_, at) => time(at + 3)).join(', ')})`;

const UPDATE = `update job_status set ${COLUMNS.map((column, at) => `${column}_at = ${time(at + 2)}`).join(', ')}
  where job_id = $1`;

const inOrder = (times: Times) => COLUMNS.map((column) => times[column] ?? null);

describe.each(Object.entries(DATABASES))('%s', (_, newDatabase) => {
  let database: TestDatabase;
  let rows = 0;

  beforeAll(async () => {
    database = await newDatabase();
    await database.query(migrationSql());
  });

  afterAll(() => database[Symbol.asyncDispose]());

  /** The row's times as the table has them, in microseconds since its creation. */
  async function stored(jobId: string): Promise<unknown[]> {
    const since = COLUMNS.map(
      (column) => `(extract(epoch from ${column}_at - created_at) * 1000000)::float8 as ${column}`,
    );
    const { rows } = await database.query(
      `select ${since.join(', ')} from job_status where job_id = $1`,
      [jobId],
    );
    return rows;
  }

  test('microseconds are rounded to milliseconds, and then the law is asked', async () => {
    const jobId = `${++rows}`;
    const times = { started: 501, attempt_started: 1_499, completed: 1_500 };
    await database.query(INSERT, [jobId, 0, ...inOrder(times)]);
    const inMs = { started: 1_000, attempt_started: 1_000, completed: 2_000 };
    expect(await stored(jobId)).toEqual([{ ...inMs, failed: null, cancelled: null }]);
  });

  test.each(ROWS)('%s: %s %j', async (_, answer, times) => {
    const [byInsert, byUpdate] = [`${++rows}`, `${++rows}`];
    await database.query(INSERT, [byUpdate, 0, ...inOrder(STARTED)]);
    const writes = [
      () => database.query(INSERT, [byInsert, 0, ...inOrder(times)]),
      () => database.query(UPDATE, [byUpdate, ...inOrder(times)]),
    ];
    const asRow = (row: Times) => Object.fromEntries(COLUMNS.map((key) => [key, row[key] ?? null]));
    if (answer === 'stored') {
      for (const write of writes) await write();
      expect([await stored(byInsert), await stored(byUpdate)]).toEqual([
        [asRow(times)],
        [asRow(times)],
      ]);
    } else {
      for (const write of writes) {
        await expect(write()).rejects.toMatchObject({
          code: '23514',
          constraint: 'job_status_timestamps_check',
        });
      }
      expect([await stored(byInsert), await stored(byUpdate)]).toEqual([[], [asRow(STARTED)]]);
    }
  });
});
