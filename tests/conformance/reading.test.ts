import { describe, expect, test } from 'vitest';
import type { JobKey, StatusUpdate } from '../../src/types.ts';
import { JobHistory, START } from '../../src/testing/histories.ts';
import { manyJobs, newQueueName } from '../support/many-jobs.ts';
import { STORES } from '../support/stores.ts';

describe.each(Object.entries(STORES))('%s store', (name, createStore) => {
  test('a key is looked for as rows have it', async () => {
    const store = createStore();
    const [update] = manyJobs('keys') as [StatusUpdate];
    await store.write([{ ...update, jobId: 'a\uFFFDb' }]);
    expect(await store.get({ queue: 'keys', jobId: 'a\0b' })).toMatchObject({ jobId: 'a\uFFFDb' });
    expect(await store.count({ queue: '\0' })).toBe(0);
    await store.write([{ ...update, jobId: 'm', metadata: { org: 'a\uFFFDb' } }]);
    expect(await store.count({ queue: 'keys', metadata: { org: 'a\0b' } })).toBe(1);
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
