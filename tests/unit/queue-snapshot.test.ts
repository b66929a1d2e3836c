import { describe, expect, test } from 'vitest';
import type { Capture } from '../../src/capture.ts';
import { mergeStatus, toStatus } from '../../src/merge.ts';
import {
  snapshotOfEnd,
  snapshotOfGone,
  snapshotOfQueued,
  type QueuedJob,
} from '../../src/queue-snapshot.ts';
import { snapshotOf, type JobEvent } from '../../src/snapshot.ts';
import type { StatusUpdate } from '../../src/types.ts';
import { broken, permutations } from '../../src/testing/law.ts';
import { FakeReader } from '../support/fake-reader.ts';

const capture: Capture = {
  fields: { data: false, progress: true, result: true, error: true, metadata: true },
  maxValueLength: 1_000,
  redact: (value) => value,
  metadata: () => null,
  hookFailed: () => {},
};

let clock = 10_000;
const at = (worker: string | null) => {
  clock += 10;
  return { queue: 'q', worker, now: clock, sequence: clock * 1_000 };
};

/** A job as the queue has it. */
function queued(state: QueuedJob['state'], job: object = {}, rest: object = {}): QueuedJob {
  const seen = new FakeReader().put('1', state, { timestamp: 1_000, processedOn: 2_000, ...job });
  return { ...seen.jobs.get('1')!, ...rest };
}

const told = (event: JobEvent, job: object = {}) =>
  snapshotOf(event, queued('active', job).job, at('worker-1'), capture)!;
const read = (...[state, job, rest]: Parameters<typeof queued>) =>
  snapshotOfQueued(queued(state, job, rest), at(null), capture);

/** The row, which must be the same in every order. */
function fold(...snapshots: StatusUpdate[]) {
  const rows = [...permutations(snapshots)].map((order) => {
    const row = order.reduce<ReturnType<typeof mergeStatus> | undefined>(mergeStatus, undefined)!;
    expect(broken(row)).toEqual([]);
    return row;
  });
  for (const row of rows) expect(row).toEqual(rows[0]);
  return rows[0]!;
}

describe('what is read off the queue of a run', () => {
  const completed = { finishedOn: 3_000, attemptsMade: 1 };

  test('gives way to what its worker told of that phase, however late it is read', () => {
    const own = told({ type: 'completed', value: 0 }, completed);
    const late = read('completed', { ...completed, progress: 7 }, { result: null });
    expect(fold(own, late)).toMatchObject({ result: 0, progress: 0, worker: 'worker-1' });
    const active = told({ type: 'active' });
    expect(fold(active, read('active'))).toMatchObject({ worker: 'worker-1' });
    class Refused extends Error {
      override name = 'Refused';
    }
    const failed = { finishedOn: 3_000, attemptsMade: 1, failedReason: 'no' };
    const own_ = told({ type: 'failed', value: new Refused('no') }, failed);
    expect(fold(own_, read('failed', failed))).toMatchObject({ error: { name: 'Refused' } });
  });

  test('tells of a later phase all the same', () => {
    const late = read('completed', completed, { result: 'read' });
    expect(fold(told({ type: 'active' }), late)).toMatchObject({
      status: 'completed',
      result: 'read',
      // The queue doesn't know its name.
      worker: 'worker-1',
    });
  });
});

describe('a job that is put back', () => {
  test('keeps when its attempt was first seen to end, and who ran it', () => {
    const failed = told({ type: 'failed', value: new Error('no') }, { delay: 60, attemptsMade: 1 });
    const promoted = read('waiting', { attemptsMade: 1, failedReason: 'no' });
    expect(fold(failed, promoted)).toMatchObject({
      status: 'waiting',
      worker: 'worker-1',
      attemptFailed: true,
      attemptEndedOn: failed.attemptEndedOn,
    });
  });

  test('has failed where its worker says so, though it had been put back before without failing', () => {
    const job = { attemptsStarted: 2, attemptsMade: 1 };
    const failed = told({ type: 'failed', value: new Error('no') }, { delay: 60, ...job });
    expect(fold(failed, read('waiting', job))).toMatchObject({ attempt: 2, attemptFailed: true });
  });

  test('has not failed where it started more often than it has attempts behind it', () => {
    expect(read('delayed', { attemptsStarted: 2, attemptsMade: 1 }).attemptFailed).toBe(false);
    expect(read('delayed', { attemptsStarted: 2, attemptsMade: 2 }).attemptFailed).toBe(true);
    const never = { attemptsStarted: 0, attemptsMade: 0, processedOn: undefined };
    expect(read('waiting', never).attemptFailed).toBe(false);
  });
});

describe('a job that is gone', () => {
  test('ended, if anybody saw that', () => {
    const active = told({ type: 'active' });
    const gone = snapshotOfGone(toStatus(active), at(null));
    const completed = told({ type: 'completed', value: 1 }, { finishedOn: 3_000 });
    expect(fold(active, gone)).toMatchObject({ status: 'removed', removedFrom: 'active' });
    expect(fold(active, gone, completed)).toMatchObject({ status: 'completed', removedFrom: null });
  });

  test('is cancelled, if somebody asked for that', () => {
    const cancellation = { requestedOn: clock, by: null, reason: null };
    const delayed = { ...read('delayed'), cancellation };
    expect(fold(delayed, snapshotOfGone(toStatus(delayed), at(null)))).toMatchObject({
      status: 'cancelled',
      removedFrom: 'delayed',
      cancelledAt: expect.any(Date),
    });
  });

  test('whose end an event tells: of the attempt that ran, or of the one after it', () => {
    const end = { status: 'completed', value: 'well', on: clock + 100 } as const;
    const endOf = (update: StatusUpdate) =>
      snapshotOfEnd(toStatus(update), end, queued('active').job, at(null), capture);
    const active = told({ type: 'active' });
    expect(fold(active, endOf(active))).toMatchObject({
      status: 'completed',
      attempt: 1,
      result: 'well',
      finishedOn: end.on,
      startedAtInferred: false,
    });
    const delayed = read('delayed', { attemptsMade: 1 });
    expect(fold(delayed, endOf(delayed))).toMatchObject({ status: 'completed', attempt: 2 });
    const waiting = read('waiting', { attemptsStarted: 0, processedOn: undefined });
    expect(fold(waiting, endOf(waiting))).toMatchObject({
      status: 'completed',
      attempt: 1,
      startedAtInferred: true,
    });
  });
});

test('of what the queue does not keep, the row that is at hand has it', () => {
  const known = toStatus({ ...read('active'), metadata: { tenant: 't1' }, data: { n: 1 } });
  const seen = queued('delayed');
  const filled = snapshotOfQueued(seen, at(null), capture, known);
  expect(filled).toMatchObject({ metadata: { tenant: 't1' }, data: { n: 1 } });
  const another = { ...known, createdAt: new Date(1) };
  expect(snapshotOfQueued(seen, at(null), capture, another)).toMatchObject({
    metadata: null,
    data: null,
  });
});
