import { conformanceTests, type SuiteOptions } from 'bullmq-job-status/testing';
import { expect, test } from 'vitest';
import { eachAtOnce } from '../../src/at-once.ts';
import { MemoryStatusStore } from '../../src/stores/memory.ts';
import { storeWith } from '../support/broken-stores/index.ts';

/* How the tests of the kit are run: at once, on stores that do less, that throw, that fail to close. */

const SLOW = { timeout: 30_000 };

/** What fails of a suite whose tests are all run at the same time. */
async function failuresAtOnce(options: SuiteOptions): Promise<string[]> {
  const tests = conformanceTests({ seed: 7, runs: 20, ...options });
  const outcomes = await Promise.allSettled(tests.map(({ run }) => run()));
  return outcomes.flatMap((each) => (each.status === 'rejected' ? [String(each.reason)] : []));
}

test('all at once on the same rows, no test disturbs another, or the time zone', SLOW, async () => {
  const store = new MemoryStatusStore();
  const zone = process.env['TZ'];
  const offset = new Date(0).getTimezoneOffset();
  // The second suite has rows of its own, and the same process.
  const failures = await Promise.all([
    failuresAtOnce({ createStore: () => store }),
    failuresAtOnce({ createStore: () => new MemoryStatusStore() }),
  ]);
  expect(failures).toEqual([[], []]);
  expect(process.env['TZ']).toBe(zone);
  expect(new Date(0).getTimezoneOffset()).toBe(offset);
});

test('a right store that knows no condition but the queue is not blamed', SLOW, async () => {
  const only = (query: object = {}) => {
    const unknown = Object.keys(query).find((key) => !['queue', 'limit', 'cursor'].includes(key));
    if (unknown !== undefined) throw new TypeError(`unknown ${unknown}`);
  };
  class OfQueues extends MemoryStatusStore {
    override async list(...[query]: Parameters<MemoryStatusStore['list']>) {
      only(query);
      return super.list(query);
    }
    override async count(...[query]: Parameters<MemoryStatusStore['count']>) {
      only(query);
      return super.count(query);
    }
    override async delete(...[query]: Parameters<MemoryStatusStore['delete']>) {
      only(query);
      return super.delete(query);
    }
  }
  const createStore = () => new OfQueues();
  expect(await failuresAtOnce({ createStore, capabilities: { filters: ['queue'] } })).toEqual([]);
});

test('a method that is not to be tested is not called', SLOW, async () => {
  const notYet = async (): Promise<never> => {
    throw new Error('not done yet');
  };
  const createStore = () =>
    Object.assign(new MemoryStatusStore(), { list: notYet, delete: notYet, attempts: notYet });
  const capabilities = { list: false, delete: false, attempts: false };
  expect(await failuresAtOnce({ createStore, capabilities })).toEqual([]);
});

test('a close that fails is told, and hides no law that is broken', async () => {
  const close = async (): Promise<never> => {
    throw new Error('pool is busy');
  };
  const firstOf = (createStore: SuiteOptions['createStore']) =>
    conformanceTests({ createStore, seed: 7, runs: 20 })[0]!.run();
  await expect(firstOf(() => ({ ...storeWith(), close }))).rejects.toMatchObject({
    code: 'ERR_LAW_BROKEN',
    message: expect.stringMatching(
      /^The law of Snapshot .*\nIts close\(\) failed:\n {2}pool is busy/,
    ),
  });
  const wrong = () => ({ ...storeWith({ take: () => [] }), close });
  await expect(firstOf(wrong)).rejects.toThrow('there is no row');
});

test('a store that throws before it gives a promise fails its tests, and nothing else', async () => {
  const createStore = () => ({
    ...storeWith(),
    write(): Promise<void> {
      throw new Error('thrown at once');
    },
  });
  const failures = await failuresAtOnce({ createStore });
  expect(failures.length).toBeGreaterThan(60);
  for (const failure of failures) expect(failure).toContain('The law of ');
  const thrown = eachAtOnce(3, [1, 2], () => {
    throw new Error('thrown at once');
  });
  await expect(thrown).rejects.toThrow('thrown at once');
});
