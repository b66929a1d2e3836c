import { describe, expect, test } from 'vitest';
import type { JobStatus, StatusUpdate } from '../../src/types.ts';
import { CANONICAL, JobHistory } from '../support/histories.ts';
import { broken, foldHistory } from '../support/law.ts';
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
    for (const [name, tell] of Object.entries(CANONICAL)) {
      test(`${name}: forwards, backwards, one by one and each twice`, async () => {
        const store = createStore();
        const { snapshots } = tell();
        for (const order of [snapshots, snapshots.toReversed(), [...snapshots, ...snapshots]]) {
          const keyed = withKey(order);
          for (const [index, snapshot] of keyed.entries()) {
            await store.write([snapshot]);
            expect(await read(store, snapshot)).toEqual(foldHistory(keyed.slice(0, index + 1)));
          }
        }
      });
    }

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
