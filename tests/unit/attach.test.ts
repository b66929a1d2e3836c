import { Worker } from 'bullmq';
import {
  attachStatusTracking,
  MemoryStatusStore,
  type StatusStore,
  type TrackingOptions,
} from 'bullmq-job-status';
import { EventEmitter } from 'node:events';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { inspect } from 'node:util';
import { InvalidArgumentError, type JobStatusError } from '../../src/errors.ts';

const JOB = {
  id: '1',
  name: 'n',
  timestamp: 1,
  processedOn: 2,
  attemptsStarted: 1,
  attemptsMade: 0,
  opts: {},
  data: {},
  progress: 0,
};

/** What attaching reads of a worker, without a Redis: these tests are about arguments and errors. */
class FakeWorker extends EventEmitter {
  readonly name = 'q';
  readonly qualifiedName = 'bull:q';
  readonly id = 'w1';
  readonly opts = {};
  closed = 0;
  async close(): Promise<void> {
    this.closed += 1;
  }
  async getNextJob(_token: string): Promise<unknown> {
    return undefined;
  }
  run(event = 'active', id = '1', rest: object = {}): void {
    this.emit(event, { ...JOB, id, ...rest }, 'x');
  }
}

afterEach(() => {
  vi.restoreAllMocks();
});

/** Passes what the types forbid: JavaScript has none. */
function attach(worker: unknown, store: unknown, options?: unknown) {
  return attachStatusTracking(
    worker as FakeWorker,
    store as StatusStore,
    options as TrackingOptions,
  );
}

describe('bad input gets a clear error at once', () => {
  const worker = new FakeWorker();
  const store = new MemoryStatusStore();

  test.each<[string, unknown[], string]>([
    ['no worker', [undefined, store], 'Expected `worker` to be a BullMQ Worker, got undefined'],
    ['a queue name', ['emails', store], 'to be a BullMQ Worker, got a string'],
    ['a plain emitter', [new EventEmitter(), store], 'to be a BullMQ Worker, got an object'],
    [
      'no store',
      [worker],
      'Expected `store` to be a StatusStore with write and get, got undefined',
    ],
    [
      'a store without write',
      [worker, { get() {} }],
      'a StatusStore with write and get, got an object with the keys get',
    ],
    [
      'options that are none',
      [worker, store, 5],
      'Expected `options` to be an object, got a number',
    ],
    [
      'an unknown key',
      [worker, store, { flushInterval: 5 }],
      'Unknown key `flushInterval` in options; known are capture, redact,',
    ],
    [
      'an unknown key below',
      [worker, store, { capture: { results: true } }],
      'Unknown key `results` in options.capture; known are data, result, progress, error',
    ],
    [
      'too small',
      [worker, store, { maxBatchSize: 0 }],
      'Expected `options.maxBatchSize` to be a whole number from 1 to 10000, got 0',
    ],
    [
      'too great',
      [worker, store, { flushIntervalMs: 60_001 }],
      'Expected `options.flushIntervalMs` to be a whole number from 0 to 60000, got 60001',
    ],
    [
      'a fraction',
      [worker, store, { maxPending: 1.5 }],
      'Expected `options.maxPending` to be a whole number',
    ],
    ['a numeral', [worker, store, { maxBatchSize: '500' }], 'from 1 to 10000, got "500"'],
    ['null', [worker, store, { maxBatchSize: null }], 'from 1 to 10000, got null'],
    ['NaN', [worker, store, { writeTimeoutMs: NaN }], 'got NaN'],
    [
      'backoff the wrong way round',
      [worker, store, { backoff: { minMs: 10, maxMs: 5 } }],
      'Expected `options.backoff.maxMs` to be at least minMs (10), got 5',
    ],
    [
      'a hook that is none',
      [worker, store, { redact: true }],
      'Expected `options.redact` to be a function, got true',
    ],
    [
      'half a logger',
      [worker, store, { logger: { info() {} } }],
      'Expected `options.logger` to be a logger with debug, info, warn and error',
    ],
    [
      'a switch that is none',
      [worker, store, { capture: { data: 'yes' } }],
      'Expected `options.capture.data` to be true or false, got "yes"',
    ],
  ])('%s', (_, args, message) => {
    expect(() => attach(args[0], args[1], args[2])).toThrow(message);
    try {
      attach(args[0], args[1], args[2]);
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', name: 'InvalidArgumentError' });
    }
    expect(Object.keys(worker).includes('emit')).toBe(false);
  });

  test('attaching twice to one store; to another, or again after close, is fine', async () => {
    const tracker = attach(worker, store);
    expect(() => attach(worker, store)).toThrow(
      expect.objectContaining({ code: 'ERR_ALREADY_ATTACHED' }),
    );
    const other = attach(worker, new MemoryStatusStore());
    await tracker.close();
    await attach(worker, store).close();
    await other.close();
  });

  test('an explicit undefined means the default', async () => {
    const everything = {
      capture: undefined,
      maxBatchSize: undefined,
      logger: undefined,
      redact: undefined,
      backoff: { minMs: undefined },
    };
    await attach(new FakeWorker(), store, everything).close();
  });
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

test('a real Worker is what attachStatusTracking takes', async () => {
  const worker = new Worker('q', async () => {}, {
    connection: { lazyConnect: true },
    autorun: false,
  });
  worker.on('error', () => {});
  await attachStatusTracking(worker, new MemoryStatusStore()).close();
  await worker.close(true);
});
