import {
  conformanceTests,
  statusStoreConformance,
  type ConformanceOptions,
  type SuiteOptions,
} from 'bullmq-job-status/testing';
import { statusMatcher } from 'bullmq-job-status';
import { describe, expect, test, vi } from 'vitest';
import type { StatusQuery } from '../../src/store.ts';
import { MemoryStatusStore } from '../../src/stores/memory.ts';
import { storeWith } from '../support/broken-stores/index.ts';

/* What the kit may be asked for, and what it makes of stores that have not every method. */

const SUITE: SuiteOptions = { createStore: () => new MemoryStatusStore(), seed: 7, runs: 20 };

describe('options', () => {
  const wrong: readonly (readonly [string, unknown, RegExp])[] = [
    ['nothing', undefined, /Expected `options.createStore` to be a function that returns a Status/],
    ['null', null, /Expected `options` to be an object, got null/],
    ['no createStore', { seed: 1 }, /`options.createStore` to be a function .*, got undefined/],
    ['a store', { createStore: new MemoryStatusStore() }, /`options.createStore` to be a function/],
    ['a seed of text', { ...SUITE, seed: '1' }, /`options.seed` to be a whole number, got "1"/],
    ['a seed with a fraction', { ...SUITE, seed: 1.5 }, /`options.seed` to be a whole .*got 1.5/],
    [
      'no runs',
      { ...SUITE, runs: 0 },
      /`options.runs` to be a whole number from 1 to 100000, got 0/,
    ],
    ['too many', { ...SUITE, runs: 100_001 }, /`options.runs` to be .* got 100001/],
    [
      'a capability of text',
      { ...SUITE, capabilities: { list: 'yes' } },
      /`options.capabilities.list` to be true or false, got "yes"/,
    ],
    [
      'a capability that is none',
      { ...SUITE, capabilities: { fly: true } },
      /Unknown key `fly` in options.capabilities; known are attempts, list, .*filters/,
    ],
    [
      'filters without queue',
      { ...SUITE, capabilities: { filters: ['status'] } },
      /`options.capabilities.filters` to be a list of .*queue must be among them/,
    ],
    [
      'a filter that is none',
      { ...SUITE, capabilities: { filters: ['queue', 'colour'] } },
      /`options.capabilities.filters` to be a list of queue, jobId/,
    ],
    [
      'an option that is none',
      { ...SUITE, sed: 1 },
      /Unknown key `sed` in options; known are createStore, createUnavailableStore, capabilities, seed, runs/,
    ],
  ];

  test.each(wrong)('%s is refused, and it is said what was expected', (_, options, message) => {
    const error = expect.objectContaining({
      name: 'InvalidArgumentError',
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    });
    expect(() => conformanceTests(options as SuiteOptions)).toThrow(error);
    const named = typeof options === 'object' && options !== null ? options : {};
    const registered = vi.fn<ConformanceOptions['test']>();
    if (options === named) {
      const withTest = { test: registered, ...named } as never as ConformanceOptions;
      expect(() => statusStoreConformance(withTest)).toThrow(error);
    }
    expect(registered).not.toHaveBeenCalled();
  });

  test.each([undefined, null, {}, SUITE, { ...SUITE, test: 'it' }])(
    'without a test to register by (%#) it is refused',
    (options) => {
      expect(() => statusStoreConformance(options as ConformanceOptions)).toThrow(
        /Expected `options.test` to be a function, got/,
      );
    },
  );

  test('what createStore gives must be a store', async () => {
    const [first] = conformanceTests({ ...SUITE, createStore: () => ({}) as never });
    await expect(first?.run()).rejects.toThrow(/`store` to be a StatusStore with write and get/);
  });

  test('createStore may make a store in its own time, and each is closed', async () => {
    const close = vi.fn<() => Promise<void>>(async () => {});
    const createStore = async () => Object.assign(new MemoryStatusStore(), { close });
    const [first] = conformanceTests({ ...SUITE, createStore });
    expect(await first?.run()).toBe('held');
    expect(close).toHaveBeenCalledTimes(1);
  });

  test('a store is closed where a test fails, too', async () => {
    const close = vi.fn<() => Promise<void>>(async () => {});
    const createStore = () => ({ ...storeWith({ take: () => [] }), close });
    const [first] = conformanceTests({ ...SUITE, createStore });
    await expect(first?.run()).rejects.toThrow('there is no row');
    expect(close).toHaveBeenCalledTimes(1);
  });

  test('each test is registered with a name and a time limit', async () => {
    const registered: Parameters<ConformanceOptions['test']>[] = [];
    const ofRunner: ConformanceOptions['test'] = (...args) => registered.push(args);
    statusStoreConformance({ ...SUITE, test: ofRunner });
    expect(registered.map(([name]) => name)).toEqual(
      conformanceTests(SUITE).map(({ name }) => name),
    );
    expect(new Set(registered.map(([name]) => name)).size).toBe(registered.length);
    for (const [, run, timeoutMs] of registered) {
      expect(timeoutMs).toBeGreaterThan(1_000);
      expect(run).toBeTypeOf('function');
    }
    expect(await registered[0]?.[1]()).toBeUndefined();
  });
});

describe('capabilities', () => {
  const ofLaw = (law: string, options: SuiteOptions) =>
    conformanceTests(options).filter(({ name }) => name.startsWith(`${law}: `));
  const LAWS = [
    ['attempts', 'Attempts'],
    ['list', 'List'],
    ['count', 'Count'],
    ['delete', 'Delete'],
    ['prune', 'Prune'],
  ] as const;

  test.each(LAWS)('%s: true, on a store without it, fails', async (method, law) => {
    const createStore = () => ({ ...storeWith(), attempts: undefined as never });
    const tests = ofLaw(law, { ...SUITE, createStore, capabilities: { [method]: true } });
    expect(tests).not.toEqual([]);
    for (const { run } of tests)
      await expect(run()).rejects.toThrow(
        `Expected \`store.${method}\` to be a method, as capabilities has it, got none`,
      );
  });

  test.each(LAWS)('%s: false leaves its tests out, though the store has it', (method, law) => {
    const without = conformanceTests({ ...SUITE, capabilities: { [method]: false } });
    const all = conformanceTests(SUITE).map(({ name }) => name);
    expect(without.map(({ name }) => name)).toEqual(
      all.filter((name) => !name.startsWith(`${law}: `)),
    );
  });

  test.each(LAWS)('%s, not named, is not there where the store has it not', async (_, law) => {
    const createStore = () => ({ ...storeWith(), attempts: undefined as never });
    const tests = ofLaw(law, { ...SUITE, createStore });
    expect(tests).not.toEqual([]);
    for (const { run } of tests) expect(await run()).toBe('not there');
  });

  test('filters: only those named are asked for', async () => {
    const asked = new Set<string>();
    class Asked extends MemoryStatusStore {
      override async list(query: StatusQuery = {}) {
        const unknown = ['name', 'metadata', 'updatedBefore'].find((field) => field in query);
        if (unknown !== undefined) throw new TypeError(`${unknown} is not known`);
        const page = await super.list(query);
        for (const field of Object.keys(query)) asked.add(field);
        return page;
      }
    }
    const filters = ['queue', 'jobId', 'status', 'createdFrom', 'createdBefore'] as const;
    const others = ['finishedFrom', 'finishedBefore'] as const;
    const createStore = () => new Asked();
    const capabilities = { filters: [...filters, ...others] };
    for (const { run } of ofLaw('List', { ...SUITE, createStore, capabilities }))
      expect(await run()).toBe('held');
    expect(asked).toEqual(new Set([...filters, ...others, 'limit', 'cursor']));
  });
});

describe('a store whose database is out of reach', () => {
  const outOfReach = async (): Promise<never> => {
    throw new Error('ECONNREFUSED');
  };
  const name =
    'Delivery: what a database that is out of reach does not store, or tell, is rejected';
  const outcome = (createUnavailableStore?: SuiteOptions['createUnavailableStore']) =>
    conformanceTests({ ...SUITE, createUnavailableStore })
      .find((each) => each.name === name)!
      .run();

  test('is not asked for where none is made', async () => {
    expect(await outcome()).toBe('not there');
  });

  test('must reject whatever it is asked', async () => {
    const right = { write: outOfReach, get: outOfReach, list: outOfReach };
    expect(await outcome(() => right)).toBe('held');
    const swallowing = { ...right, write: async () => {}, list: async () => ({ items: [] }) };
    await expect(outcome(() => swallowing as never)).rejects.toMatchObject({
      code: 'ERR_LAW_BROKEN',
      message: expect.stringMatching(/Without a database:\n  write resolved\n  list resolved/),
    });
  });
});

test('statusMatcher leaves a cursor to its store, and checks all else', () => {
  expect(statusMatcher({ cursor: 'of my own', limit: 5 })).toBeTypeOf('function');
  expect(() => statusMatcher({ statuses: 'failed' } as StatusQuery)).toThrow(
    'Unknown key `statuses`',
  );
});
