import { eachAtOnce } from '../../at-once.ts';
import type { StatusFilter } from '../../store.ts';
import type { StatusUpdate } from '../../types.ts';
import { differences, show } from '../differences.ts';
import { expectNothing } from '../failure.ts';
import { JobHistory } from '../histories.ts';
import { isRefused, keyed, newQueue, type LawTest } from '../kit.ts';
import { MANY, manyJobs } from '../many-jobs.ts';
import { wrongRow } from '../telling.ts';
import { CONDITIONS, fill, holdRefusals, known } from '../queries.ts';

const needs = 'delete';

export const removal: readonly LawTest[] = [
  {
    name: 'Delete: what matches, and nothing else, and it says how many',
    needs,
    async run(kit) {
      const filters: StatusFilter[] = known(kit).map((field) => ({
        [field]: CONDITIONS[field][1] ?? CONDITIONS[field][0],
      }));
      // A list of none matches nothing, and not everything.
      for (const field of ['jobId', 'status'] as const)
        if (known(kit).includes(field)) filters.push({ [field]: [] });
      for (const filter of filters) {
        const { store, reference, queue } = await fill(kit);
        const jobs = manyJobs(queue).concat(manyJobs(`${queue}-2`));
        const keys = new Map(
          jobs.map(({ queue: of, jobId }) => [`${of} ${jobId}`, { queue: of, jobId }]),
        );
        const deleted = { deleted: await reference.delete({ ...filter, queue }) };
        const wrong = differences(deleted, { deleted: await store.delete?.({ ...filter, queue }) });
        await eachAtOnce(10, keys.values(), async (key) => {
          const [expected, row] = [await reference.get(key), await store.get(key)];
          if ((expected === undefined) !== (row === undefined))
            wrong.push(`${show(key)} is ${row === undefined ? 'gone' : 'still there'}`);
        });
        const left = await reference.count({ queue });
        const counted = await store.count?.({ queue });
        if (counted !== undefined) wrong.push(...differences({ count: left }, { count: counted }));
        const listed = (await store.list?.({ queue, limit: MANY + 1 }))?.items.length;
        if (listed !== undefined) wrong.push(...differences({ listed: left }, { listed }));
        expectNothing('Delete', kit, `delete(${show({ ...filter, queue })})`, wrong);
      }
    },
  },
  {
    name: 'Delete: without a condition it is refused, and so is one that it does not know',
    needs,
    async run(kit) {
      const { store, queue } = await fill(kit);
      const [key] = manyJobs(queue) as [StatusUpdate];
      const wrong: string[] = [];
      // The last are pages of everything, and no condition.
      for (const query of [
        {},
        { queue: undefined },
        { limit: 10 },
        { limit: 1, cursor: undefined },
      ])
        if (!(await isRefused(() => store.delete?.(query))))
          wrong.push(`delete(${show(query)}) was not refused`);
      if ((await store.get(key)) === undefined) wrong.push('rows are gone');
      expectNothing('Delete', kit, 'A delete of everything', wrong);
      await holdRefusals('Delete', kit, (query) => store.delete?.(query));
    },
  },
  {
    name: 'Delete: of what changes meanwhile, only what still matches',
    needs,
    async run(kit) {
      if (!known(kit).includes('status')) return 'not there';
      const store = await kit.open();
      const told = new JobHistory(undefined, {
        name: 'job',
        data: null,
        metadata: { tenant: 't1' },
      });
      const [started, completed] = told.start().complete().snapshots as [
        StatusUpdate,
        StatusUpdate,
      ];
      const wrong: string[] = [];
      const metadata = known(kit).includes('metadata')
        ? [undefined, { tenant: 't1' }]
        : [undefined];
      for (let round = 0; round < 6; round++) {
        const [queue, jobIds] = [newQueue(), Array.from({ length: 50 }, (_, n) => `${n}`)];
        const of = (snapshot: StatusUpdate) =>
          jobIds.map((jobId) => ({ ...snapshot, queue, jobId }));
        await store.write(of(started));
        const condition = metadata[round % metadata.length];
        await Promise.all([
          eachAtOnce(1, of(completed), (each) => store.write([each])),
          store.delete?.({ queue, status: 'active', metadata: condition }),
        ]);
        await eachAtOnce(10, jobIds, async (jobId) => {
          const row = await store.get({ queue, jobId });
          if (row?.status !== 'completed') wrong.push(`${jobId} is ${row?.status ?? 'gone'}`);
        });
      }
      expectNothing('Delete', kit, 'Jobs that completed while active ones were deleted', wrong);
      return undefined;
    },
  },
  {
    name: 'Delete: whoever read a row before does not take what is told afterwards for that',
    needs,
    async run(kit) {
      if (!known(kit).includes('jobId')) return 'not there';
      const store = await kit.open();
      const { snapshots } = new JobHistory().start().progress(1, 1).complete();
      const [first, second, last] = snapshots as [StatusUpdate, StatusUpdate, StatusUpdate];
      const [queue, jobIds] = [newQueue(), Array.from({ length: 300 }, (_, n) => `${n}`)];
      const of = (snapshot: StatusUpdate) => jobIds.map((jobId) => ({ ...snapshot, queue, jobId }));
      await store.write(of(first));
      await Promise.all([
        // In one batch: the last of it are written long after they were read, if they are read at all.
        store.write(of(second)),
        eachAtOnce(5, of(last).toReversed(), async (each) => {
          await store.delete?.({ queue, jobId: each.jobId });
          await store.write([each]);
        }),
      ]);
      const wrong: string[] = [];
      await eachAtOnce(10, jobIds, async (jobId) => {
        const row = await store.get({ queue, jobId });
        if (row?.status !== 'completed') wrong.push(`${jobId} is ${row?.status ?? 'gone'}`);
      });
      expectNothing('Delete', kit, 'Jobs deleted, and told of again, while others wrote', wrong);
      return undefined;
    },
  },
  {
    name: 'Delete: what is told again afterwards is a row again, of what is told alone',
    needs,
    async run(kit) {
      const store = await kit.open();
      const key = { queue: newQueue(), jobId: '1' };
      const history = new JobHistory().start().fail(1, 0).start(40).progress(1, 1).complete();
      const told = keyed(history.snapshots, key);
      await store.write(told);
      const deleted = await store.delete?.({ queue: key.queue });
      const wrong = differences({ deleted: 1 }, { deleted });
      const row = await store.get(key);
      if (row !== undefined) wrong.push('the row is still there');
      const attempts = await store.attempts?.(key);
      if (attempts !== undefined && attempts.length > 0) wrong.push('its attempts are still there');
      const last = told.slice(-1);
      await store.write(last);
      wrong.push(...(await wrongRow(store, last)));
      expectNothing('Delete', kit, 'A job of two attempts, deleted and told of again', wrong);
    },
  },
];
