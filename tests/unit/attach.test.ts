import { Worker } from 'bullmq';
import { MemoryStatusStore } from 'bullmq-job-status';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type JobStatusError } from '../../src/errors.ts';
import { attach, FakeWorker } from '../support/fake-worker.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('attaching and detaching', () => {
  test('close leaves the worker as it was; a second close is the first', async () => {
    const worker = new FakeWorker();
    const before = { emit: worker.emit, close: worker.close };
    const tracker = attach(worker, new MemoryStatusStore());
    expect(worker.emit).not.toBe(before.emit);
    const closing = tracker.close();
    expect(tracker.close()).toBe(closing);
    await closing;
    expect({ emit: worker.emit, close: worker.close }).toEqual(before);
    expect(Object.hasOwn(worker, 'emit')).toBe(false);
  });

  test('two trackers on one worker, closed in either order, each see what comes while they are open', async () => {
    for (const firstToClose of [0, 1]) {
      const worker = new FakeWorker();
      const stores = [new MemoryStatusStore(), new MemoryStatusStore()];
      const trackers = stores.map((store) => attach(worker, store));
      worker.run('active', '1');
      await trackers[firstToClose]?.close();
      worker.run('active', '2');
      expect(trackers[firstToClose]?.stats()).toMatchObject({ pending: 0, written: 1 });
      await trackers[1 - firstToClose]?.close();
      worker.run('active', '3');
      expect(await stores[firstToClose]?.count()).toBe(1);
      expect(await stores[1 - firstToClose]?.count()).toBe(2);
    }
  });

  test('`await using` closes it', async () => {
    const store = new MemoryStatusStore();
    {
      await using _ = attach(new FakeWorker(), store);
    }
    const worker = new FakeWorker();
    {
      await using tracker = attach(worker, store);
      worker.run();
      expect(tracker.stats().pending).toBe(1);
    }
    expect(await store.count()).toBe(1);
  });

  test('worker.close() waits for the rows, closes once each time it is called, and never rejects for us', async () => {
    const worker = new FakeWorker();
    const errors: unknown[] = [];
    const store = new MemoryStatusStore();
    vi.spyOn(store, 'write').mockImplementation(() => new Promise(() => {}));
    attach(worker, store, { flushTimeoutMs: 20, onError: (error: unknown) => errors.push(error) });
    worker.run();
    await worker.close();
    expect(worker.closed).toBe(1);
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_FLUSH_INCOMPLETE' })]);
    expect((errors[0] as JobStatusError).updates).toMatchObject([{ jobId: '1' }]);
  });

  test('whoever closes the worker while the rows are on their way waits for them too', async () => {
    for (const closeFirst of ['worker', 'tracker'] as const) {
      const worker = new FakeWorker();
      const store = new MemoryStatusStore();
      const write = store.write.bind(store);
      vi.spyOn(store, 'write').mockImplementation(async (updates) => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        await write(updates);
      });
      const tracker = attach(worker, store);
      worker.run();
      const first = closeFirst === 'worker' ? worker.close() : tracker.close();
      await new Promise((resolve) => setTimeout(resolve, 5));
      await worker.close();
      expect(await store.count()).toBe(1);
      await first;
    }
  });

  test('many who close the worker are told once, and several trackers flush at the same time', async () => {
    const worker = new FakeWorker();
    const errors: string[] = [];
    const start = performance.now();
    for (let i = 0; i < 5; i++) {
      const store = new MemoryStatusStore();
      vi.spyOn(store, 'write').mockImplementation(() => new Promise(() => {}));
      attach(worker, store, {
        flushTimeoutMs: 100,
        onError: ({ code }: JobStatusError) => errors.push(code),
      });
    }
    worker.run();
    await Promise.all([worker.close(), worker.close(), worker.close()]);
    expect(errors.filter((code) => code === 'ERR_FLUSH_INCOMPLETE').length).toBe(5);
    expect(performance.now() - start).toBeLessThan(450);
  });

  test('trackers that come before the last has gone leave nothing behind', async () => {
    const worker = new FakeWorker();
    let last = attach(worker, new MemoryStatusStore());
    const { emit } = worker;
    for (let i = 0; i < 1_000; i++) {
      const next = attach(worker, new MemoryStatusStore());
      await last.close();
      last = next;
    }
    expect(worker.emit).toBe(emit);
    await last.close();
    expect(Object.hasOwn(worker, 'emit')).toBe(false);
  });

  test('a method that somebody put on the worker before ours is there again', async () => {
    const worker = new FakeWorker();
    const theirs = (...args: unknown[]) => args.length > 0;
    worker.emit = theirs;
    await attach(worker, new MemoryStatusStore()).close();
    expect(worker.emit).toBe(theirs);
  });

  test('what comes once a tracker is closing is not taken', async () => {
    const worker = new FakeWorker();
    const store = new MemoryStatusStore();
    const write = store.write.bind(store);
    vi.spyOn(store, 'write').mockImplementation(async (updates) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await write(updates);
    });
    const tracker = attach(worker, store);
    worker.run('active', '1');
    const closing = tracker.close();
    worker.run('active', '2');
    await closing;
    expect(tracker.stats()).toMatchObject({ pending: 0, written: 1 });
  });

  test('rows name the worker by its name option, or else by its id', async () => {
    for (const [name, shown] of [
      ['eu-1', 'eu-1'],
      ['', 'w1'],
      [undefined, 'w1'],
      ['a\0', 'a\uFFFD'],
    ]) {
      const worker = Object.assign(new FakeWorker(), { opts: { name } });
      const store = new MemoryStatusStore();
      const tracker = attach(worker, store);
      worker.run();
      await tracker.close();
      expect(await store.get({ queue: 'q', jobId: '1' })).toMatchObject({ worker: shown });
    }
  });

  test('a method that somebody put over ours stays', async () => {
    const worker = new FakeWorker();
    const tracker = attach(worker, new MemoryStatusStore());
    const ours = worker.emit.bind(worker);
    const theirs = (event: string, ...args: unknown[]) => ours(event, ...args);
    worker.emit = theirs;
    await tracker.close();
    expect(worker.emit).toBe(theirs);
    const store = new MemoryStatusStore();
    const again = attach(worker, store);
    worker.run();
    await again.close();
    expect(await store.count()).toBe(1);
  });

  test('with flushOnClose off, worker.close() does not wait, and the rows come all the same', async () => {
    const worker = new FakeWorker();
    const store = new MemoryStatusStore();
    const tracker = attach(worker, store, { flushOnClose: false });
    worker.run();
    await worker.close();
    await tracker.close();
    expect(await store.count()).toBe(1);
  });
});

test('a real Worker is what is attached to', async () => {
  const worker = new Worker('q', async () => {}, {
    connection: { lazyConnect: true },
    autorun: false,
  });
  worker.on('error', () => {});
  await attach(worker, new MemoryStatusStore()).close();
  await worker.close(true);
});
