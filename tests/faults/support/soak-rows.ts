import type { JobStatus } from 'bullmq-job-status';
import { isFinished } from '../../../src/phase.ts';
import { broken } from '../../../src/testing/law.ts';
import { KINDS, type Expected, type Target } from './soak-load.ts';

/** How long before a reconciliation a row must have changed to be looked at, and as much again to be sure. */
const SETTLED_MS = 20_000;

/** Rows that ended longer ago go, so that the tables stay small. */
const KEPT_MS = 90_000;

export interface RowCheck {
  /** Checks every row that there is. At the end none may be unfinished, and none may be missing. */
  check(isEnd?: boolean): Promise<void>;
  /** Deletes those that ended long ago. */
  prune(): Promise<void>;
  /** Those that were not right, by their keys, with what is wrong. */
  readonly wrong: ReadonlyMap<string, string>;
}

export function createRowCheck(targets: readonly Target[]): RowCheck {
  const wrong = new Map<string, string>();
  const pruned = new Map<Target, number>();

  async function checkQueue(target: Target, isEnd: boolean): Promise<void> {
    const { queue, rows, added } = target;
    let count = pruned.get(target) ?? 0;
    let cursor: string | undefined;
    do {
      const page = await rows.list({ queue: queue.name, limit: 1_000, cursor });
      for (const row of page.items) {
        count += 1;
        const faults = faultsOf(row, isEnd ? Infinity : target.healedBefore());
        if (faults.length > 0) wrong.set(`${row.queue} ${row.jobId}`, faults.join('; '));
      }
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    if (isEnd && count !== added)
      wrong.set(queue.name, `${count} rows, and ${added} jobs were added`);
  }

  return {
    async check(isEnd = false) {
      for (const target of targets) await checkQueue(target, isEnd);
    },
    async prune() {
      // What was checked just before, whichever queue it is of: the two may share a table.
      const finishedBefore = new Date(Date.now() - KEPT_MS);
      for (const target of targets) {
        const { queue, rows } = target;
        const count = await rows.delete({ queue: queue.name, finishedBefore });
        pruned.set(target, (pruned.get(target) ?? 0) + count);
      }
    },
    wrong,
  };
}

/**
 * What is wrong with a row of a job that had the time to end.
 *
 * @param healedBefore rows that changed before this time, in ms since 1970, are no longer unfinished
 */
function faultsOf(row: JobStatus, healedBefore: number): string[] {
  const faults = broken(row);
  if (!isFinished(row.status)) {
    const isLate = row.updatedAt.getTime() < healedBefore - SETTLED_MS;
    return isLate ? [...faults, `${row.name} is ${row.status} still`] : faults;
  }
  const { ends, attempts }: Expected = KINDS[row.name as keyof typeof KINDS];
  const said = `${row.name} is ${row.status} after ${row.attempt} attempts`;
  if (!ends.includes(row.status) || !attempts.includes(row.attempt)) faults.push(said);
  if (row.status === 'completed' && row.result !== row.name)
    faults.push(`${said}, with the result ${JSON.stringify(row.result)}`);
  if ((row.status === 'failed') !== (row.error?.message === 'asked to fail'))
    if (row.status !== 'cancelled') faults.push(`${said}, with the error ${row.error?.message}`);
  return faults;
}
