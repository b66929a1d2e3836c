import fc from 'fast-check';
import type { StatusFilter, StatusPage, StatusQuery, StatusStore } from '../../store.ts';
import { MemoryStatusStore } from '../../stores/memory.ts';
import type { JobStatus, StatusUpdate } from '../../types.ts';
import { differences, show } from '../differences.ts';
import { expectNothing, type Law } from '../failure.ts';
import { START } from '../histories.ts';
import { newQueue, type Kit, type LawTest } from '../kit.ts';
import { MANY, manyJobs } from '../many-jobs.ts';

const needs = 'list';

export const FILTERS = [
  ...(['queue', 'jobId', 'name', 'status', 'createdFrom', 'createdBefore'] as const),
  ...(['finishedFrom', 'finishedBefore', 'updatedBefore', 'metadata'] as const),
] satisfies readonly (keyof StatusFilter)[];

const at = (ms: number) => new Date(START + ms);

/** Some of what each condition may be. */
export const CONDITIONS: {
  readonly [field in keyof StatusFilter]-?: readonly StatusFilter[field][];
} = {
  queue: [undefined],
  jobId: ['7', ['7', '8', '7', 'nobody'], [], 'nobody', ['1', '11', '21', '31']],
  name: ['first', 'later', 'nobody', 'First'],
  status: ['completed', 'failed', 'removed', ['completed', 'failed'], ['active', 'cancelled'], []],
  createdFrom: [at(0), at(5), at(15), at(16)],
  createdBefore: [at(0), at(1), at(10), at(99)],
  finishedFrom: [at(0), at(20), at(40), at(99)],
  finishedBefore: [at(0), at(20), at(40), at(99)],
  updatedBefore: [at(0), at(20), at(40), at(99)],
  metadata: [
    ...[{ org: 'a' }, { org: 'c' }, { user: 1 }, { user: '1' }, { org: 'a', user: '1' }],
    ...[
      { tags: ['y'] },
      { tags: [] },
      { deep: { k: [{ z: null }] } },
      { deep: { k: 1 } },
      { deep: null },
    ],
  ],
};

/** Every row of a query, page by page; `between` is called after each page. */
async function readAll(
  store: StatusStore,
  query: StatusQuery,
  between: (page: StatusPage) => Promise<void> = async () => {},
): Promise<JobStatus[]> {
  const rows: JobStatus[] = [];
  let cursor: string | undefined;
  do {
    const page: StatusPage = (await store.list?.({ ...query, cursor })) as StatusPage;
    rows.push(...page.items);
    cursor = page.nextCursor ?? undefined;
    if (rows.length > 20 * MANY) throw new Error('The pages never end: each has a nextCursor');
    await between(page);
  } while (cursor !== undefined);
  return rows;
}

/** The conditions that the store knows, besides the queue. */
export function known(kit: Kit): readonly (keyof StatusFilter)[] {
  const { filters = FILTERS } = kit.capabilities;
  return FILTERS.filter((field) => field !== 'queue' && filters.includes(field));
}

/** Each condition alone, and many together at random. */
export function queriesOf(kit: Kit): StatusFilter[] {
  const single: StatusFilter[] = known(kit).flatMap((field) =>
    CONDITIONS[field].map((value) => ({ [field]: value })),
  );
  const any = fc.record(
    Object.fromEntries(known(kit).map((field) => [field, fc.constantFrom(...CONDITIONS[field])])),
    { requiredKeys: [] },
  );
  return [{}, ...single, ...(fc.sample(any, { seed: kit.seed, numRuns: 30 }) as StatusFilter[])];
}

/** Jobs of all kinds in a store, and the same in the memory store, which says what must come. */
export async function fill(kit: Kit) {
  const [store, reference] = [await kit.open(), new MemoryStatusStore()];
  const queue = newQueue();
  for (const each of [store, reference]) {
    await each.write(manyJobs(queue));
    // Of another queue, with the same ids.
    await each.write(manyJobs(`${queue}-2`));
  }
  return { store, reference, queue };
}

const byId = (a: JobStatus, b: JobStatus) => (a.jobId < b.jobId ? -1 : 1);

function isInOrder(rows: readonly JobStatus[]): boolean {
  return rows.every((row, n) => n === 0 || row.createdAt <= (rows[n - 1] as JobStatus).createdAt);
}

/** Each method refuses the conditions that it does not know. */
export async function holdRefusals(
  law: Law,
  kit: Kit,
  ask: (query: StatusFilter) => Promise<unknown> | undefined,
): Promise<void> {
  const wrong: string[] = [];
  for (const field of FILTERS.filter((each) => each !== 'queue' && !known(kit).includes(each))) {
    const query = { queue: newQueue(), [field]: CONDITIONS[field][0] };
    const isRefused = await Promise.resolve(ask(query)).then(
      () => false,
      () => true,
    );
    if (!isRefused) wrong.push(`${show(query)} was not refused`);
  }
  expectNothing(law, kit, 'Conditions that capabilities.filters does not name', wrong);
}

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
        if (wrong.length === 0)
          wrong.push(...differences({ rows: expected }, { rows: rows.toSorted(byId) }));
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
      await store.write(Array.from({ length: 4 }, (_, n) => ({ ...template, jobId: `more-${n}` })));
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
        if (last !== undefined) await store.delete?.({ queue, jobId: last.jobId });
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
