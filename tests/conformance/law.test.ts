import { describe, expect, test } from 'vitest';
import type { JobStatus, StatusUpdate } from '../../src/types.ts';
import { CANONICAL, CANONICAL_OF_QUEUES } from '../../src/testing/canonical.ts';
import { JobHistory } from '../../src/testing/histories.ts';
import { attemptsOf, broken, foldHistory } from '../../src/testing/law.ts';
import { STORES, type WholeStore } from '../support/stores.ts';

let histories = 0;
const queue = `law-${Date.now()}`;

/** The same history under a key of its own. */
function withKey(snapshots: readonly StatusUpdate[]): StatusUpdate[] {
  const jobId = `${++histories}`;
  return snapshots.map((snapshot) => ({ ...snapshot, queue, jobId }));
}

async function read(
  store: WholeStore,
  { queue, jobId }: StatusUpdate,
): Promise<JobStatus | undefined> {
  const row = await store.get({ queue, jobId });
  expect(row && broken(row)).toEqual([]);
  return row;
}

describe.each(Object.entries(STORES))(
  '%s store: the rows are as mergeStatus folds them',
  (_, createStore) => {
    for (const [name, tell] of Object.entries({ ...CANONICAL, ...CANONICAL_OF_QUEUES })) {
      test(`${name}: forwards, backwards, one by one and each twice`, async () => {
        const store = createStore();
        const { snapshots } = tell();
        for (const order of [snapshots, snapshots.toReversed(), [...snapshots, ...snapshots]]) {
          const keyed = withKey(order);
          for (const [index, snapshot] of keyed.entries()) {
            await store.write([snapshot]);
            const told = keyed.slice(0, index + 1);
            expect(await read(store, snapshot)).toEqual(foldHistory(told));
            expect(await store.attempts(snapshot)).toEqual(attemptsOf(told));
          }
        }
      });
    }

    test('of many attempts the last 50 are kept beside the one of the row, in any order and grouping', async () => {
      const store = createStore();
      const history = new JobHistory();
      for (let attempt = 1; attempt <= 70; attempt++) history.start(3, attempt % 7).fail(1, 0);
      history.start();
      const { snapshots } = history;
      // Each step has no divisor in common with the 141 of them.
      for (const step of [1, 140, 31, 58, 77]) {
        const keyed = withKey(snapshots.map((_, at) => snapshots[(at * step) % snapshots.length]!));
        const expected = attemptsOf(keyed);
        expect(expected.length).toBe(51);
        expect(expected.at(-1)).toMatchObject({ attempt: 71, outcome: 'active' });
        for (let at = 0; at < keyed.length; at += 9) await store.write(keyed.slice(at, at + 9));
        expect(await store.attempts(keyed[0]!)).toEqual(expected);
      }
    });

    test('attempts are those of the job that the row is of, and go with it', async () => {
      const store = createStore();
      const history = new JobHistory().start().fail(1, 0).start().fail().addAgain(10).start();
      history.fail(1, 0).start();
      const keyed = withKey(history.snapshots);
      const [key] = keyed as [StatusUpdate];
      expect(await store.attempts(key)).toEqual([]);
      const attempts = async () =>
        (await store.attempts(key)).map(({ attempt, outcome }) => [attempt, outcome]);
      await store.write(keyed.slice(0, 4));
      expect(await attempts()).toEqual([
        [1, 'failed'],
        [2, 'failed'],
      ]);
      await store.write(keyed.slice(4));
      const ofTheSecond = [
        [1, 'failed'],
        [2, 'active'],
      ];
      expect(await attempts()).toEqual(ofTheSecond);
      await store.write(keyed.slice(0, 3));
      expect(await attempts()).toEqual(ofTheSecond);
      expect(await store.delete({ queue, jobId: key.jobId })).toBe(1);
      expect(await attempts()).toEqual([]);
      await store.write(keyed.slice(-1));
      expect(await attempts()).toEqual([[2, 'active']]);
    });

    test('of one attempt the later phase is newer, whatever the sequence', async () => {
      const store = createStore();
      const { snapshots } = new JobHistory().start().fail(1, 0);
      for (const order of [snapshots, snapshots.toReversed()]) {
        const keyed = withKey(order).map((snapshot) => ({
          ...snapshot,
          sequence: snapshot.status === 'active' ? 2 : 1,
        }));
        for (const snapshot of keyed) await store.write([snapshot]);
        expect(await read(store, keyed[0] as StatusUpdate)).toMatchObject({ status: 'waiting' });
      }
    });
  },
);
