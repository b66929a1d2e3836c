import { createHash } from 'node:crypto';
import { conformanceTests, type SuiteOptions } from 'bullmq-job-status/testing';
import { describe, expect, test, vi } from 'vitest';
import { MemoryStatusStore } from '../../src/stores/memory.ts';
import { shortest } from '../../src/testing/shortest.ts';
import type { StatusUpdate } from '../../src/types.ts';
import { storeWith } from '../support/broken-stores/index.ts';

/* The kit itself: what it tells stores is drawn from a seed, and what it says is the shortest. */

/** For tests that run the whole kit, some of them several times. */
const SLOW = { timeout: 60_000 };

const SUITE: SuiteOptions = { createStore: () => new MemoryStatusStore(), seed: 7, runs: 20 };

/** Runs every test. @returns what came of each, by its name */
async function resultsOf(options: SuiteOptions): Promise<Record<string, unknown>> {
  const results: Record<string, unknown> = {};
  for (const { name, run } of conformanceTests(options))
    results[name] = await run().catch((error: unknown) => error);
  return results;
}

describe('a right store passes every test', () => {
  test('the memory store', SLOW, async () => {
    const results = await resultsOf({ ...SUITE, runs: 50 });
    const missing = Object.keys(results).filter((name) => results[name] !== 'held');
    expect(missing.map((name) => results[name])).toEqual(['not there', 'not there']);
    // It shares its rows with no other, and has no database.
    expect(missing).toEqual([
      expect.stringContaining('two stores on the same rows'),
      expect.stringContaining('a database that is out of reach'),
    ]);
  });

  test(
    'the one that the broken ones are made of, which has no more than it must have',
    SLOW,
    async () => {
      const results = await resultsOf({ createStore: storeWith, seed: 7, runs: 50 });
      const missing = Object.keys(results).filter((name) => results[name] === 'not there');
      expect(new Set(Object.values(results))).toEqual(new Set(['held', 'not there']));
      expect(new Set(missing.map((name) => name.split(':')[0]))).toEqual(
        new Set(['Atomicity', 'Delivery', 'List', 'Count', 'Delete', 'Prune']),
      );
    },
  );
});

describe('what is told', () => {
  /** Each batch of each test, as a hash, with the queues numbered in the order in which they come. */
  async function told(seed: number, withStacks = false): Promise<Record<string, string[]>> {
    const batches: Record<string, string[]> = {};
    let current: string[] = [];
    let queues = new Map<string, number>();
    const numbered = (text: string) =>
      text.replaceAll(/kit-[\da-f-]{36}/g, (drawn) => {
        queues.set(drawn, queues.get(drawn) ?? queues.size);
        return `${queues.get(drawn)}`;
      });
    class Recording extends MemoryStatusStore {
      override async write(updates: readonly StatusUpdate[]) {
        const text = JSON.stringify(updates, (field, value: unknown) =>
          field === 'stack' && !withStacks ? '' : value,
        );
        current.push(createHash('sha1').update(numbered(text)).digest('base64'));
        await super.write(updates);
      }
    }
    const createStore = () => new Recording();
    for (const { name, run } of conformanceTests({ createStore, seed, runs: 20 })) {
      [current, queues] = [[], new Map()];
      batches[name] = current;
      await run();
    }
    return batches;
  }

  test('is the same for the same seed, batch by batch, and another for another', SLOW, async () => {
    const [first, again, other] = [await told(7), await told(7), await told(8)];
    expect(again).toEqual(first);
    const differs = Object.keys(first).filter(
      (name) => JSON.stringify(first[name]) !== JSON.stringify(other[name]),
    );
    expect(differs).toEqual(
      expect.arrayContaining([
        'Merge: a job that stands in one batch several times',
        'Loss: random histories of which any snapshots are lost',
        'Order: random histories, shuffled, one snapshot at a time',
        'Time: exact to the millisecond, from 1970 to 9999',
        'Atomicity: random histories, scattered over four writers at once',
        'Delivery: random histories through the batcher, while writes fail and answers are lost',
        'Attempts: of random histories, scattered over four writers at once',
      ]),
    );
  });

  test('is the same down to the stacks of errors', SLOW, async () => {
    const first = await told(7, true);
    expect(await told(7, true)).toEqual(first);
  });

  test('is drawn by lot without a seed, which the message tells', async () => {
    const seeds = new Set<string | undefined>();
    for (let n = 0; n < 3; n++) {
      const createStore = () => storeWith({ merge: (_before, update) => update });
      const [, , second] = conformanceTests({ createStore, runs: 5 });
      const error = await second?.run().catch((each: unknown) => each as Error);
      seeds.add(/Drawn with seed (\d+), runs 5\./.exec(String(error))?.[1]);
    }
    expect(seeds).not.toContain(undefined);
    expect(seeds.size).toBe(3);
  });
});

describe('the shortest of a case', () => {
  type Tried = (items: readonly number[]) => Promise<readonly string[]>;
  const items = Array.from({ length: 40 }, (_, n) => n);
  const wrongIf = (isWrong: (items: readonly number[]) => boolean) =>
    vi.fn<Tried>(async (tried) => (isWrong(tried) ? [`wrong: ${tried.length}`] : []));

  test.each([
    ['one that is wrong by itself', [17]],
    ['the first', [0]],
    ['the last', [39]],
    ['two, the ends', [0, 39]],
    ['three, far apart', [3, 4, 30]],
    ['every second one', items.filter((n) => n % 2 === 0)],
  ])('is %s', async (_, needed) => {
    const wrongWith = wrongIf((tried) => needed.every((each) => tried.includes(each)));
    expect(await shortest(items, wrongWith)).toEqual({
      items: needed,
      wrong: [`wrong: ${needed.length}`],
    });
  });

  test('keeps the order', async () => {
    const wrongWith = wrongIf(
      (tried) => tried.indexOf(30) >= 0 && tried.indexOf(30) < tried.indexOf(2),
    );
    expect((await shortest(items.toReversed(), wrongWith))?.items).toEqual([30, 2]);
  });

  test('has nothing that it could do without, whatever it is that breaks it', async () => {
    // Any three whose sum is even: many are shorter than others, and each is enough.
    const isWrong = (tried: readonly number[]) =>
      tried.length >= 3 && tried.reduce((a, b) => a + b, 0) % 2 === 0;
    const found = (await shortest(items, wrongIf(isWrong)))?.items ?? [];
    expect(isWrong(found)).toBe(true);
    for (const at of found.keys()) expect(isWrong(found.toSpliced(at, 1))).toBe(false);
  });

  test('is none where it is not wrong when tried again', async () => {
    const wrongWith = wrongIf(() => false);
    expect(await shortest(items, wrongWith)).toBeUndefined();
    expect(wrongWith).toHaveBeenCalledTimes(1);
  });

  test('is the whole of what needs each of its parts, after no more than 301 tries', async () => {
    const many = Array.from({ length: 1_000 }, (_, n) => n);
    const wrongWith = wrongIf((tried) => tried.length === many.length);
    expect((await shortest(many, wrongWith))?.items).toEqual(many);
    expect(wrongWith.mock.calls.length).toBeLessThanOrEqual(301);
  });

  test('says what is wrong of itself, and not of the whole', async () => {
    const found = await shortest(['a', 'b', 'c'], async (tried) =>
      tried.includes('b') ? [tried.join('')] : [],
    );
    expect(found).toEqual({ items: ['b'], wrong: ['b'] });
  });

  test('never tries nothing at all', async () => {
    const wrongWith = wrongIf(() => true);
    expect((await shortest(items, wrongWith))?.items).toHaveLength(1);
    for (const [tried] of wrongWith.mock.calls) expect(tried.length).toBeGreaterThan(0);
  });
});
