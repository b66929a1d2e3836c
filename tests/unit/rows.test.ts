import { expect, test } from 'vitest';
import { MAX_ROWS, readRows } from '../../src/rows.ts';
import type { StatusStore } from '../../src/store.ts';
import { MemoryStatusStore } from '../../src/stores/memory.ts';
import { manyJobs } from '../support/many-jobs.ts';

const ids = (count: number) => Array.from({ length: count }, (_, at) => `${at}`);

/** A store of 30 jobs that counts what it is asked. */
async function counted() {
  const store = new MemoryStatusStore();
  await store.write(manyJobs('q'));
  const asked = { lists: 0, gets: 0 };
  const counting: StatusStore = {
    write: (updates) => store.write(updates),
    get: (key) => ((asked.gets += 1), store.get(key)),
    list: (query) => ((asked.lists += 1), store.list(query)),
  };
  return { asked, counting };
}

test('rows are read by the page, however many jobs are named', async () => {
  const { asked, counting } = await counted();
  const rows = await readRows(counting, 'q', ids(MAX_ROWS + 1), { timeoutMs: 1_000 });
  expect(rows.size).toBe(30);
  expect(asked).toEqual({ lists: 2, gets: 0 });
  expect((await readRows(counting, 'another', ids(3), { timeoutMs: 1_000 })).size).toBe(0);
});

test('from a store without list they are read one by one', async () => {
  const { asked, counting } = await counted();
  const rows = await readRows({ write: counting.write, get: counting.get }, 'q', ids(40), {
    timeoutMs: 1_000,
  });
  expect(rows.get('29')).toMatchObject({ jobId: '29', queue: 'q' });
  expect(asked).toEqual({ lists: 0, gets: 40 });
});

test('what a store rejects with is told as the fault of a store', async () => {
  const { counting } = await counted();
  const away = { ...counting, list: () => Promise.reject(new Error('away')) };
  await expect(readRows(away, 'q', ['1'], { timeoutMs: 1_000 })).rejects.toMatchObject({
    code: 'ERR_STORE_UNAVAILABLE',
    cause: expect.objectContaining({ message: 'away' }),
  });
});

test('a store that never answers a read is told so', async () => {
  const { counting } = await counted();
  const hung = { ...counting, list: () => new Promise<never>(() => {}) };
  await expect(readRows(hung, 'q', ['1'], { timeoutMs: 20 })).rejects.toMatchObject({
    code: 'ERR_STORE_TIMEOUT',
    message: 'The store did not answer within 20 ms',
  });
});
