import { describe, expect, test } from 'vitest';
import type { JobKey, StatusUpdate } from '../../src/types.ts';
import { JobHistory, START } from '../../src/testing/histories.ts';
import { manyJobs, newQueueName, writeManyJobs } from '../support/many-jobs.ts';
import { STORES } from '../support/stores.ts';

describe.each(Object.entries(STORES))('%s store', (name, createStore) => {
  const setUp = () => writeManyJobs(createStore(), newQueueName(name));

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
      const progress = manyJobs(queue).map((each) => ({
        ...each,
        progress: page,
        sequence: each.sequence + page,
      }));
      await store.write([update, ...progress]);
    }
    expect(seen.length).toBe(30);
    expect(new Set(seen).size).toBe(30);
    expect(times).toEqual(times.toSorted((a, b) => b - a));
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
    await store.write([{ ...update, jobId: 'm', metadata: { org: 'a\uFFFDb' } }]);
    expect(await store.count({ queue: 'keys', metadata: { org: 'a\0b' } })).toBe(1);
  });

  test('a row that is not there is undefined, and has no attempts', async () => {
    const key = { queue: 'nowhere', jobId: '1' };
    expect(await createStore().get(key)).toBeUndefined();
    expect(await createStore().attempts(key)).toEqual([]);
  });

  test("attempts are told in the order of their starts, and are the caller's own", async () => {
    const store = createStore();
    const key = { queue: newQueueName(name), jobId: 'a\uFFFDb' };
    const history = new JobHistory({ queue: key.queue, id: key.jobId }).start(5).fail(7, 0);
    await store.write(history.vanish(1).start(2).fail(3, 0, new TypeError('no')).start().snapshots);
    const attempts = () => store.attempts({ ...key, jobId: 'a\0b' });
    const read = await attempts();
    const common = { worker: 'host0' };
    expect(read).toEqual([
      {
        attempt: 1,
        outcome: 'failed',
        startedAt: new Date(START + 5),
        endedAt: new Date(START + 12),
        error: expect.objectContaining({ name: 'RangeError', message: 'attempt 1 failed' }),
        ...common,
      },
      {
        attempt: 2,
        outcome: 'failed',
        startedAt: new Date(START + 15),
        endedAt: new Date(START + 18),
        error: expect.objectContaining({ name: 'TypeError', message: 'no' }),
        ...common,
      },
      {
        attempt: 3,
        outcome: 'active',
        startedAt: new Date(START + 19),
        endedAt: null,
        error: null,
        ...common,
      },
    ]);
    const before = structuredClone(read);
    read[0]!.startedAt.setTime(0);
    Object.assign(read[1]!.error!, { message: 'changed' });
    expect(await attempts()).toEqual(before);
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

  test.each<[string, unknown, string]>([
    ['a bigint', { queue: 'q', jobId: 5n }, 'Expected `key.jobId` to be a string, got 5'],
    ['a number', { queue: 'q', jobId: 5 }, 'Expected `key.jobId` to be a string, got 5'],
    ['no queue', { jobId: '5' }, 'Expected `key.queue` to be a string, got undefined'],
    ['nothing', undefined, 'Expected `key.queue` to be a string, got undefined'],
  ])('a key with %s is refused', async (_, key, message) => {
    const refused = { code: 'ERR_INVALID_ARGUMENT', message };
    await expect(createStore().get(key as JobKey)).rejects.toMatchObject(refused);
    await expect(createStore().attempts(key as JobKey)).rejects.toMatchObject(refused);
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
