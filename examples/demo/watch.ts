import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'bullmq';
import type { SupabaseStatusStore } from 'bullmq-job-status/supabase';

/** How long the jobs, and then their rows, may take before the demo calls it a failure. */
const PATIENCE_MS = 60_000;

/** `fetch`, and how often it was called. */
export function countingFetch(): { fetch: typeof fetch; count: number } {
  const counting = {
    count: 0,
    fetch: (...request: Parameters<typeof fetch>) => {
      counting.count += 1;
      return fetch(...request);
    },
  };
  return counting;
}

/** Resolves with the time at which the last job ended, by what BullMQ itself says. */
export function untilAllEnded(workers: readonly Worker[], total: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let ended = 0;
    const tooLate = () => reject(new Error(`Only ${ended} of ${total} jobs have ended in time`));
    const deadline = setTimeout(tooLate, PATIENCE_MS);
    const countOne = () => {
      ended += 1;
      if (ended < total) return;
      clearTimeout(deadline);
      resolve(Date.now());
    };
    for (const worker of workers) {
      worker.on('completed', countOne);
      // `failed` comes after every failed attempt; with an end only after the last.
      worker.on('failed', (job) => job?.finishedOn !== undefined && countOne());
    }
  });
}

/**
 * Resolves with the time at which the database first said that every job has ended. Should it never
 * say so, that is for the check of the rows to tell.
 */
export async function untilAllStored(store: SupabaseStatusStore, total: number): Promise<number> {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    if ((await store.count({ status: ['completed', 'failed'] })) >= total) break;
    await sleep(5);
  }
  return Date.now();
}
