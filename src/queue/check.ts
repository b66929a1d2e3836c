import { queueKey, type TrackableQueue } from '../bullmq.ts';
import { JobStatusError, kindOf, messageOf } from '../errors.ts';
import { hasMethods, unlike } from '../validate.ts';
import { createQueueReader } from './create.ts';
import type { QueueReader } from './reader.ts';

/** What came is told by its kind only: where a queue should stand, people pass URLs with passwords. */
export function checkQueue(queue: unknown): void {
  if (!hasMethods(queue, 'emit', 'close', 'remove') || !('qualifiedName' in (queue as object))) {
    throw unlike('queue', 'a BullMQ Queue', kindOf(queue));
  }
}

/**
 * A reader of a queue that is open.
 *
 * @throws {InvalidArgumentError} where the queue is kept in what nobody here can read
 * @throws {JobStatusError} `ERR_QUEUE_UNAVAILABLE` where it is closed
 */
export function readerOf(queue: TrackableQueue): QueueReader {
  if (queue.closing !== undefined) {
    const message = `The queue "${queueKey(queue.qualifiedName)}" is closed: give one that is open`;
    throw new JobStatusError('ERR_QUEUE_UNAVAILABLE', message);
  }
  const reader = createQueueReader(queue);
  if (reader !== undefined) return reader;
  throw unlike('queue', "a BullMQ Queue on Redis, or on BullMQ's Postgres backend", kindOf(queue));
}

/** What is told where a queue's own client failed. */
export function unreadable(queue: string, cause: unknown): JobStatusError {
  const message = `The queue "${queue}" can't be read: ${messageOf(cause)}`;
  return new JobStatusError('ERR_QUEUE_UNAVAILABLE', message, { cause });
}
