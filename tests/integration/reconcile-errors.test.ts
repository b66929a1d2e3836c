import {
  attachQueueTracking,
  MemoryStatusStore,
  reconcile,
  type StatusStore,
} from 'bullmq-job-status';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { FakeStore } from '../support/fake-store.ts';
import { BACKENDS, newQueueOn } from '../support/queues.ts';
import { readAll } from '../support/rows.ts';

const NOW = { olderThan: 0 };

const stageOn6 = () => newQueueOn(BACKENDS['BullMQ 6']!);

test('a store without list, options that are none, a queue that is closed', async () => {
  await using stage = stageOn6();
  const store = new MemoryStatusStore();
  const noList = { write: store.write, get: store.get };
  await expect(reconcile(stage.queue, noList)).rejects.toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
    message: expect.stringContaining('a StatusStore with list'),
  });
  await expect(reconcile(stage.queue, store, { olderThan: -1 })).rejects.toThrow(
    'Expected `options.olderThan` to be a whole number from 0 to 31536000000, got -1',
  );
  await expect(reconcile(stage.queue, store, { batchSize: 501 })).rejects.toThrow('batchSize');
  await expect(reconcile(stage.queue, store, { nope: 1 } as object)).rejects.toThrow('nope');
  const signal = AbortSignal.abort(new Error('before it began'));
  await expect(reconcile(stage.queue, store, { signal })).rejects.toThrow('before it began');
  await stage.queue.close();
  await expect(reconcile(stage.queue, store)).rejects.toMatchObject({
    code: 'ERR_QUEUE_UNAVAILABLE',
  });
});

test('one repair that the store refuses is told, and the others are stored', async () => {
  await using stage = stageOn6();
  const store = new FakeStore().answers({ refuse: ['poison'] });
  await stage.queue.add('job', {}, { jobId: 'poison' });
  await stage.queue.addBulk(Array.from({ length: 9 }, () => ({ name: 'job', data: {} })));
  const told: string[] = [];
  const report = await reconcile(stage.queue, store, {
    ...NOW,
    onError: ({ code }) => told.push(code),
  });
  expect(report).toMatchObject({ added: 10 });
  expect(told).toEqual(['ERR_STORE_REFUSED']);
  expect(await store.count()).toBe(9);
});

test('a store that can be read and not written ends it with an error', async () => {
  await using stage = stageOn6();
  const store = new FakeStore().answers({ fail: new Error('read only') });
  await stage.queue.add('job', {});
  const options = { ...NOW, flushTimeoutMs: 100, onError: () => {} };
  await expect(reconcile(stage.queue, store, options)).rejects.toMatchObject({
    code: 'ERR_FLUSH_INCOMPLETE',
  });
  // And nothing goes on behind its back.
  const { length } = store.batches;
  await sleep(500);
  expect(store.batches.length).toBe(length);
});

test('a store that never answers ends it in time, on any page, and is told that nobody waits any more', async () => {
  await using stage = stageOn6();
  for (const hangsFrom of [1, 2]) {
    const store = new MemoryStatusStore();
    let pages = 0;
    let aborted: unknown;
    const hanging: StatusStore = {
      write: (updates) => store.write(updates),
      get: (key) => store.get(key),
      async list(_query, { signal } = {}) {
        if (++pages < hangsFrom) return { items: [], nextCursor: 'next' };
        return new Promise(() => {
          signal?.addEventListener('abort', () => (aborted = signal.reason));
        });
      },
    };
    const options = { ...NOW, writeTimeoutMs: 50 };
    await expect(reconcile(stage.queue, hanging, options)).rejects.toMatchObject({
      code: 'ERR_STORE_TIMEOUT',
    });
    expect({ pages, aborted }).toMatchObject({
      pages: hangsFrom,
      aborted: { code: 'ERR_STORE_TIMEOUT' },
    });
  }
});

test('a filter leaves jobs out', async () => {
  await using stage = stageOn6();
  const store = new MemoryStatusStore();
  await stage.queue.add('wanted', {});
  await stage.queue.add('unwanted', {});
  const filter = (job: { name: string }) => job.name === 'wanted';
  await reconcile(stage.queue, store, { ...NOW, filter });
  attachQueueTracking(stage.queue, store, { filter });
  await stage.queue.add('unwanted', {});
  await stage.queue.close();
  expect((await readAll(store, {})).map((row) => row.name)).toEqual(['wanted']);
});
