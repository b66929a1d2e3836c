import type { Queue } from 'bullmq';
import { vi } from 'vitest';

/** Resolves when so many jobs of a queue have ended, by the queue's own count. */
export async function untilCompleted(queue: Queue, atLeast: number): Promise<void> {
  await until(async () => (await queue.getCompletedCount()) >= atLeast);
}

/** Resolves when a queue has nothing left to do; resolves to the number of jobs in it. */
export async function untilDone(queue: Queue): Promise<number> {
  await until(
    async () => (await queue.getJobCountByTypes('wait', 'active', 'delayed', 'prioritized')) === 0,
  );
  return queue.getJobCountByTypes('completed', 'failed');
}

/** Resolves once something holds, however busy the machine is. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  await vi.waitFor(
    async () => {
      if (!(await holds())) throw new Error(`Still not so: ${String(holds)}`);
    },
    { timeout: 45_000, interval: 20 },
  );
}
