import type { StatusFilter, StatusPage, StatusStore } from '../../store.ts';
import { MemoryStatusStore } from '../../stores/memory.ts';
import type { JobStatus, StatusUpdate } from '../../types.ts';
import { differences, show } from '../differences.ts';
import { expectNothing } from '../failure.ts';
import { JobHistory, START } from '../histories.ts';
import { newQueue, type LawTest } from '../kit.ts';
import { MANY, manyJobs } from '../many-jobs.ts';
import { fill, holdRefusals, isInOrder, known, queriesOf, readAll } from '../queries.ts';

const needs = 'list';

const at = (ms: number) => new Date(START + ms);

/** Ids that indexes order in different ways: by bytes, by UTF-16, by a language. */
const IDS = [
  ...['', '-', '%', '_', '"', "'", '\\', '~', ' 1', '1', '1 ', '01', 'a', 'A', 'a:b', 'b', 'B'],
  ...['\u00E1', 'a\u0301', '\uE000', '\uFF5E', '\u{1F600}', '\u65E5'],
];

/** What of each row is not as it should be; what it has beside that is its own business. */
function byRow(expected: readonly JobStatus[], rows: readonly JobStatus[]): string[] {
  return expected.flatMap((row, n) =>
    differences(row, rows[n]).map((line) => `rows[${n}].${line}`),
  );
}

const byId = (a: JobStatus, b: JobStatus) => (a.jobId < b.jobId ? -1 : 1);

export const list: readonly LawTest[] = [
  {
    name: 'List: every row once, newest first, page by page, as get gives it',
    needs,
    async run(kit) {
      const { store, reference, queue } = await fill(kit);
      const expected = (await reference.list({ queue, limit: 1_000 })).items.toSorted(byId);
      for (const limit of [1, 7, MANY - 1, MANY, MANY + 1, 1_000]) {
        const rows = await readAll(store, { queue, limit });
        const wrong = differences(
          expected.map((row) => row.jobId),
          rows.map((row) => row.jobId).toSorted((a, b) => (a < b ? -1 : 1)),
        );
        if (!isInOrder(rows)) wrong.push('createdAt does not fall from row to row');
        if (wrong.length === 0) wrong.push(...byRow(expected, rows.toSorted(byId)));
        expectNothing('List', kit, `In pages of ${limit}`, wrong);
      }
    },
  },
  {
    name: 'List: the last page has no cursor, each page as many rows as asked for, 50 unless asked',
    needs,
    async run(kit) {
      const { store, queue } = await fill(kit);
      const [template] = manyJobs(queue) as [StatusUpdate];
      await store.write(
        Array.from({ length: 52 - MANY }, (_, n) => ({ ...template, jobId: `more-${n}` })),
      );
      const sizes: [number, boolean][] = [];
      const seen = async ({ items, nextCursor }: StatusPage) => {
        sizes.push([items.length, nextCursor === null]);
      };
      await readAll(store, { queue }, seen);
      await readAll(store, { queue, limit: 26 }, seen);
      await readAll(store, { queue: newQueue() }, seen);
      const expected = [
        [50, false],
        [2, true],
        [26, false],
        [26, true],
        [0, true],
      ];
      const wrong = differences({ pages: expected }, { pages: sizes });
      expectNothing('List', kit, '52 rows at once, in pages of 26, and none ([rows, last])', wrong);
    },
  },
  {
    name: 'List: pages are right while rows change, come and go',
    needs,
    async run(kit) {
      const { store, queue } = await fill(kit);
      const told = manyJobs(queue);
      let pages = 0;
      const rows = await readAll(store, { queue, limit: 5 }, async ({ items }) => {
        pages++;
        const news = { ...told[0], jobId: `new-${pages}`, createdAt: at(1_000) } as StatusUpdate;
        // Every row changes, so that what orders by the last change, or counts places, goes astray.
        const later = told.map((each) => ({
          ...each,
          progress: pages,
          updatedAt: at(2_000 + pages),
          sequence: each.sequence + pages,
        }));
        await store.write([news, ...later]);
        const last = items.at(-1);
        if (last !== undefined && known(kit).includes('jobId'))
          await store.delete?.({ queue, jobId: last.jobId });
      });
      const ids = rows.map((row) => row.jobId).filter((id) => !id.startsWith('new-'));
      const wrong = differences(
        { count: MANY, distinct: MANY },
        { count: ids.length, distinct: new Set(ids).size },
      );
      if (!isInOrder(rows)) wrong.push('createdAt does not fall from row to row');
      expectNothing(
        'List',
        kit,
        `Of ${MANY} rows, read in pages of 5 while all were written to`,
        wrong,
      );
    },
  },
  {
    name: 'List: without a query, the first page of all rows',
    needs,
    async run(kit) {
      const { store } = await fill(kit);
      const page = await store.list?.();
      const wrong = differences({ rows: 50 }, { rows: page?.items.length });
      expectNothing('List', kit, 'list(), of more than 50 rows', wrong);
    },
  },
  {
    name: 'List: every condition, alone and with others',
    needs,
    async run(kit) {
      const { store, reference, queue } = await fill(kit);
      for (const filter of queriesOf(kit)) {
        const ids = async (from: StatusStore) =>
          (await readAll(from, { ...filter, queue, limit: 10 })).map((row) => row.jobId).toSorted();
        const wrong = differences({ ids: await ids(reference) }, { ids: await ids(store) });
        expectNothing('List', kit, `list(${show({ ...filter, queue })}) in pages of 10`, wrong);
      }
    },
  },
  {
    name: 'List: jobs of one millisecond, with ids of any characters, page by page',
    needs,
    async run(kit) {
      const store = await kit.open();
      const queue = newQueue();
      const [snapshot] = new JobHistory().start().snapshots as [StatusUpdate];
      await store.write(IDS.map((jobId) => ({ ...snapshot, queue, jobId })));
      for (const limit of [1, 2, 7]) {
        const ids = (await readAll(store, { queue, limit })).map((row) => row.jobId);
        const wrong = differences({ ids: IDS.toSorted() }, { ids: ids.toSorted() });
        expectNothing('List', kit, `In pages of ${limit}`, wrong);
      }
    },
  },
  {
    name: 'List: of several queues at once, as they are counted',
    needs,
    async run(kit) {
      const [store, reference] = [await kit.open(), new MemoryStatusStore()];
      const name = newQueue();
      const told = ['', '-2', '-x'].flatMap((end) => {
        const jobs = manyJobs(`${name}${end}`);
        return jobs.map((each) => ({ ...each, name, jobId: `${name} ${each.jobId}` }));
      });
      // By what the store knows that finds just these.
      const jobId = [...new Set(told.map((each) => each.jobId))];
      const ways: readonly StatusFilter[] = [{ name }, { jobId }];
      const query = ways.find((way) => known(kit).some((field) => field in way));
      if (query === undefined) return;
      for (const each of [store, reference]) await each.write(told);
      const keysOf = async (from: StatusStore, limit: number) => {
        const rows = await readAll(from, { ...query, limit });
        return { keys: rows.map((row) => show([row.queue, row.jobId])).toSorted(), rows };
      };
      for (const limit of [7, 1_000]) {
        const [{ keys }, got] = [await keysOf(reference, limit), await keysOf(store, limit)];
        const wrong = differences({ keys }, { keys: got.keys });
        if (!isInOrder(got.rows)) wrong.push('createdAt does not fall from row to row');
        expectNothing('List', kit, `Of three queues at once, in pages of ${limit}`, wrong);
      }
      const count = (await store.count?.(query)) ?? 3 * MANY;
      expectNothing('List', kit, 'Of three queues', differences({ count: 3 * MANY }, { count }));
    },
  },
  {
    name: 'List: a condition that it does not know is refused',
    needs,
    run: async (kit) => {
      const store = await kit.open();
      await holdRefusals('List', kit, (query) => store.list?.(query));
    },
  },
  {
    name: 'Count: every condition, alone and with others, as many as are listed',
    needs: 'count',
    async run(kit) {
      const { store, reference, queue } = await fill(kit);
      const wrong: string[] = [];
      for (const filter of queriesOf(kit)) {
        const [expected, got] = [
          await reference.count({ ...filter, queue }),
          await store.count?.({ ...filter, queue, limit: 1 }),
        ];
        wrong.push(
          ...differences({ count: expected }, { count: got }).map(
            (line) => `${show(filter)}: ${line}`,
          ),
        );
      }
      expectNothing('Count', kit, `Of ${MANY} rows`, wrong);
      await holdRefusals('Count', kit, (query) => store.count?.(query));
    },
  },
];
