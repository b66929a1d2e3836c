import { describe, expect, test } from 'vitest';
import type { PruneOptions, StatusQuery } from '../../src/store.ts';
import type { JobKey, JobState, StatusUpdate } from '../../src/types.ts';
import { JobHistory, START } from '../support/histories.ts';
import { STORES } from '../support/stores.ts';

let queues = 0;

const circular: Record<string, unknown> = {};
circular['self'] = circular;

/** 30 jobs of a queue of its own, three to a millisecond; of each three one active, completed, failed. */
function manyJobs(queue: string, start = START): StatusUpdate[] {
  return Array.from({ length: 30 }, (_, n) => {
    const history = new JobHistory({ queue, id: `${n}` }).start();
    if (n % 3 === 1) history.complete();
    if (n % 3 === 2) history.fail();
    const shifted = (ms: number | null) => (ms === null ? null : ms - START + start);
    return history.snapshots.map((snapshot) => ({
      ...snapshot,
      name: n < 6 ? 'first' : 'later',
      createdAt: new Date(start + Math.floor(n / 3)),
      processedOn: shifted(snapshot.processedOn),
      firstProcessedOn: shifted(snapshot.firstProcessedOn),
      finishedOn: shifted(snapshot.finishedOn),
    }));
  }).flat();
}

describe.each(Object.entries(STORES))('%s store', (name, createStore) => {
  async function setUp() {
    const queue = `reading-${name}-${Date.now()}-${++queues}`;
    const store = createStore();
    await store.write(manyJobs(queue));
    return { queue, store };
  }

  test('list gives pages of every row, newest first, while rows change', async () => {
    const { queue, store } = await setUp();
    const seen: string[] = [];
    const times: number[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < 5; page++) {
      const { items, nextCursor } = await store.list({ queue, limit: 7, cursor });
      seen.push(...items.map((row) => row.jobId));
      times.push(...items.map((row) => row.createdAt.getTime()));
      expect(nextCursor === null).toBe(page === 4);
      cursor = nextCursor ?? undefined;
      // Rows change, and newer ones come, between any two pages.
      const update = {
        ...manyJobs(queue)[0]!,
        jobId: `new-${page}`,
        createdAt: new Date(START + 1_000),
      };
      await store.write([update, ...manyJobs(queue)]);
    }
    expect(seen.length).toBe(30);
    expect(new Set(seen).size).toBe(30);
    expect(times).toEqual(times.toSorted((a, b) => b - a));
  });

  test('list and count take queue, name, status and times', async () => {
    const { queue, store } = await setUp();
    const count = async (query: object) => {
      const { items } = await store.list({ queue, ...query, limit: 100 });
      expect(await store.count({ queue, ...query, limit: 1 })).toBe(items.length);
      return items.length;
    };
    expect(await count({})).toBe(30);
    expect(await count({ status: 'completed' })).toBe(10);
    expect(await count({ status: ['completed', 'failed'] })).toBe(20);
    expect(await count({ status: [] })).toBe(0);
    expect(await count({ name: 'first' })).toBe(6);
    expect(await count({ name: 'first', status: 'active' })).toBe(2);
    expect(
      await count({ createdFrom: new Date(START + 3), createdBefore: new Date(START + 5) }),
    ).toBe(6);
    expect(await count({ updatedBefore: new Date(START + 2) })).toBe(10);
    expect(await count({ name: undefined })).toBe(30);
  });

  test('list and count take when jobs ended: from a time on, and before one', async () => {
    const { queue, store } = await setUp();
    const ids = async (query: StatusQuery) => {
      const { items } = await store.list({ queue, ...query, limit: 100 });
      expect(await store.count({ queue, ...query })).toBe(items.length);
      return items.map((row) => row.jobId).toSorted();
    };
    const ended = (await store.list({ queue, limit: 100 })).items.flatMap((row) => {
      const at = row.completedAt ?? row.failedAt;
      return at === null ? [] : [{ id: row.jobId, at }];
    });
    const early = new Date(START + 4);
    const late = new Date(START + 8);
    const between = (from: Date | undefined, before: Date | undefined) =>
      ended
        .filter(({ at }) => (!from || at >= from) && (!before || at < before))
        .map(({ id }) => id)
        .toSorted();
    expect(ended.length).toBe(20);
    expect(between(early, late).length).toBeGreaterThan(2);
    expect(await ids({ finishedFrom: early })).toEqual(between(early, undefined));
    expect(await ids({ finishedBefore: late })).toEqual(between(undefined, late));
    expect(await ids({ finishedFrom: early, finishedBefore: late })).toEqual(between(early, late));
    const failed = await ids({ finishedFrom: early, finishedBefore: late, status: 'failed' });
    expect(failed).toEqual(between(early, late).filter((id) => Number(id) % 3 === 2));
    expect(await ids({ finishedFrom: early, status: 'active' })).toEqual([]);
  });

  test('a cancelled job ended when it was cancelled, a removed one when that was found', async () => {
    const { queue, store } = await setUp();
    const [update] = manyJobs(queue) as [StatusUpdate];
    const late = { ...update, finishedOn: START + 60_000, updatedAt: new Date(START + 70_000) };
    // It was added for later, and removed before that came.
    const ahead = { ...late, createdAt: new Date(START + 80_000) };
    await store.write([
      { ...late, jobId: 'cancelled', status: 'cancelled' },
      { ...late, jobId: 'removed', status: 'removed' },
      { ...ahead, jobId: 'ahead', status: 'removed' },
    ]);
    const at = async (ms: number) =>
      (
        await store.list({
          queue,
          finishedFrom: new Date(START + ms),
          finishedBefore: new Date(START + ms + 1),
        })
      ).items.map((row) => row.jobId);
    expect(await at(60_000)).toEqual(['cancelled']);
    expect(await at(70_000)).toEqual(['removed']);
    expect(await at(80_000)).toEqual(['ahead']);
  });

  test('metadata contains what is asked for, as Postgres has it', async () => {
    const { queue, store } = await setUp();
    const [update] = manyJobs(queue) as [StatusUpdate];
    const rows: Record<string, StatusUpdate['metadata']> = {
      none: null,
      empty: {},
      a: { org: 'a', user: 1, tags: ['x', 'y'], deep: { k: [1, { z: null }] } },
      b: { org: 'b', user: '1', tags: [], deep: null },
    };
    await store.write(
      Object.entries(rows).map(([jobId, metadata]) => ({ ...update, jobId, metadata })),
    );
    const ids = async (metadata: NonNullable<StatusQuery['metadata']>) => {
      const { items } = await store.list({ queue, metadata });
      expect(await store.count({ queue, metadata })).toBe(items.length);
      return items.map((row) => row.jobId).toSorted();
    };
    expect(await ids({ org: 'a' })).toEqual(['a']);
    expect(await ids({ org: 'c' })).toEqual([]);
    expect(await ids({ user: 1 })).toEqual(['a']);
    expect(await ids({ user: '1' })).toEqual(['b']);
    expect(await ids({ org: 'a', user: '1' })).toEqual([]);
    expect(await ids({ tags: ['y'] })).toEqual(['a']);
    expect(await ids({ tags: [] })).toEqual(['a', 'b']);
    expect(await ids({ deep: { k: [{ z: null }] } })).toEqual(['a']);
    expect(await ids({ deep: { k: 1 } })).toEqual([]);
    expect(await ids({ deep: null })).toEqual(['b']);
    expect(await store.delete({ queue, metadata: { org: 'b' } })).toBe(1);
    expect(await ids({ user: '1' })).toEqual([]);
  });

  test('metadata keys and values are data, whatever they hold', async () => {
    const { queue, store } = await setUp();
    const [update] = manyJobs(queue) as [StatusUpdate];
    const hostile = [
      "'; drop table job_status; --",
      '"',
      '{}',
      '{"a":1}',
      '\\',
      'a,b)(c',
      'new\nline',
      '%*',
      '*',
      '',
      '__proto__',
      'ünï 😀',
      'x'.repeat(3_000),
    ];
    await store.write(
      hostile.map((text, at) => ({
        ...update,
        jobId: `hostile-${at}`,
        metadata: Object.fromEntries([[text, text]]),
      })),
    );
    for (const [at, text] of hostile.entries()) {
      const metadata = Object.fromEntries([[text, text]]);
      const { items } = await store.list({ queue, metadata });
      expect(items.map((row) => [row.jobId, row.metadata])).toEqual([[`hostile-${at}`, metadata]]);
    }
  });

  test('delete takes what matches, and says how many', async () => {
    const { queue, store } = await setUp();
    expect(
      await store.delete({ queue, status: 'failed', createdBefore: new Date(START + 5) }),
    ).toBe(5);
    expect(
      await store.delete({ queue, status: 'failed', createdBefore: new Date(START + 5) }),
    ).toBe(0);
    expect(await store.count({ queue })).toBe(25);
  });

  describe('prune', () => {
    // It takes from every queue: so these jobs are in a table of their own.
    const LONG_AGO = Date.UTC(1971, 0, 1);
    const longAgo = (ms: number) => new Date(LONG_AGO + ms);

    async function setUpLongAgo() {
      const store = createStore({ table: 'retention' });
      await store.prune({ olderThan: longAgo(1_000_000) });
      const queue = `prune-${name}-${Date.now()}-${++queues}`;
      await store.write(manyJobs(queue, LONG_AGO));
      const left = async () => ({
        active: await store.count({ queue, status: 'active' }),
        completed: await store.count({ queue, status: 'completed' }),
        failed: await store.count({ queue, status: 'failed' }),
      });
      return { store, queue, left };
    }

    test('takes the jobs that ended before a time, of the statuses asked for', async () => {
      const { store, queue, left } = await setUpLongAgo();
      const old = (status: JobState) => store.count({ queue, status, finishedBefore: longAgo(4) });
      const failed = await old('failed');
      const completed = await old('completed');
      expect(Math.min(failed, completed)).toBeGreaterThan(0);
      expect(await store.prune({ olderThan: longAgo(4), statuses: ['failed'] })).toBe(failed);
      expect(await left()).toEqual({ active: 10, completed: 10, failed: 10 - failed });
      expect(await store.prune({ olderThan: longAgo(4) })).toBe(completed);
      expect(await left()).toEqual({
        active: 10,
        completed: 10 - completed,
        failed: 10 - failed,
      });
    });

    test('takes more than a step of them, by age, and says how many', async () => {
      const { store, queue, left } = await setUpLongAgo();
      const template = manyJobs(queue, LONG_AGO).find(({ status }) => status === 'completed')!;
      await store.write(
        Array.from({ length: 2_345 }, (_, n) => ({ ...template, jobId: `old-${n}` })),
      );
      expect(await store.prune({ olderThan: Date.now() - LONG_AGO + 60_000 })).toBe(0);
      expect(await store.prune({ olderThan: Date.now() - LONG_AGO - 60_000 })).toBe(2_345 + 20);
      expect(await left()).toEqual({ active: 10, completed: 0, failed: 0 });
    });

    test('ends with the reason of its signal, after the step under way', async () => {
      const store = createStore({ table: 'retention' });
      const signal = AbortSignal.abort(new Error('enough'));
      await expect(store.prune({ olderThan: new Date(0), signal })).rejects.toThrow('enough');
    });

    test.each<[string, unknown, string]>([
      [
        'nothing',
        undefined,
        'Expected `options.olderThan` to be a Date of the years 1970 to 9999, or an age in ms, got undefined',
      ],
      ['an age below 0', { olderThan: -1 }, 'or an age in ms, got -1'],
      ['an age past all time', { olderThan: 1e15 }, 'or an age in ms, got 1000000000000000'],
      ['a time as text', { olderThan: '2026-01-01' }, 'or an age in ms, got "2026-01-01"'],
      [
        'a status that goes on',
        { olderThan: 0, statuses: ['active'] },
        'Expected `options.statuses` to be a list of completed, failed, cancelled, removed',
      ],
      ['a queue', { olderThan: 0, queue: 'q' }, 'Unknown key `queue` in options'],
    ])('%s is refused', async (_, options, message) => {
      await expect(createStore().prune(options as PruneOptions)).rejects.toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
        message: expect.stringContaining(message),
      });
    });
  });

  test('keys that read alike when joined are two rows', async () => {
    const store = createStore();
    const { queue } = await setUp();
    const keys = [
      { queue, jobId: 'a:1' },
      { queue: `${queue}:a`, jobId: '1' },
    ];
    const [update] = manyJobs(queue) as [StatusUpdate];
    await store.write(keys.map((key) => ({ ...update, ...key, name: key.jobId })));
    for (const key of keys) {
      expect(await store.get(key)).toMatchObject({ ...key, name: key.jobId });
    }
  });

  test("what write was given stays the caller's own to change", async () => {
    const { queue, store } = await setUp();
    const update = manyJobs(queue).find(({ status }) => status === 'completed') as StatusUpdate;
    const own = structuredClone({ ...update, jobId: 'own' });
    await store.write([own]);
    Object.assign(own.result as object, { ok: 'changed' });
    own.createdAt.setTime(0);
    const { result, createdAt } = update;
    expect(await store.get(own)).toMatchObject({ result, createdAt });
  });

  test('a key is looked for as rows have it', async () => {
    const store = createStore();
    const [update] = manyJobs('keys') as [StatusUpdate];
    await store.write([{ ...update, jobId: 'a\uFFFDb' }]);
    expect(await store.get({ queue: 'keys', jobId: 'a\0b' })).toMatchObject({ jobId: 'a\uFFFDb' });
    expect(await store.count({ queue: '\0' })).toBe(0);
    await store.write([{ ...update, jobId: 'm', metadata: { org: 'a\uFFFDb' } }]);
    expect(await store.count({ queue: 'keys', metadata: { org: 'a\0b' } })).toBe(1);
  });

  test('a row that is not there is undefined', async () => {
    expect(await createStore().get({ queue: 'nowhere', jobId: '1' })).toBeUndefined();
  });

  test("what get and list return is the caller's own", async () => {
    const { queue, store } = await setUp();
    for (const read of [
      () => store.get({ queue, jobId: '1' }),
      async () => (await store.list({ queue, status: 'completed', limit: 1 })).items[0],
    ]) {
      const row = (await read()) as { status: string; createdAt: Date; result: object };
      const before = structuredClone(row);
      Object.assign(row, { status: 'changed' });
      Object.assign(row.result, { ok: 'changed' });
      row.createdAt.setTime(0);
      expect(await read()).toEqual(before);
    }
  });

  test.each<[string, object, string]>([
    [
      'a limit of 0',
      { limit: 0 },
      'Expected `query.limit` to be a whole number from 1 to 1000, got 0',
    ],
    [
      'a cursor of its own making',
      { cursor: 'x' },
      'Expected `query.cursor` to be a nextCursor of an earlier page, got "x"',
    ],
    [
      'a condition that is none',
      { state: 'failed' },
      'Unknown key `state` in query; known are queue, name, status',
    ],
    [
      'a time as text',
      { createdFrom: '2026-01-01' },
      'Expected `query.createdFrom` to be a Date of the years 1970 to 9999, got "2026-01-01"',
    ],
    [
      'an invalid time',
      { updatedBefore: new Date(NaN) },
      'Expected `query.updatedBefore` to be a Date of the years 1970 to 9999',
    ],
    [
      'a key of metadata that is undefined',
      { metadata: { org: undefined } },
      'Expected `query.metadata` to be an object of JSON values, with at least one key',
    ],
    ['no key of metadata', { metadata: {} }, 'with at least one key'],
    [
      'metadata that is no object',
      { metadata: ['a'] },
      'Expected `query.metadata` to be an object',
    ],
    ['a Date in metadata', { metadata: { at: new Date(0) } }, 'an object of JSON values'],
    ['an array with a hole in metadata', { metadata: { ids: [1, undefined] } }, 'of JSON values'],
    ['metadata that contains itself', { metadata: circular }, 'an object of JSON values'],
    ['a bigint in metadata', { metadata: { id: 5n } }, 'an object of JSON values'],
    [
      'a status that is none',
      { status: 'complete' },
      'Expected `query.status` to be one of waiting, delayed, prioritized',
    ],
  ])('%s is refused', async (_, query, message) => {
    const refused = { code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining(message) };
    await expect(createStore().list(query)).rejects.toMatchObject(refused);
  });

  test.each<[string, unknown, string]>([
    ['a bigint', { queue: 'q', jobId: 5n }, 'Expected `key.jobId` to be a string, got 5'],
    ['a number', { queue: 'q', jobId: 5 }, 'Expected `key.jobId` to be a string, got 5'],
    ['no queue', { jobId: '5' }, 'Expected `key.queue` to be a string, got undefined'],
    ['nothing', undefined, 'Expected `key.queue` to be a string, got undefined'],
  ])('a key with %s is refused', async (_, key, message) => {
    await expect(createStore().get(key as JobKey)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message,
    });
  });

  test('a delete of everything is refused, and so is a page of one', async () => {
    await expect(createStore().delete({})).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    await expect(createStore().delete({ queue: undefined })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    await expect(createStore().delete({ queue: 'q', limit: 5 } as object)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
  });
});
