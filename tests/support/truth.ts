import type { Queue } from 'bullmq';
import type { JobStatus } from 'bullmq-job-status';
import { expect, vi } from 'vitest';
import { queueKey } from '../../src/bullmq.ts';
import { isFinished } from '../../src/phase.ts';
import { broken } from '../../src/testing/law.ts';
import { readAll } from './rows.ts';
import type { WholeStore } from './stores.ts';

type Readable = Pick<WholeStore, 'list'>;

/** What a row says that the queue, asked by BullMQ's own getters, does not; nothing, if they agree. */
async function differenceOf(row: JobStatus, queue: Queue): Promise<string[]> {
  const [job, state] = await Promise.all([
    queue.getJob(row.jobId),
    queue.getJobState(row.jobId) as Promise<string>,
  ]);
  const id = `${row.queue} ${row.jobId}`;
  const faults = broken(row).map((fault) => `${id}: ${fault}`);
  if (job === undefined || state === 'unknown') {
    // Nobody can know more of it than that it is over.
    if (!isFinished(row.status))
      faults.push(`${id}: ${row.status}, and the queue has forgotten it`);
    return faults;
  }
  const isCancelled = row.status === 'cancelled' && state === 'failed';
  const said = [isCancelled ? 'failed' : row.status, row.createdAt.getTime(), row.attemptsMade];
  const is = [state, job.timestamp, job.attemptsMade];
  if (state !== 'completed' && state !== 'failed') {
    said.push(row.attempt);
    is.push(job.attemptsStarted);
  }
  if (said.join() !== is.join())
    faults.push(`${id}: ${said.join()}, and the queue says ${is.join()}`);
  return faults;
}

/** Where the rows of a queue and the queue itself tell different stories. */
export async function differences(store: Readable, queue: Queue): Promise<string[]> {
  const rows = await readAll(store, { queue: queueKey(queue.qualifiedName), limit: 1_000 });
  const found: string[] = [];
  for (let at = 0; at < rows.length; at += 50) {
    const some = rows.slice(at, at + 50).map((row) => differenceOf(row, queue));
    found.push(...(await Promise.all(some)).flat());
  }
  return found;
}

/** Resolves when every row says what the queue says, and there are so many. */
export async function agree(
  store: Readable,
  queue: Queue,
  rows: number,
  timeout = 10_000,
): Promise<void> {
  const shouldAgree = async () => {
    const { length } = await readAll(store, { queue: queueKey(queue.qualifiedName), limit: 1_000 });
    const found = { rows: length, differences: await differences(store, queue) };
    expect(found).toEqual({ rows, differences: [] });
  };
  // Unlike `expect.poll` it may be used in tests that run beside others.
  await vi.waitFor(shouldAgree, { timeout, interval: 50 });
}
