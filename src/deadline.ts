import { setTimeout as sleep } from 'node:timers/promises';

/**
 * What a promise gives, if it does so in time; it goes on by itself if not.
 *
 * @param late makes what this rejects with after so many ms
 */
export async function within<T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  const over = new AbortController();
  const timeout = sleep(ms, undefined, { signal: over.signal }).then(() => {
    throw late();
  });
  return Promise.race([work, timeout]).finally(() => over.abort());
}
