import { describe, expect, test } from 'vitest';
import {
  FIELDS,
  lastOfEach,
  toChange,
  toQueuedJob,
  type RawFields,
} from '../../src/queue/fields.ts';

const NOTHING = Object.fromEntries(FIELDS.map((field) => [field, null])) as RawFields;
const PLACE = {
  id: '7',
  queueName: 'q',
  state: 'waiting',
  delayedUntil: null,
  children: [],
} as const;

function jobOf(fields: Partial<RawFields>) {
  return toQueuedJob(PLACE, { ...NOTHING, name: 'job', timestamp: '1700000000000', ...fields });
}

describe('a job’s fields', () => {
  test('none but those it must have', () => {
    expect(jobOf({})).toEqual({
      state: 'waiting',
      delayedUntil: null,
      children: [],
      result: undefined,
      job: {
        id: '7',
        name: 'job',
        queueName: 'q',
        data: {},
        opts: { attempts: 0 },
        progress: 0,
        delay: 0,
        priority: 0,
        timestamp: 1_700_000_000_000,
        attemptsStarted: 0,
        attemptsMade: 0,
        stacktrace: [],
        returnvalue: null,
      },
    });
  });

  test.each([
    [{ name: null }],
    [{ timestamp: null }],
    [{ timestamp: '' }],
    [{ timestamp: 'yesterday' }],
    [{ name: null, timestamp: null, progress: '50' }],
  ])('%j is no job', (fields) => {
    expect(jobOf(fields)).toBeUndefined();
  });

  test('an empty name is a name', () => {
    expect(jobOf({ name: '' })?.job.name).toBe('');
  });

  test('what is no JSON, or JSON of something else, is not there', () => {
    for (const text of ['', '{', 'undefined', 'NaN', '\0', '"', '12', '"text"', 'null', '[[]]']) {
      const seen = jobOf({
        data: text,
        opts: text,
        progress: text,
        stacktrace: text,
        parent: text,
      });
      expect(seen?.job).toMatchObject({ opts: { attempts: 0 }, stacktrace: [], parent: undefined });
    }
    expect(jobOf({ data: 'null', returnvalue: 'null', progress: 'null' })).toMatchObject({
      result: null,
      job: { data: null, progress: 0 },
    });
  });

  test.each(['0', '""', 'false'])('a result of %s is one', (json) => {
    const seen = jobOf({ returnvalue: json });
    expect(seen?.result).toBe(JSON.parse(json));
    expect(seen?.job).toMatchObject({ returnvalue: JSON.parse(json) });
  });

  test('numbers that are none', () => {
    for (const text of ['', 'x', 'NaN', 'Infinity', ' ']) {
      const seen = jobOf({
        ats: text,
        atm: text,
        processedOn: text,
        finishedOn: text,
        delay: text,
      });
      expect(seen?.job).toMatchObject({ attemptsStarted: 0, attemptsMade: 0, delay: 0 });
      expect(seen?.job.processedOn).toBeUndefined();
      expect(seen?.job.finishedOn).toBeUndefined();
    }
  });

  test('options by their whole names, without the scheduler', () => {
    const opts = { attempts: 3, de: { id: 'd' }, fpof: true, kl: 5, own: 1, repeatJobKey: 's' };
    expect(jobOf({ opts: JSON.stringify(opts) })?.job.opts).toEqual({
      attempts: 3,
      deduplication: { id: 'd' },
      failParentOnFailure: true,
      keepLogs: 5,
      own: 1,
    });
  });

  test('a parent, by its key where there is nothing else', () => {
    const parent = { id: '1', queueKey: 'eu:west:parents', fpof: true };
    const known = jobOf({ parent: JSON.stringify(parent), parentKey: 'eu:west:parents:1' });
    expect(known?.job.parent).toEqual(parent);
    const byKey = jobOf({ parentKey: 'eu:west:parents:1' });
    expect(byKey?.job.parent).toEqual({ id: '1', queueKey: 'eu:west:parents' });
    expect(jobOf({ parentKey: 'nothing' })?.job.parent).toBeUndefined();
  });
});

describe('a job’s last event', () => {
  function last(...events: readonly string[]) {
    return lastOfEach(events.map((event, on) => ({ jobId: '1', event, on, value: null }))).map(
      ({ event, on }) => [event, on],
    );
  }

  test.each([
    [
      ['added', 'waiting', 'active', 'completed'],
      ['completed', 3],
    ],
    [
      ['failed', 'retries-exhausted'],
      ['failed', 0],
    ],
    [
      ['completed', 'progress', 'stalled', 'own'],
      ['completed', 0],
    ],
    [
      ['completed', 'removed'],
      ['completed', 0],
    ],
    [
      ['failed', 'retries-exhausted', 'removed'],
      ['failed', 0],
    ],
    [
      ['waiting', 'removed'],
      ['removed', 1],
    ],
    [
      ['completed', 'added'],
      ['added', 1],
    ],
    [
      ['failed', 'waiting'],
      ['waiting', 1],
    ],
    [
      ['completed', 'added', 'removed'],
      ['removed', 2],
    ],
    [
      ['progress', 'stalled'],
      ['stalled', 1],
    ],
    [
      ['progress', 'active'],
      ['active', 1],
    ],
    [
      ['active', 'progress'],
      ['active', 0],
    ],
  ])('of %j', (events, expected) => {
    expect(last(...events)).toEqual([expected]);
  });

  test('in the order of these', () => {
    const events = ['a', 'b', 'a', 'c', 'b'].map((jobId, on) => ({ jobId, event: 'waiting', on }));
    const left = lastOfEach(events.map((each) => ({ ...each, value: null })));
    expect(left.map(({ jobId, on }) => [jobId, on])).toEqual([
      ['a', 2],
      ['c', 3],
      ['b', 4],
    ]);
    expect(lastOfEach([])).toEqual([]);
  });

  test.each([
    ['completed', '0', 0],
    ['completed', '{"a":1}', { a: 1 }],
    ['completed', '{', undefined],
    ['completed', null, undefined],
    ['failed', '{"a":1}', '{"a":1}'],
    ['failed', '', ''],
    ['active', null, undefined],
  ])('%s with %j', (event, value, expected) => {
    expect(toChange({ jobId: '1', event, on: 1, value })).toEqual({
      jobId: '1',
      event,
      on: 1,
      value: expected,
    });
  });
});
