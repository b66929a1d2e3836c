import type { StatusUpdate } from '../../types.ts';
import { differences, isDate } from '../differences.ts';
import { expectNothing } from '../failure.ts';
import { JobHistory } from '../histories.ts';
import { keyed, newQueue, type LawTest } from '../kit.ts';
import { foldHistory } from '../law.ts';

/** A job with values in all its fields, to be changed behind a store's back. */
function changeable(): StatusUpdate[] {
  const payload = { name: 'job', data: { list: [1, { deep: 2 }] }, metadata: { tenant: ['t1'] } };
  const history = new JobHistory(undefined, payload).start().fail(1, 0).start().cancel(1, 'u1');
  const told = history.complete(1, { pages: [1, 2] }).snapshots;
  return structuredClone(keyed(told, { queue: newQueue(), jobId: '1' }));
}

/** Changes whatever can be changed of a value, down to its leaves. */
function spoil(value: unknown): void {
  if (isDate(value)) {
    value.setTime(0);
  } else if (typeof value === 'object' && value !== null) {
    for (const [field, inner] of Object.entries(value)) {
      if (typeof inner === 'object' && inner !== null) spoil(inner);
      else Object.assign(value, { [field]: 'spoilt' });
    }
  }
}

export const isolation: readonly LawTest[] = [
  {
    name: 'Isolation: what write was given may be changed afterwards, and was not changed by it',
    async run(kit) {
      const store = await kit.open();
      const updates = changeable();
      const [key] = structuredClone(updates) as [StatusUpdate];
      const before = structuredClone(updates);
      for (const update of updates) await store.write([update]);
      const wrong = differences({ updates: before }, { updates });
      spoil(updates);
      wrong.push(...differences(foldHistory(before), await store.get(key)));
      expectNothing('Isolation', kit, 'After the caller changed what it had given', wrong);
    },
  },
  {
    name: 'Isolation: a batch that was given to write stays as it is, in its order too',
    async run(kit) {
      const store = await kit.open();
      const batch = ['3', '1', '2'].flatMap((jobId) =>
        changeable().map((update) => ({ ...update, jobId })),
      );
      const before = structuredClone(batch);
      await store.write(batch);
      const wrong = differences({ updates: before }, { updates: batch });
      expectNothing('Isolation', kit, 'After a write of three jobs', wrong);
    },
  },
  {
    name: 'Isolation: a row that get gave may be changed, and the next is as before',
    async run(kit) {
      const store = await kit.open();
      const told = changeable();
      const [key] = told as [StatusUpdate];
      await store.write(told);
      const expected = structuredClone(foldHistory(told));
      spoil(await store.get(key));
      const wrong = differences(expected, await store.get(key));
      // What it is to be merged with must not be of the spoilt one either.
      await store.write(told);
      wrong.push(...differences(expected, await store.get(key)));
      expectNothing('Isolation', kit, 'After the caller changed the row that it got', wrong);
    },
  },
  {
    name: 'Isolation: rows and attempts that were listed may be changed as well',
    async run(kit) {
      const store = await kit.open();
      const told = changeable();
      const [{ queue, jobId }] = told as [StatusUpdate];
      await store.write(told);
      const read = async () => ({
        rows: (await store.list?.({ queue }))?.items,
        attempts: await store.attempts?.({ queue, jobId }),
      });
      const before = structuredClone(await read());
      spoil(await read());
      const wrong = differences(before, await read());
      expectNothing('Isolation', kit, 'After the caller changed what was listed', wrong);
    },
  },
];
