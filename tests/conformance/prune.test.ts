import { describe, expect, test } from 'vitest';
import type { PruneOptions } from '../../src/store.ts';
import type { JobState } from '../../src/types.ts';
import { JobHistory, START } from '../../src/testing/histories.ts';
import { manyJobs, newQueueName } from '../support/many-jobs.ts';
import { STORES } from '../support/stores.ts';

describe.each(Object.entries(STORES))('%s store: prune', (name, createStore) => {
  // It takes from every queue: so these jobs are in a table of their own.
  const LONG_AGO = Date.UTC(1971, 0, 1);
  const longAgo = (ms: number) => new Date(LONG_AGO + ms);

  async function setUpLongAgo() {
    const store = createStore({ table: 'retention' });
    await store.prune({ olderThan: longAgo(1_000_000) });
    const queue = newQueueName(name);
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

  test('takes the attempts of a job with it, and those of no other', async () => {
    const store = createStore({ table: 'retention' });
    await store.prune({ olderThan: longAgo(1_000_000) });
    const queue = newQueueName(name);
    const twice = (id: string) =>
      new JobHistory({ queue, id })
        .start()
        .fail(1, 0)
        .start()
        .complete()
        .snapshots.map((each) => ({
          ...each,
          createdAt: new Date(LONG_AGO),
        }));
    const [ended, active] = [twice('ended'), twice('active').slice(0, 3)];
    await store.write([...ended, ...active]);
    const attempts = async (jobId: string) => (await store.attempts({ queue, jobId })).length;
    expect([await attempts('ended'), await attempts('active')]).toEqual([2, 2]);
    expect(await store.prune({ olderThan: new Date(START + 60_000) })).toBe(1);
    expect([await attempts('ended'), await attempts('active')]).toEqual([0, 2]);
    await store.write([ended.at(-1)!]);
    expect(await attempts('ended')).toBe(1);
    expect(await store.delete({ queue })).toBe(2);
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
