import type { Queue } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';

/** A steady load: how many jobs were added, and a way to end it. */
export interface Load {
  readonly added: () => number;
  stop(): Promise<void>;
}

/** Adds jobs, numbered in their data, so many a second to each queue, until it is stopped. */
export function addJobs(
  queues: readonly Queue[],
  perSecond: number,
  opts: Parameters<Queue['add']>[2] = { removeOnComplete: true },
): Load {
  const stopped = new AbortController();
  let added = 0;
  const adding = (async () => {
    const start = performance.now();
    while (!stopped.signal.aborted) {
      // What is due by now, so that a late turn is made up for.
      const due = Math.floor(((performance.now() - start) / 1_000) * perSecond) - added;
      const jobs = Array.from({ length: due }, (_, at) => ({
        name: 'job',
        data: { n: added + at },
        ...(opts && { opts }),
      }));
      added += due;
      if (due > 0) await Promise.all(queues.map((queue) => queue.addBulk(jobs)));
      await sleep(20);
    }
  })();
  return {
    added: () => added,
    async stop() {
      stopped.abort();
      await adding;
    },
  };
}
