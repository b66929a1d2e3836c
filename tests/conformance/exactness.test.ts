import fc from 'fast-check';
import { migrate } from 'bullmq-job-status/migrations';
import { PostgresStatusStore } from 'bullmq-job-status/postgres';
import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { JobStatus, StatusUpdate } from '../../src/types.ts';
import { DATABASES } from '../support/databases.ts';
import { JobHistory } from '../../src/testing/histories.ts';
import { foldHistory } from '../../src/testing/law.ts';
import { SEED, tellingSeed } from '../support/seed.ts';
import { STORES, type WholeStore } from '../support/stores.ts';

/* What is written is what is read, to the millisecond, the last digit and the last byte. */

/** The last time at which a job of `completedAt` may be added and still complete before the year 10000. */
const LAST = Date.parse('9999-12-31T23:59:59.994Z');

/** Where calendars, counters and clocks have their edges. */
const EDGES = [
  0,
  1,
  999,
  1_000,
  86_399_999,
  2 ** 31 * 1_000 - 1,
  2 ** 32 * 1_000,
  2 ** 43 + 1,
  LAST,
  // Leap days, a leap second, and the day that is not in 2100.
  Date.parse('1972-02-29T23:59:59.999Z'),
  Date.parse('2000-02-29T00:00:00.001Z'),
  Date.parse('2016-12-31T23:59:59.999Z'),
  Date.parse('2100-03-01T00:00:00.000Z'),
  Date.parse('9996-02-29T12:00:00.123Z'),
  // Clocks of the north go forwards and back.
  Date.parse('2026-03-29T01:00:00.001Z'),
  Date.parse('2026-10-25T00:59:59.999Z'),
];

/** Settings of a session that have a say in how Postgres writes times and numbers. */
const SETTINGS = [
  // To the east of Greenwich the last hours of 9999 are of the year 10000.
  "timezone = 'Asia/Kathmandu'",
  "timezone = 'Pacific/Kiritimati'",
  "timezone = 'America/St_Johns'",
  // Until 1972 its clocks stood 44 minutes and 30 seconds behind.
  "timezone = 'Africa/Monrovia'",
  "datestyle = 'German'",
  "datestyle = 'SQL, DMY'",
  "datestyle = 'Postgres, MDY'",
  'intervalstyle = sql_standard',
  'extra_float_digits = -15',
];

/** What a job holds, what its row keeps, and how that is marked. */
const VALUES: readonly (readonly [value: unknown, kept: unknown, mark?: string])[] = [
  [2 ** 53, 9_007_199_254_740_992],
  [2 ** 53 + 2, 9_007_199_254_740_994],
  [-(2 ** 63), -9_223_372_036_854_775_808],
  [1e308, 1e308],
  [Number.MAX_VALUE, 1.7976931348623157e308],
  [5e-324, 5e-324],
  [2.2250738585072014e-308, 2.2250738585072014e-308],
  [0.1, 0.1],
  [0.1 + 0.2, 0.30000000000000004],
  [1e21, 1e21],
  [123_456_789.123_456_79, 123_456_789.123_456_79],
  // JSON has no negative zero to tell: it is written as 0, and so it is in every store.
  [-0, 0],
  [
    [-0, { n: -0 }],
    [0, { n: 0 }],
  ],
  [NaN, null, 'non-finite-number'],
  [-Infinity, null, 'non-finite-number'],
  [2n ** 53n + 1n, '9007199254740993', 'bigint'],
  [{ id: -(2n ** 200n) }, { id: `-${2n ** 200n}` }, 'bigint'],
  ['9007199254740993', '9007199254740993'],
  ['1e999', '1e999'],
  ['7'.repeat(5_000), '7'.repeat(5_000)],
  ['{"id": 9007199254740993, "id": 1}', '{"id": 9007199254740993, "id": 1}'],
  [
    { '': 0, ' ': 1, '1e2': 2, __proto: 3 },
    { '': 0, ' ': 1, '1e2': 2, __proto: 3 },
  ],
  [JSON.parse('{"__proto__": {"a": 1}}'), JSON.parse('{"__proto__": {"a": 1}}')],
];

/** What ids and names may be, beside plain words: each is one job's. */
const NAMES = [
  '9007199254740993 9007199254740992 18446744073709551616 18446744073709551617 -1 0 00 -0 1 1.0 1e3',
  '1000 0x10 NaN null true undefined repeat:s1:1767225600000 : a:b a::b a,b (a) ( in.(1) eq.1 * % _ .',
  String.raw`"a" "" 'a' \ \" {} {a} {"a":1} [1] $1 $$ + & # ? / é ß A a 日本 😀`,
]
  .flatMap((line) => line.split(' '))
  // A `BigInt` id is a text by the time BullMQ has it.
  .concat(String(2n ** 200n), '', ' ', ' a', 'a ', '\t', '\n', 'e\u0301', '\u2028');

const [, completed] = new JobHistory().start().complete().snapshots as [StatusUpdate, StatusUpdate];

/** A job added at any time at all, and completed 5 ms later: every time of its row is one of its own. */
function completedAt(ms: number, queue: string): StatusUpdate {
  const at = (passed: number) => new Date(ms + passed);
  const times = { createdAt: at(0), updatedAt: at(4), delayedUntil: at(1) };
  const raw = { firstProcessedOn: ms + 2, processedOn: ms + 3, finishedOn: ms + 5 };
  return { ...completed, ...times, ...raw, queue, jobId: `${ms}` };
}

/** Writes jobs of any times and reads them one by one, page by page, and by their times. */
async function holdTimes(store: WholeStore, times: readonly number[]): Promise<void> {
  const queue = `times-${randomUUID()}`;
  const updates = [...new Set(times)].map((ms) => completedAt(ms, queue));
  await store.write(updates);
  const expected = updates
    .map((update) => foldHistory([update])!)
    .toSorted((a, b) => b.createdAt.getTime() - a.createdAt.getTime());
  expect(await pages(store, queue, 7)).toEqual(expected);
  for (const row of expected.filter((_, at) => at % 5 === 0)) {
    expect(await store.get(row)).toEqual(row);
    const next = new Date(row.createdAt.getTime() + 1);
    expect(await store.count({ queue, createdFrom: row.createdAt, createdBefore: next })).toBe(1);
  }
}

async function pages(store: WholeStore, queue: string, limit: number): Promise<JobStatus[]> {
  const rows: JobStatus[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list({ queue, limit, cursor });
    rows.push(...page.items);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return rows;
}

describe.each(Object.entries(STORES))('%s store', (_, createStore) => {
  test('times of the years 1970 to 9999 are exact to the millisecond', async () => {
    const some = fc.sample(fc.nat(LAST), { seed: SEED, numRuns: 200 });
    await tellingSeed(() => holdTimes(createStore(), [...EDGES, ...some]));
  });

  test('a job not yet run may be of the last milliseconds of 9999', async () => {
    const store = createStore();
    const facts = { status: 'waiting', attempt: 0, processedOn: null, finishedOn: null } as const;
    const queue = `last-${randomUUID()}`;
    for (const ms of [LAST + 1, LAST + 4, LAST + 5]) {
      const at = { createdAt: new Date(ms), updatedAt: new Date(ms), delayedUntil: new Date(ms) };
      const update = { ...completedAt(ms, queue), ...facts, ...at, firstProcessedOn: null };
      await store.write([update]);
      expect(await store.get(update)).toEqual(foldHistory([update]));
    }
  });

  test('counters and readings are exact to the last that a row holds', async () => {
    const store = createStore();
    const counts = { attempt: 2 ** 31 - 1, attemptsMade: 2 ** 31 - 1, maxAttempts: 2 ** 31 - 1 };
    const readings = { attemptEndedOn: LAST + 5, queuedOn: LAST + 4 };
    const sequences = [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1, 2 ** 52 + 1];
    for (const sequence of [...sequences, ...sequences.map((each) => -each)]) {
      const told = { ...counts, ...readings, sequence };
      const update = { ...completedAt(LAST, `counts-${randomUUID()}`), ...told };
      await store.write([update]);
      expect(await store.get(update)).toMatchObject({ ...told, finishedOn: LAST + 5 });
    }
  });

  test.each(VALUES.map((each) => [inspect(each[0], { maxStringLength: 40 }), ...each] as const))(
    '%s, as result, progress, data and metadata',
    async (__, value, kept, mark) => {
      const store = createStore();
      const key = { queue: `values-${randomUUID()}`, id: '1' };
      const payload = { name: 'job', data: value, metadata: { value } };
      const history = new JobHistory(key, payload).start().progress(1, value).complete(1, value);
      for (const snapshot of history.snapshots) await store.write([snapshot]);
      const row = await store.get({ queue: key.queue, jobId: key.id });
      const { result, progress, data, metadata, altered } = row!;
      for (const read of [result, progress, data, metadata?.['value']])
        expect(read).toStrictEqual(kept);
      const marks = mark && [mark];
      expect(altered).toEqual(
        mark ? { result: marks, progress: marks, data: marks, metadata: marks } : null,
      );
      expect((await store.list({ queue: key.queue })).items).toEqual([row]);
    },
  );

  test('ids and names are texts: digits past 2^53, what looks like JSON, and signs of query languages', async () => {
    const store = createStore();
    const queue = `ids-${randomUUID()}`;
    const [update] = new JobHistory().start().snapshots as [StatusUpdate];
    const updates = NAMES.map((jobId) => ({
      ...update,
      queue,
      jobId,
      name: `job ${jobId}`,
      schedulerId: jobId,
      deduplicationId: jobId,
      parent: { queue: jobId, jobId },
      children: [{ queue: jobId, jobId }],
      cancellation: { requestedOn: LAST, by: jobId, reason: jobId },
    }));
    await store.write(updates);
    expect(await store.count({ queue })).toBe(NAMES.length);
    const byId = (a: JobStatus, b: JobStatus) => NAMES.indexOf(a.jobId) - NAMES.indexOf(b.jobId);
    const rows = await pages(store, queue, 4);
    expect(rows.toSorted(byId)).toEqual(updates.map((each) => foldHistory([each])));
    for (const jobId of NAMES) {
      expect(await store.get({ queue, jobId })).toMatchObject({ jobId, name: `job ${jobId}` });
      expect(await store.count({ queue, name: `job ${jobId}` })).toBe(1);
    }
  });
});

describe.each(Object.entries(DATABASES))('%s', (_, newDatabase) => {
  test("times and numbers are exact whatever the session's settings", async () => {
    await using database = await newDatabase();
    await migrate(database);
    const store = new PostgresStatusStore(database);
    for (const setting of SETTINGS) {
      await database.query(`set ${setting}`);
      await holdTimes(store, EDGES);
      const result = [0.1, 5e-324, 1e308];
      const update = { ...completedAt(1, `settings-${randomUUID()}`), result };
      await store.write([update]);
      expect(await store.get(update)).toMatchObject({ result });
    }
  });
});
