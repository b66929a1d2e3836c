import { MemoryStatusStore } from 'bullmq-job-status';
import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import { InvalidArgumentError } from '../../src/errors.ts';
import { attach, FakeWorker } from '../support/fake-worker.ts';

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

  test.each(['toString', 'constructor', 'hasOwnProperty'])(
    'the key %s, which every object has',
    (key) => {
      expect(() => attach(worker, store, { [key]: 5 })).toThrow(
        `Unknown key \`${key}\` in options`,
      );
    },
  );

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
