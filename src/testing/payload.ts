import type { TrackableJob } from '../bullmq.ts';
import type { Capture } from '../capture.ts';

/* What the model's jobs hold, what is captured of them, and what their processors throw. */

/** What the job's producer gave it. */
export interface Payload {
  readonly name: string;
  readonly data: unknown;
  readonly metadata: unknown;
  /** Of a child in a flow, of a scheduler's job, of one that is deduplicated. */
  readonly lineage?: Pick<TrackableJob, 'parent' | 'repeatJobKey' | 'deduplicationId'>;
}

export const USUAL: Payload = { name: 'export', data: { n: 1 }, metadata: { tenant: 't1' } };

/** Everything, the metadata as the producer gave it. */
export function captureOf({ metadata }: Payload): Capture {
  return {
    fields: { data: true, progress: true, result: true, error: true, metadata: true },
    maxValueLength: 10_000,
    redact: (value) => value,
    metadata: () => metadata,
    hookFailed: (hook, thrown) => {
      throw new Error(`${hook} failed`, { cause: thrown });
    },
  };
}

/** What an attempt throws. Its stack is the same wherever the kit lies and whoever calls it. */
export function failure(message: string): RangeError {
  const error = new RangeError(message);
  error.stack = `RangeError: ${message}\n    at process (worker.js:1:1)`;
  return error;
}
