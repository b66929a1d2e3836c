import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergeStatus } from '../../src/merge.ts';
import type { JobStatus, StatusUpdate } from '../../src/types.ts';
import { CANONICAL, JobHistory, randomHistory } from '../support/histories.ts';
import { broken } from '../support/law.ts';
import { STORES, type WholeStore } from '../support/stores.ts';

/** The row that the law gives; every store must come to the same. */
function fold(snapshots: readonly StatusUpdate[]): JobStatus | undefined {
  return snapshots.reduce<JobStatus | undefined>(mergeStatus, undefined);
}

let histories = 0;
const runId = Date.now();

/** The same history under a key of its own. */
function withKey(snapshots: readonly StatusUpdate[]): StatusUpdate[] {
  const jobId = `${runId}-${++histories}`;
  return snapshots.map((snapshot) => ({ ...snapshot, queue: 'law', jobId }));
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
            expect(await read(store, snapshot)).toEqual(fold(keyed.slice(0, index + 1)));
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

    test('random histories, shuffled, repeated, cut into batches and written by four at once', async () => {
      const store = createStore();
      const manyHistories = fc.array(randomHistory, { minLength: 20, maxLength: 20 });
      await fc.assert(
        fc.asyncProperty(manyHistories, fc.infiniteStream(fc.nat()), async (many, dice) => {
          const random = (below: number) => (dice.next().value as number) % below;
          const told = many.map(withKey);
          const order = [...told.flat(), ...told.flat().slice(0, 20)];
          for (let i = order.length - 1; i > 0; i--) {
            const j = random(i + 1);
            [order[i], order[j]] = [order[j] as StatusUpdate, order[i] as StatusUpdate];
          }
          const batches: StatusUpdate[][] = [];
          while (order.length > 0) batches.push(order.splice(0, 1 + random(40)));
          const writer = async () => {
            for (let batch = batches.pop(); batch !== undefined; batch = batches.pop())
              await store.write(batch);
          };
          await Promise.all([writer(), writer(), writer(), writer()]);
          for (const history of told) {
            expect(await read(store, history[0] as StatusUpdate)).toEqual(fold(history));
          }
        }),
        { numRuns: 15 },
      );
    });
  },
);
