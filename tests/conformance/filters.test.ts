import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { StatusQuery } from '../../src/store.ts';
import type { StatusUpdate } from '../../src/types.ts';
import { START } from '../../src/testing/histories.ts';
import { manyJobs, newQueueName, writeManyJobs } from '../support/many-jobs.ts';
import { readAll } from '../support/rows.ts';
import { STORES } from '../support/stores.ts';

const circular: Record<string, unknown> = {};
circular['self'] = circular;

describe.each(Object.entries(STORES))('%s store', (name, createStore) => {
  const setUp = () => writeManyJobs(createStore(), newQueueName(name));

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

  test('list, count and delete take one id, or several', async () => {
    const { queue, store } = await setUp();
    const [update] = manyJobs(queue) as [StatusUpdate];
    const odd = [
      'a,b',
      '"q"',
      String.raw`\ "`,
      '(a)',
      'in.(1)',
      'null',
      '',
      ' ',
      'é😀',
      '%',
      'a\uFFFDb',
    ];
    await store.write(odd.map((jobId) => ({ ...update, jobId })));
    await store.write([{ ...update, queue: `${queue}-2`, jobId: '(a)' }]);
    const ids = async (query: StatusQuery) => {
      const { items } = await store.list({ limit: 100, ...query });
      expect(await store.count(query)).toBe(items.length);
      return items.map((row) => row.jobId).toSorted();
    };
    expect(await ids({ queue, jobId: '7' })).toEqual(['7']);
    expect(await ids({ queue, jobId: ['7', '8', '7', 'nobody'] })).toEqual(['7', '8']);
    expect(await ids({ queue, jobId: ['3', '4', '5'], status: 'failed' })).toEqual(['5']);
    expect(await ids({ queue, jobId: [] })).toEqual([]);
    expect(await ids({ queue, jobId: odd })).toEqual(odd.toSorted());
    // As rows have it.
    expect(await ids({ queue, jobId: 'a\0b' })).toEqual(['a\uFFFDb']);
    for (const jobId of odd) expect(await ids({ queue, jobId })).toEqual([jobId]);
    expect(await ids({ jobId: ['(a)'], createdFrom: update.createdAt })).toContain('(a)');
    expect(await store.delete({ queue, jobId: [] })).toBe(0);
    expect(await store.delete({ queue, jobId: odd })).toBe(odd.length);
    expect(await store.delete({ queue, jobId: ['1', '2'], status: 'failed' })).toBe(1);
    expect(await store.count({ queue })).toBe(29);
    expect(await store.count({ queue: `${queue}-2`, jobId: '(a)' })).toBe(1);
  });

  test('a thousand ids, page by page and at once', async () => {
    const store = createStore();
    const queue = newQueueName(name);
    const [update] = manyJobs(queue) as [StatusUpdate];
    const ids = Array.from({ length: 1_000 }, () => randomUUID());
    // Five to a millisecond; and as many others beside them.
    const at = (n: number) => new Date(START + Math.floor(n / 5));
    await store.write(ids.map((jobId, n) => ({ ...update, jobId, createdAt: at(n) })));
    await store.write(
      ids.map((jobId, n) => ({ ...update, jobId: `not-${jobId}`, createdAt: at(n) })),
    );
    expect(await store.count({ queue, jobId: ids })).toBe(1_000);
    const rows = await readAll(store, { queue, jobId: ids, limit: 300 });
    expect(rows.length).toBe(1_000);
    expect(new Set(rows.map((row) => row.jobId))).toEqual(new Set(ids));
    const inOrder = (await readAll(store, { queue, limit: 900 })).filter(
      ({ jobId }) => !jobId.startsWith('not-'),
    );
    expect(rows).toEqual(inOrder);
    expect(await store.delete({ queue, jobId: ids })).toBe(1_000);
    expect(await store.count({ queue })).toBe(1_000);
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
    ['a cursor whose time is no number', { cursor: '[true,"q","1"]' }, 'a nextCursor of an'],
    ['a cursor of what no row holds', { cursor: String.raw`[0,"q\u0000","1"]` }, 'a nextCursor of'],
    [
      'a condition that is none',
      { state: 'failed' },
      'Unknown key `state` in query; known are queue, jobId, name, status',
    ],
    [
      'an id that is none',
      { jobId: ['1', 2] },
      'Expected `query.jobId` to be a string, or a list of up to 1000 of them',
    ],
    [
      'more ids than a thousand',
      { jobId: Array.from({ length: 1_001 }, () => 'x') },
      'Expected `query.jobId` to be a string, or a list of up to 1000 of them',
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
});
