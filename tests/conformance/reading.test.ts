import { describe, expect, test } from 'vitest';
import type { StatusUpdate } from '../../src/types.ts';
import { JobHistory, START } from '../support/histories.ts';
import { STORES } from '../support/stores.ts';

let queues = 0;

/** 30 jobs of a queue of its own, three to a millisecond; of each three one active, completed, failed. */
function manyJobs(queue: string): StatusUpdate[] {
  return Array.from({ length: 30 }, (_, n) => {
    const history = new JobHistory({ queue, id: `${n}` }).start();
    if (n % 3 === 1) history.complete();
    if (n % 3 === 2) history.fail();
    const ms = START + Math.floor(n / 3);
    return history.snapshots.map((snapshot) => ({
      ...snapshot,
      name: n < 6 ? 'first' : 'later',
      createdAt: new Date(ms),
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
      'a status that is none',
      { status: 'complete' },
      'Expected `query.status` to be one of waiting, delayed, prioritized',
    ],
  ])('%s is refused', async (_, query, message) => {
    const refused = { code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining(message) };
    await expect(createStore().list(query)).rejects.toMatchObject(refused);
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
