import type { Job } from 'bullmq';
import { expect } from 'vitest';
import { createQueueReader } from '../../src/queue/create.ts';
import type { JobChange, QueueReader } from '../../src/queue/reader.ts';
import type { newQueueOn } from './queues.ts';

/** The reader of a queue of the tests, given its `Queue` or a `Worker`. */
export function readerOf(owner: { readonly name: string }): QueueReader {
  const reader = createQueueReader(owner);
  if (reader === undefined) throw new Error('no reader');
  return reader;
}

/** All that has changed after a place, in looks of so many events at most. */
export async function allChanges(reader: QueueReader, from: string, limit = 1_000) {
  const jobs: JobChange[] = [];
  let cursor = from;
  for (let looks = 1; ; looks += 1) {
    const changes = await reader.changes(cursor, limit);
    jobs.push(...changes.jobs);
    ({ cursor } = changes);
    if (!changes.hasMore) return { jobs, cursor, looks };
  }
}

export type TestQueue = ReturnType<typeof newQueueOn>;

const DATA_FIELDS = [
  'id',
  'name',
  'data',
  'opts',
  'progress',
  'delay',
  'priority',
  'timestamp',
  'processedOn',
  'finishedOn',
  'attemptsStarted',
  'attemptsMade',
  'failedReason',
  'stacktrace',
  'returnvalue',
  'parent',
  'parentKey',
  'repeatJobKey',
  'deduplicationId',
  'processedBy',
  'queueName',
] as const satisfies readonly (keyof Job)[];

/** A job as the reader sees it, which must be as BullMQ's own getters see it. */
export async function look(at: TestQueue, id: string) {
  const seen = (await readerOf(at.queue).read([id])).get(id);
  const own = await at.queue.getJob(id);
  if (own === undefined || seen === undefined) throw new Error(`no job ${id}`);
  expect(seen.job).toEqual(Object.fromEntries(DATA_FIELDS.map((field) => [field, own[field]])));
  expect(seen.state).toBe(await own.getState());
  return seen;
}
