import fc from 'fast-check';
import type { StatusFilter, StatusPage, StatusQuery, StatusStore } from '../store.ts';
import { MemoryStatusStore } from '../stores/memory.ts';
import type { JobStatus } from '../types.ts';
import { show } from './differences.ts';
import { expectNothing, type Law } from './failure.ts';
import { START } from './histories.ts';
import { cut, isRefused, newQueue, shuffles, type Kit } from './kit.ts';
import { earlierLives, MANY, manyJobs } from './many-jobs.ts';

/* What the tests of `list`, `count`, `delete` and `prune` ask, and of which rows. */

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

/** Every row of a query, page by page; `between` is called after each page. */
export async function readAll(
  store: StatusStore,
  query: StatusQuery,
  between: (page: StatusPage) => Promise<void> = async () => {},
): Promise<JobStatus[]> {
  const rows: JobStatus[] = [];
  let cursor: string | undefined;
  let pages = 0;
  do {
    const page: StatusPage = (await store.list?.({ ...query, cursor })) as StatusPage;
    rows.push(...page.items);
    cursor = page.nextCursor ?? undefined;
    if (++pages > 20 * MANY) throw new Error('The pages never end: each has a nextCursor');
    await between(page);
  } while (cursor !== undefined);
  return rows;
}

/**
 * Jobs of all kinds in a store, in two queues with the same ids; and the same in the memory store, which says what
 * must come. An earlier job of each id was there first, and they come in several writes: what is asked for must be
 * looked for in rows as they became, and not as they were first.
 */
export async function fill(kit: Kit) {
  const [store, reference] = [await kit.open(), new MemoryStatusStore()];
  const queue = newQueue();
  for (const each of [queue, `${queue}-2`]) {
    const [jobs = []] = shuffles(manyJobs(each), 1, kit.seed);
    for (const batch of [earlierLives(each), ...cut(jobs, 30, kit.seed)]) {
      await store.write(batch);
      await reference.write(batch);
    }
  }
  return { store, reference, queue };
}

/** Whether newer rows come first. */
export function isInOrder(rows: readonly JobStatus[]): boolean {
  return rows.every((row, n) => n === 0 || row.createdAt <= (rows[n - 1] as JobStatus).createdAt);
}

/** Queries that mean something else than they say, if what is not known of them is passed over. */
const MISSPELT = [
  { statuses: 'failed' },
  { status: 'faild' },
  { createdBefore: '2026-01-01' },
] as unknown as readonly StatusFilter[];

/** Holds that conditions which the method does not know are refused: passed over, they would match every row. */
export async function holdRefusals(
  law: Law,
  kit: Kit,
  ask: (query: StatusFilter) => Promise<unknown> | undefined,
): Promise<void> {
  const unknown = FILTERS.filter((each) => each !== 'queue' && !known(kit).includes(each));
  const queries = [...unknown.map((field) => ({ [field]: CONDITIONS[field][0] })), ...MISSPELT];
  const wrong: string[] = [];
  for (const condition of queries) {
    const query: StatusFilter = { queue: newQueue(), ...condition };
    if (!(await isRefused(() => ask(query)))) wrong.push(`${show(query)} was not refused`);
  }
  expectNothing(law, kit, 'Conditions that it does not know', wrong);
}
