import { setImmediate } from 'node:timers/promises';
import { compareAndSetStore, reviveStatus, type StoredStatus } from 'bullmq-job-status';
import { statusStoreConformance, throughBatcher } from 'bullmq-job-status/testing';
import { describe, expect, test } from 'vitest';
import { eachAtOnce } from '../../src/at-once.ts';
import { JobHistory } from '../../src/testing/histories.ts';
import { attemptsOf, foldHistory } from '../../src/testing/law.ts';
import type { JobKey, StatusUpdate } from '../../src/types.ts';

/** A key-value database that keeps text, and answers a turn later. */
class TextDatabase {
  readonly texts = new Map<string, { readonly version: number; readonly text: string }>();
  /** All that was asked of it. */
  readonly reads: number[] = [];
  sets = 0;
  #versions = 0;

  async read(keys: readonly JobKey[]) {
    this.reads.push(keys.length);
    await setImmediate();
    const found = keys.map((key) => this.texts.get(JSON.stringify(key)));
    return found.flatMap((each) =>
      each === undefined ? [] : [{ version: each.version, row: JSON.parse(each.text) }],
    );
  }

  async compareAndSet(key: JobKey, expected: number | undefined, row: StoredStatus) {
    this.sets++;
    await setImmediate();
    const name = JSON.stringify(key);
    if (this.texts.get(name)?.version !== expected) return false;
    this.texts.set(name, { version: ++this.#versions, text: JSON.stringify(row) });
    return true;
  }
}

const key = { queue: 'q', jobId: '1' };
const history = () => new JobHistory().start().fail(1, 0).start(40).progress().complete().snapshots;

describe('of a database of text', () => {
  const database = new TextDatabase();
  const createStore = () => compareAndSetStore(database);
  statusStoreConformance({ test, createStore, capabilities: { attempts: true } });

  describe('through the batcher', () => {
    statusStoreConformance({
      test,
      createStore: () => throughBatcher(createStore()),
    });
  });
});

describe('of one that keeps what it is given, by reference, and reads in an order of its own', () => {
  const rows = new Map<string, { version: number; row: StoredStatus }>();
  const createStore = () =>
    compareAndSetStore({
      read: async (keys) =>
        keys.map((each) => rows.get(`${each.queue} ${each.jobId}`)).toReversed(),
      async compareAndSet({ queue, jobId }, version = 0, row) {
        const name = `${queue} ${jobId}`;
        if ((rows.get(name)?.version ?? 0) !== version) return false;
        rows.set(name, { version: version + 1, row });
        return true;
      },
    });
  statusStoreConformance({ test, createStore, capabilities: { attempts: true } });
});

test('a batch is read in one go, and what says nothing new is not written', async () => {
  const database = new TextDatabase();
  const store = compareAndSetStore(database);
  const told = history();
  const many = Array.from({ length: 300 }, (_, n) =>
    told.map((each) => ({ ...each, jobId: `${n}` })),
  );
  await store.write(many.flat());
  expect([database.reads, database.sets]).toEqual([[300], 300]);
  await store.write(many.flat());
  await store.write(many.map(([first]) => first!));
  expect([database.reads, database.sets]).toEqual([[300, 300, 300], 300]);
  await store.write([]);
  expect(database.reads.length).toBe(3);
});

test('under contention only those are read again that somebody else was faster with', async () => {
  const database = new TextDatabase();
  const store = compareAndSetStore(database);
  const [started, ended] = new JobHistory().start().complete().snapshots as [
    StatusUpdate,
    StatusUpdate,
  ];
  const others = Array.from({ length: 9 }, (_, n) => ({ ...started, jobId: `other-${n}` }));
  await Promise.all([store.write([started, ...others]), store.write([ended])]);
  expect(database.reads.toSorted((a, b) => a - b)).toEqual([1, 1, 10]);
  expect(await store.get(key)).toEqual(foldHistory([started, ended]));
});

test('forty writers of one row all get through', async () => {
  const database = new TextDatabase();
  const store = compareAndSetStore(database);
  const told = new JobHistory().start();
  for (let n = 2; n <= 40; n++) told.progress(1, n);
  await Promise.all(told.snapshots.toReversed().map((each) => store.write([each])));
  expect(await store.get(key)).toEqual(foldHistory(told.snapshots));
});

test('a row that is never won is told after fifty tries, with what is not stored; the others are', async () => {
  const database = new TextDatabase();
  const set = database.compareAndSet.bind(database);
  database.compareAndSet = async (of, ...rest) => of.jobId !== '1' && set(of, ...rest);
  const store = compareAndSetStore(database);
  const told = [history()[0]!, { ...history()[0]!, jobId: '2' }];
  const error: unknown = await store.write(told).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    code: 'ERR_STORE_UNAVAILABLE',
    message: expect.stringContaining('In 50 tries a row was each time changed by others'),
    updates: [expect.objectContaining({ jobId: '1' })],
  });
  expect(database.reads.length).toBe(50);
  expect(await store.get({ queue: 'q', jobId: '2' })).toBeDefined();
});

test('what fails is told once all that was begun has ended, and nothing more is begun', async () => {
  const database = new TextDatabase();
  const set = database.compareAndSet.bind(database);
  let isUnderWay = 0;
  database.compareAndSet = async (of, ...rest) => {
    isUnderWay++;
    if (of.jobId === '3') return Promise.reject(new Error('no disk')).finally(() => isUnderWay--);
    return set(of, ...rest).finally(() => isUnderWay--);
  };
  const updates = Array.from({ length: 200 }, (_, n) => ({ ...history()[0]!, jobId: `${n}` }));
  await expect(compareAndSetStore(database).write(updates)).rejects.toThrow('no disk');
  expect(isUnderWay).toBe(0);
  expect(database.sets).toBeLessThan(60);
});

test('whoever no longer waits is told so before the next try', async () => {
  const database = new TextDatabase();
  const controller = new AbortController();
  database.compareAndSet = async () => {
    controller.abort(new Error('late'));
    return false;
  };
  const store = compareAndSetStore(database);
  await expect(store.write(history(), { signal: controller.signal })).rejects.toThrow('late');
  expect(database.reads.length).toBe(1);
});

describe('a backing that is none is told by what is wrong with it', () => {
  const backing = (answers: { read?: unknown; compareAndSet?: unknown }) =>
    compareAndSetStore({
      read: async () => (answers.read ?? []) as never,
      compareAndSet: async () => answers.compareAndSet as never,
    });
  const invalid = (message: string) => ({ code: 'ERR_INVALID_ARGUMENT', message });

  test('no object, or one without its methods', () => {
    expect(() => compareAndSetStore({ read: async () => [] } as never)).toThrow(
      'Expected `backing` to be an object with read and compareAndSet, got an object with the keys read',
    );
    expect(() => compareAndSetStore(undefined as never)).toThrow('got undefined');
  });

  test('compareAndSet that does not say whether it wrote', async () => {
    await expect(backing({ compareAndSet: undefined }).write(history())).rejects.toMatchObject(
      invalid('Expected `compareAndSet(…)` to be a promise of true or false, got undefined'),
    );
  });

  test('read that gives text, or no list', async () => {
    const row = JSON.stringify(foldHistory(history()));
    await expect(backing({ read: [{ version: 1, row }] }).get(key)).rejects.toMatchObject(
      invalid(
        'Expected `row` to be one that compareAndSet was given, or JSON.parse of that, got a string',
      ),
    );
    await expect(backing({ read: { version: 1, row } }).get(key)).rejects.toMatchObject(
      invalid(
        'Expected `read(…)` to be a promise of a list, got an object with the keys version, row',
      ),
    );
  });

  test('read that gives rows of other keys, or without a version', async () => {
    const row = foldHistory(history())!;
    await expect(
      backing({ read: [{ version: 1, row: { ...row, jobId: '2' } }] }).get(key),
    ).rejects.toMatchObject(
      invalid(
        'Expected `read(…)` to be rows of the keys that were asked for: do two keys share a record?, got that of "q", "2"',
      ),
    );
    await expect(backing({ read: [{ row }] }).get(key)).rejects.toMatchObject(
      invalid('Expected `version` to be what changes with each write, got undefined'),
    );
  });

  test('a time that is none', async () => {
    const row = { ...foldHistory(history())!, createdAt: 'yesterday' };
    await expect(backing({ read: [{ version: 1, row }] }).get(key)).rejects.toMatchObject(
      invalid('Expected `row.createdAt` to be a time, or its ISO text, got a string'),
    );
  });

  test('a key that is none', async () => {
    await expect(backing({}).get({ queue: 'q' } as never)).rejects.toMatchObject(
      invalid('Expected `key.jobId` to be a string, got undefined'),
    );
  });
});

test('a row of an older version is read as if what it lacks were none', async () => {
  const database = new TextDatabase();
  const store = compareAndSetStore(database);
  const told = new JobHistory().start().fail().snapshots;
  await store.write(told);
  const [name, kept] = database.texts.entries().next().value!;
  const { cancellation, queuedOn, delayedUntil, altered, earlierAttempts, ...older } = JSON.parse(
    kept.text,
  );
  expect([cancellation, queuedOn, delayedUntil, altered, earlierAttempts]).toEqual([
    null,
    null,
    null,
    null,
    [],
  ]);
  database.texts.set(name, { version: kept.version, text: JSON.stringify(older) });
  expect(await store.get(key)).toEqual(foldHistory(told));
  expect(await store.attempts(key)).toEqual(attemptsOf(told));
  await store.write(told);
  expect(database.sets).toBe(1);
});

test('a row that JSON has been made of is revived, without what is beside it', async () => {
  const database = new TextDatabase();
  await compareAndSetStore(database).write(history());
  const { text } = database.texts.values().next().value!;
  expect(reviveStatus(JSON.parse(text))).toEqual(foldHistory(history()));
  expect(() => reviveStatus(text as never)).toThrow(
    'Expected `row` to be one that compareAndSet was given, or JSON.parse of that, got a string',
  );
});

test('an aborted write writes no more of its batch', async () => {
  const database = new TextDatabase();
  const controller = new AbortController();
  const set = database.compareAndSet.bind(database);
  database.compareAndSet = (...args) => {
    controller.abort(new Error('late'));
    return set(...args);
  };
  const updates = Array.from({ length: 500 }, (_, n) => ({ ...history()[0]!, jobId: `${n}` }));
  const written = compareAndSetStore(database).write(updates, { signal: controller.signal });
  await expect(written).rejects.toThrow('late');
  expect(database.sets).toBeLessThan(60);
});

test('eachAtOnce takes so many at once, and each once', async () => {
  const seen: number[] = [];
  let [now, most] = [0, 0];
  await eachAtOnce(4, Array.from({ length: 20 }).keys(), async (n) => {
    most = Math.max(most, ++now);
    await setImmediate();
    seen.push(n);
    now--;
  });
  expect(seen.toSorted((a, b) => a - b)).toEqual([...Array.from({ length: 20 }).keys()]);
  expect(most).toBe(4);
});

test('eachAtOnce begins one after the other where each blocks, and none after a failure', async () => {
  const begun: number[] = [];
  const blocking = eachAtOnce(50, Array.from({ length: 200 }).keys(), async (n) => {
    begun.push(n);
    throw new Error('database is locked');
  });
  await expect(blocking).rejects.toThrow('database is locked');
  expect(begun).toEqual([0]);
});
