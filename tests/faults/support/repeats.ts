import type { Worker } from 'bullmq';

/**
 * Counts what a worker's listeners are told twice: the same event of the very same `Job`, of which BullMQ makes
 * a new one for each attempt.
 */
export function countRepeats(worker: Worker): () => number {
  const told = new WeakMap<object, Set<string>>();
  let repeats = 0;
  const listen = (event: string, job: object | undefined, value: unknown = '') => {
    if (job === undefined) return;
    const events = told.get(job) ?? new Set();
    const said = `${event} ${JSON.stringify(value)}`;
    if (events.has(said)) repeats += 1;
    told.set(job, events.add(said));
  };
  worker.on('active', (job) => listen('active', job));
  worker.on('progress', (job, progress) => listen('progress', job, progress));
  worker.on('completed', (job) => listen('ended', job));
  worker.on('failed', (job) => listen('ended', job));
  return () => repeats;
}
