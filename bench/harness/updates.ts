import type { StatusUpdate } from 'bullmq-job-status';
import { JobHistory, START } from '../../src/testing/histories.ts';

export const BATCH = 500;

/**
 * The snapshots of so many jobs, step by step: all start, then all complete. Jobs of five queues, a hundred tenants
 * and five thousand users.
 *
 * @param first the number of the first, by which all others differ from those of any other call
 */
export function livesOf(first: number, jobs: number, result?: unknown): StatusUpdate[][] {
  const lives = Array.from({ length: jobs }, (_, at) => {
    const { snapshots } = new JobHistory({ queue: `queue-${at % 5}`, id: `${first + at}` })
      .start()
      .complete(20);
    const metadata = { organizationId: `org-${at % 100}`, userId: `user-${(first + at) % 5_000}` };
    const createdAt = new Date(START + first + at);
    const ended = result === undefined ? {} : { result: result as StatusUpdate['result'] };
    return snapshots.map((snapshot) => ({
      ...snapshot,
      createdAt,
      metadata,
      ...(snapshot.status === 'completed' && ended),
    }));
  });
  return [0, 1].map((step) => lives.map((snapshots) => snapshots[step] as StatusUpdate));
}

/** A list in batches. */
export function* batchesOf<T>(list: readonly T[], size = BATCH): Generator<readonly T[]> {
  for (let at = 0; at < list.length; at += size) yield list.slice(at, at + size);
}
