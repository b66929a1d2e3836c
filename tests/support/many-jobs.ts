import { randomUUID } from 'node:crypto';
import type { StatusUpdate } from '../../src/types.ts';
import { JobHistory, START } from '../../src/testing/histories.ts';
import type { WholeStore } from './stores.ts';

/** The name of a queue that no other test has. */
export function newQueueName(test: string): string {
  return `${test}-${randomUUID()}`;
}

/** 30 jobs of a queue of its own, three to a millisecond; of each three one active, completed, failed. */
export function manyJobs(queue: string, start = START): StatusUpdate[] {
  return Array.from({ length: 30 }, (_, n) => {
    const history = new JobHistory({ queue, id: `${n}` }).start();
    if (n % 3 === 1) history.complete();
    if (n % 3 === 2) history.fail();
    const shifted = (ms: number | null) => (ms === null ? null : ms - START + start);
    return history.snapshots.map((snapshot) => ({
      ...snapshot,
      name: n < 6 ? 'first' : 'later',
      createdAt: new Date(start + Math.floor(n / 3)),
      processedOn: shifted(snapshot.processedOn),
      firstProcessedOn: shifted(snapshot.firstProcessedOn),
      finishedOn: shifted(snapshot.finishedOn),
    }));
  }).flat();
}

export async function writeManyJobs(store: WholeStore, queue: string, start = START) {
  await store.write(manyJobs(queue, start));
  return { queue, store };
}
