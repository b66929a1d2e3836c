import { MemoryStatusStore } from 'bullmq-job-status';
import { inspect } from 'node:util';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type JobStatusError } from '../../src/errors.ts';
import { attach, FakeWorker, JOB } from '../support/fake-worker.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('hooks of yours that throw', () => {
  test('each is told, the job is tracked without the value, and the worker runs on', async () => {
    const errors: { code: string; message: string }[] = [];
    const broken = () => {
      throw new Error('mine');
    };
    const worker = new FakeWorker();
    const store = new MemoryStatusStore();
    const options = {
      filter: broken,
      redact: broken,
      metadata: broken,
      onError: (e: never) => errors.push(e),
    };
    const tracker = attach(worker, store, options);
    worker.run('completed');
    await tracker.flush();
    const row = await store.get({ queue: 'q', jobId: '1' });
    expect(row).toMatchObject({ status: 'completed', result: null, metadata: null });
    expect(row?.altered).toEqual({
      progress: ['hook-failed'],
      result: ['hook-failed'],
      metadata: ['hook-failed'],
    });
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['ERR_HOOK_FAILED']));
    expect(errors.map(({ message }) => message)).toContain('Your `filter` failed: mine');
  });

  test('a filter answers at once; a promise is no answer, and what is falsy is no', async () => {
    const errors: string[] = [];
    for (const [answer, rows] of [
      [undefined, 0],
      [0, 0],
      [1, 1],
      [Promise.resolve(false), 1],
    ] as const) {
      const worker = new FakeWorker();
      const store = new MemoryStatusStore();
      const onError = ({ message }: JobStatusError) => errors.push(message);
      const tracker = attach(worker, store, { filter: () => answer, onError });
      worker.run();
      await tracker.close();
      expect(await store.count()).toBe(rows);
    }
    expect(errors).toEqual(['Your `filter` failed: expected an answer at once, got a promise']);
  });

  test('a promise is no redacted value: nothing of the value is kept', async () => {
    const worker = new FakeWorker();
    const store = new MemoryStatusStore();
    const tracker = attach(worker, store, {
      redact: async (value: unknown) => value,
      onError: () => {},
    });
    worker.run('completed');
    await tracker.close();
    const row = await store.get({ queue: 'q', jobId: '1' });
    expect(row).toMatchObject({ result: null, altered: { result: ['hook-failed'] } });
  });

  test('what is thrown may be anything, and a hook may reject: nothing reaches the worker or the process', async () => {
    const unhandled = vi.fn<() => void>();
    process.on('unhandledRejection', unhandled);
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    for (const thrown of [Symbol('s'), proxy, undefined, null, 5n]) {
      const fail = () => {
        throw thrown;
      };
      for (const hook of [fail, async () => fail()]) {
        for (const name of ['filter', 'redact', 'metadata', 'onError']) {
          const worker = new FakeWorker();
          const store = new MemoryStatusStore();
          const write = store.write.bind(store);
          vi.spyOn(store, 'write').mockImplementationOnce(hook).mockImplementation(write);
          const tracker = attach(worker, store, { [name]: hook, flushTimeoutMs: 5_000 });
          const error = thrown === proxy ? undefined : thrown;
          expect(worker.emit('failed', { ...JOB, finishedOn: 5 }, error)).toBe(false);
          await tracker.close();
          expect(await store.count({ status: 'failed' })).toBe(1);
        }
      }
    }
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });

  test('no value of a job is in an error, a warning or a log line', async () => {
    const said: unknown[] = [];
    const log = (...args: unknown[]) => void said.push(args);
    const worker = new FakeWorker();
    const store = new MemoryStatusStore();
    vi.spyOn(store, 'write').mockRejectedValue(new Error('down'));
    const tracker = attach(worker, store, {
      capture: { data: true },
      metadata: () => ({ token: 's3cret' }),
      logger: { debug: log, info: log, warn: log, error: log },
      onError: log,
      flushTimeoutMs: 20,
    });
    for (const type of ['active', 'progress', 'completed', 'failed']) {
      worker.emit(type, { ...JOB, data: 's3cret', progress: 's3cret' }, 's3cret');
    }
    await tracker.close().catch((error: unknown) => said.push(error));
    expect(said.length).toBeGreaterThan(5);
    expect(() => attach('redis://:s3cret@host', store)).not.toThrow('s3cret');
    // `onError` is given the updates themselves, beside the error.
    const logged = said.map((each) => (Array.isArray(each) ? each[0] : each));
    expect(inspect(logged, { depth: 9 })).not.toContain('s3cret');
  });

  test('a promise is no metadata, and a redacted error may be any value', async () => {
    const worker = new FakeWorker();
    const store = new MemoryStatusStore();
    const redact = (value: unknown, field: string) => (field === 'error' ? 'hidden' : value);
    const tracker = attach(worker, store, {
      metadata: async () => ({}),
      redact,
      onError: () => {},
    });
    worker.run('failed', '1', { finishedOn: 5 });
    await tracker.flush();
    const row = await store.get({ queue: 'q', jobId: '1' });
    expect(row).toMatchObject({
      metadata: null,
      altered: { metadata: ['hook-failed'] },
      error: { name: 'Error', message: 'hidden' },
    });
  });

  test('an onError that throws, and errors nobody listens to, become one process warning for each code', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    for (const onError of [
      undefined,
      () => {
        throw new Error('mine');
      },
    ]) {
      const worker = new FakeWorker();
      const tracker = attach(worker, new MemoryStatusStore(), { metadata: () => 5, onError });
      worker.run();
      worker.run();
      await tracker.close();
    }
    expect(warn.mock.calls.map(([, options]) => options)).toEqual([
      expect.objectContaining({ type: 'JobStatusWarning', code: 'ERR_HOOK_FAILED' }),
      expect.objectContaining({ type: 'JobStatusWarning', code: 'ERR_HOOK_FAILED' }),
    ]);
  });

  test('a job that cannot be read is told, and not thrown into the worker', async () => {
    const errors: unknown[] = [];
    const worker = new FakeWorker();
    const tracker = attach(worker, new MemoryStatusStore(), {
      onError: (error: unknown) => errors.push(error),
    });
    const unreadable = {
      get name(): string {
        throw new Error('no');
      },
    };
    expect(worker.emit('active', unreadable)).toBe(false);
    worker.emit('failed', undefined, new Error('gone'));
    await tracker.close();
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_HOOK_FAILED' })]);
  });
});
