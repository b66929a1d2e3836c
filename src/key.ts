import type { JobKey } from './types.ts';

/** One string for a key. The length comes first, since either part may contain any separator. */
export function keyOf({ queue, jobId }: JobKey): string {
  return `${queue.length}:${queue}:${jobId}`;
}
