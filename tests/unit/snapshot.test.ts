import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { TrackableJob } from '../../src/bullmq.ts';
import { mergeStatus } from '../../src/merge.ts';
import type { Capture } from '../../src/capture.ts';
import { snapshotOf, type JobEvent } from '../../src/snapshot.ts';
import type { StatusUpdate } from '../../src/types.ts';
import { broken } from '../../src/testing/law.ts';

const JOB: TrackableJob = {
  id: '1',
  name: 'export',
  data: {},
  progress: 0,
  stacktrace: null,
  delay: 0,
  priority: 0,
  timestamp: 1_000,
  processedOn: 2_000,
  attemptsStarted: 1,
  attemptsMade: 0,
  opts: {},
};

const CAPTURE: Capture = {
  fields: { data: true, progress: true, result: true, error: true, metadata: true },
  maxValueLength: 1_000,
  redact: (value) => value,
  metadata: () => null,
  hookFailed: () => {},
};

function take(event: JobEvent, job: Partial<TrackableJob> = {}): StatusUpdate {
  const at = { queue: 'q', worker: 'w', now: 3_000, sequence: 1 };
  const snapshot = snapshotOf(event, { ...JOB, ...job }, at, CAPTURE);
  if (snapshot === undefined) throw new Error('no snapshot');
  return snapshot;
}

describe('what an event makes of a job', () => {
  test.each<[JobEvent['type'], Partial<TrackableJob>, string]>([
    ['active', {}, 'active'],
    ['progress', {}, 'active'],
    ['completed', { finishedOn: 3_000 }, 'completed'],
    ['failed', { finishedOn: 3_000 }, 'failed'],
    // Attempts left or used up say nothing: only `finishedOn` does.
    ['failed', { finishedOn: 3_000, attemptsMade: 1, opts: { attempts: 5 } }, 'failed'],
    ['failed', { attemptsMade: 5, opts: { attempts: 5 } }, 'waiting'],
    ['failed', { delay: 500 }, 'delayed'],
    ['failed', { delay: 500, priority: 2 }, 'delayed'],
    ['failed', { priority: 2 }, 'prioritized'],
  ])('%s of %j: %s', (type, job, status) => {
    expect(take({ type }, job).status).toBe(status);
  });

  test('a completed job has no error, though BullMQ keeps the last reason on it', () => {
    const job = { failedReason: 'once', finishedOn: 3_000 };
    expect(take({ type: 'completed' }, job).error).toBeNull();
  });

  test('a running job shows why the attempt before it failed, as the queue tells it', () => {
    const job = { failedReason: 'no', stacktrace: ['Error: older', 'RangeError: no\n    at x'] };
    const error = { name: 'RangeError', message: 'no', stack: 'RangeError: no\n    at x' };
    expect(take({ type: 'active' }, job).error).toEqual(error);
  });

  test.each([
    [
      'an error without a name',
      Object.assign(new Error('m'), { name: 5 }),
      { name: 'Error', message: 'm' },
    ],
    ['a string', 'text', { name: 'Error', message: 'text' }],
    ['nothing', undefined, { name: 'Error', message: 'the reason' }],
    ['an object', { a: 1 }, { name: 'Error', message: 'an object with the keys a' }],
    [
      'an error of another realm',
      runInNewContext("new TypeError('far away')"),
      { name: 'TypeError', message: 'far away' },
    ],
    [
      'an object like an error',
      { message: 'quota exceeded', code: 5 },
      { name: 'Error', message: 'quota exceeded' },
    ],
  ])('a failure by %s', (_, value, error) => {
    const job = { failedReason: 'the reason' };
    expect(take({ type: 'failed', value }, job).error).toMatchObject(error);
  });

  test('a long error keeps its name and the start of its message', () => {
    const { error, altered } = take({ type: 'failed', value: new RangeError('m'.repeat(90_000)) });
    expect(error).toEqual({ name: 'RangeError', message: expect.stringMatching(/^m{900,1000}$/) });
    expect(altered).toEqual({ error: ['too-large'] });
  });

  test('when the attempt ended, and whether it failed', () => {
    expect(take({ type: 'active' })).toMatchObject({ attemptEndedOn: null, attemptFailed: false });
    const ended = { finishedOn: 2_500 };
    expect(take({ type: 'completed' }, ended)).toMatchObject({
      attemptEndedOn: 2_500,
      attemptFailed: false,
    });
    expect(take({ type: 'failed' }, ended)).toMatchObject({
      attemptEndedOn: 2_500,
      attemptFailed: true,
    });
    // The queue keeps no time of an attempt that is tried again: it is when the event came.
    expect(take({ type: 'failed' }, { delay: 500 })).toMatchObject({
      attemptEndedOn: 3_000,
      attemptFailed: true,
    });
  });

  test('whose child it is, who made it, and by what it was deduplicated', () => {
    expect(take({ type: 'active' })).toMatchObject({
      parent: null,
      schedulerId: null,
      deduplicationId: null,
      children: null,
    });
    const lineage = {
      parent: { id: 'p\0', queueKey: 'my:prefix:parents' },
      repeatJobKey: 's\0',
      deduplicationId: 'd',
    };
    expect(take({ type: 'active' }, lineage)).toMatchObject({
      parent: { queue: 'my:prefix:parents', jobId: 'p\uFFFD' },
      schedulerId: 's\uFFFD',
      deduplicationId: 'd',
    });
    const onUsualPrefix = { parent: { id: '1', queueKey: 'bull:parents' } };
    expect(take({ type: 'active' }, onUsualPrefix).parent).toEqual({
      queue: 'parents',
      jobId: '1',
    });
  });

  test('progress of a job whose end nobody saw says nothing new', () => {
    const at = { queue: 'q', worker: 'w', now: 3_000, sequence: 1 };
    const event = { type: 'progress', value: 5 } as const;
    expect(snapshotOf(event, { ...JOB, finishedOn: 3_000 }, at, CAPTURE)).toBeUndefined();
  });
});

describe('readings that cannot be right', () => {
  test.each([[0], [-5], [NaN], [Infinity], [1.7], [1e300], [Number.MAX_SAFE_INTEGER]])(
    'a timestamp of %d makes a lawful row',
    (timestamp) => {
      const job = { timestamp, processedOn: timestamp, finishedOn: timestamp };
      const row = mergeStatus(undefined, take({ type: 'completed' }, job));
      expect(broken(row)).toEqual([]);
      for (const time of [row.createdAt, row.completedAt]) {
        expect(time?.toISOString()).toMatch(/^(19|20|99)\d\d-/);
      }
    },
  );

  test('counts that are missing or absurd', () => {
    const job = { attemptsStarted: undefined as never, attemptsMade: -1, opts: { attempts: 1e12 } };
    expect(take({ type: 'active' }, job)).toMatchObject({
      attempt: 1,
      attemptsMade: 0,
      maxAttempts: 2_147_483_647,
    });
  });
});
