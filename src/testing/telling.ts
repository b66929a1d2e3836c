import { eachAtOnce } from '../at-once.ts';
import type { StatusStore } from '../store.ts';
import type { StatusUpdate } from '../types.ts';
import { differences } from './differences.ts';
import { broken, indent, MAX_LINES, type Law } from './failure.ts';
import { historyTable } from './history-table.ts';
import { JobHistory } from './histories.ts';
import { cut, keyed, newQueue, type Kit } from './kit.ts';
import { attemptsOf, foldHistory } from './law.ts';
import { shortestAlone, shortestTogether, type Check, type Way } from './narrowing.ts';

/* Telling a store histories, and holding its rows against what `mergeStatus` makes of the same. */

/** Reads of one row after the other take long; too many at once, a database does not bear. */
const READERS = 10;

/** What of a job's row, and of its attempts, is not what was told: nothing, if all is well. */
export async function wrongRow(
  store: StatusStore,
  told: readonly StatusUpdate[],
): Promise<string[]> {
  const [{ queue, jobId }] = told as [StatusUpdate];
  const row = await store.get({ queue, jobId });
  if (row === undefined || row === null) return [`there is no row; get gave ${String(row)}`];
  return differences(foldHistory(told), row);
}

/** What of a job's attempts is not what was told. */
export async function wrongAttempts(
  store: StatusStore,
  told: readonly StatusUpdate[],
): Promise<string[]> {
  const [{ queue, jobId }] = told as [StatusUpdate];
  const attempts = await store.attempts?.({ queue, jobId });
  return differences({ attempts: attemptsOf(told) }, { attempts });
}

/**
 * Holds the rows of many jobs against what was told of each. Of the first one that is wrong it tells the
 * shortest history that is wrong by itself.
 *
 * @param how the way that was told, which the shortest is told by
 */
export async function holdRows(
  law: Law,
  kit: Kit,
  store: StatusStore,
  histories: readonly (readonly StatusUpdate[])[],
  how: Way,
  check: Check = wrongRow,
): Promise<void> {
  const found = new Map<number, readonly string[]>();
  await eachAtOnce(READERS, histories.entries(), async ([at, told]) => {
    if (found.size > 0 || told.length === 0) return;
    const wrong = await check(store, told);
    if (wrong.length > 0) found.set(at, wrong);
  });
  const [first] = found.keys();
  if (first === undefined) return;
  const history = histories[first] ?? [];
  const alone =
    (await shortestAlone(store, history, how, check)) ??
    (await shortestTogether(store, histories, how, check));
  const { items, wrong } = alone ?? { items: history, wrong: found.get(first) ?? [] };
  const lines = [
    alone === undefined
      ? 'By itself this history is stored as it should be: it takes the other jobs of its batches, or writers at once, to break it.'
      : `The shortest history that shows it, ${alone.way}:`,
    ...indent(historyTable(items, wrong)),
    'What the store has of it is not what mergeStatus makes of it:',
    ...indent(wrong.slice(0, MAX_LINES)),
  ];
  throw broken(law, kit, lines, items);
}

/** What trackers write at once unless they are told to write more. */
const MAX_BATCH = 2_000;

/** Gives each history a key of its own in one new queue. */
export function sideBySide(histories: readonly (readonly StatusUpdate[])[]): StatusUpdate[][] {
  const queue = newQueue();
  return histories.map((history, at) => keyed(history, { queue, jobId: `job-${at}` }));
}

/**
 * Tells histories step by step, side by side: the first snapshot of each in one batch, then the second. The
 * rows of the first few are held against the law at every step, those of all at the end.
 */
export async function holdStepByStep(
  law: Law,
  kit: Kit,
  histories: readonly (readonly StatusUpdate[])[],
  watched: number,
  check?: Check,
): Promise<void> {
  const store = await kit.open();
  const jobs = sideBySide(histories);
  const steps = Math.max(...jobs.map((job) => job.length));
  const how = 'each in a write of its own, one after the other';
  for (let step = 0; step < steps; step++) {
    const batch = jobs.flatMap((job) => job.slice(step, step + 1));
    for (let at = 0; at < batch.length; at += MAX_BATCH)
      await store.write(batch.slice(at, at + MAX_BATCH));
    const seen = jobs.slice(0, watched).map((job) => job.slice(0, step + 1));
    await holdRows(law, kit, store, seen, how, check);
  }
  await holdRows(law, kit, store, jobs, how, check);
}

/** Tells snapshots of many jobs in batches of 1 to `max`, by several writers at once. */
export async function tellAtOnce(
  store: StatusStore,
  snapshots: readonly StatusUpdate[],
  { writers, max, seed }: { writers: number; max: number; seed: number },
): Promise<void> {
  await eachAtOnce(writers, cut(snapshots, max, seed), (batch) => store.write(batch));
}

/** Whether a row that one store writes is in the other; where it is not, each has its own, as in memory. */
export async function shareRows(
  kit: Kit,
  [store, other]: readonly [StatusStore, StatusStore],
): Promise<boolean> {
  const key = { queue: newQueue(), jobId: '1' };
  await store.write(keyed(new JobHistory().start().snapshots, key));
  const isThere = (await other.get(key)) !== undefined;
  if (!isThere && kit.capabilities.shared === true)
    throw broken('Atomicity', kit, ['The second store does not see the rows of the first.']);
  return isThere;
}
