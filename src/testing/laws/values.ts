import type { JsonValue, StatusUpdate } from '../../types.ts';
import { JobHistory } from '../histories.ts';
import type { LawTest } from '../kit.ts';
import { holdRows, holdStepByStep, sideBySide } from '../telling.ts';

/** Nested as deep as job data is in real life, and somewhat deeper. */
function nested(depth: number, within: (value: JsonValue) => JsonValue): JsonValue {
  let value: JsonValue = 'bottom';
  for (let at = 0; at < depth; at++) value = within(value);
  return value;
}

const KINDS: Readonly<Record<string, readonly JsonValue[]>> = {
  "0, '', false and null, and lists and objects of none": [
    ...[0, '', false, null, [], {}, [null], [[]], [0, '', false, null]],
    { zero: 0, empty: '', no: false, none: null, list: [], object: {} },
  ],
  'numbers to the last digit': [
    ...[
      1,
      -1,
      0.1,
      0.1 + 0.2,
      -1.5,
      2 ** 31,
      2 ** 53,
      -(2 ** 53),
      1e21,
      1e-7,
      123_456_789.123_456_79,
    ],
    ...[1e308, 5e-324, Number.MAX_VALUE, Number.MAX_SAFE_INTEGER, [1, 1.5, -0.25]],
  ],
  'text that looks like something else': [
    ...[
      'null',
      'true',
      '0',
      '1.0',
      '{}',
      '{"a": 1}',
      '[1]',
      '"quoted"',
      '9007199254740993',
      '1e999',
    ],
    ...['2026-01-01T00:00:00.000Z', '2026-01-01', '0x10', 'NaN', '$1', '${x}', '%s', ':name', '?'],
  ],
  'text that quotes, escapes and encodings stumble over': [
    ...[
      '"',
      "'",
      '\\',
      '`',
      '\n\r\t',
      '\u2028\u2029',
      '\uFEFF',
      '\u0001',
      ' a ',
      '\u00E9',
      'e\u0301',
    ],
    ...[
      '日本語',
      '👩‍👩‍👧‍👦',
      "'; drop table jobs; --",
      String.raw`\u0041\n`,
      '<b>&amp;</b>',
      'x'.repeat(60_000),
    ],
  ],
  'deep values, and keys of all kinds': [
    nested(60, (value) => [value]),
    nested(60, (value) => ({ in: value })),
    { '': 1, ' ': 2, 'a.b': 3, $set: 4, '1e2': 5, constructor: 6, createdAt: '2026-01-01', Ä: 7 },
    JSON.parse('{"__proto__": {"a": 1}}') as JsonValue,
    { a: [{ b: [{ c: [1, null, { d: false }] }] }] },
    Array.from({ length: 1_000 }, (_, n) => n),
  ],
};

/** A snapshot in which each field has a value of its own. */
function everyField(): StatusUpdate[] {
  const [, failed] = new JobHistory().start(7).fail(9).snapshots as [StatusUpdate, StatusUpdate];
  const at = (ms: number) => new Date(failed.createdAt.getTime() + ms);
  return [
    {
      ...failed,
      name: 'a name',
      attempt: 3,
      attemptsMade: 4,
      maxAttempts: 5,
      progress: { done: 6 },
      result: ['some'],
      error: { name: 'RangeError', message: 'too far', stack: 'RangeError: too far\n    at x' },
      data: { file: 'orders' },
      metadata: { tenant: 't1', user: 0 },
      worker: 'w1',
      delayedUntil: at(1_000),
      cancellation: { requestedOn: at(5).getTime(), by: 'u1', reason: 'no longer needed' },
      parent: { queue: 'flows:parents', jobId: 'p:1' },
      children: [
        { queue: 'a', jobId: '1' },
        { queue: 'b', jobId: '' },
      ],
      schedulerId: 's:1',
      deduplicationId: 'd 1',
      altered: { result: ['bigint', 'circular'], data: ['too-large'] },
      queuedOn: at(2).getTime(),
      updatedAt: at(20),
    },
  ];
}

export const values: readonly LawTest[] = [
  ...Object.entries(KINDS).map(([kind, all]): LawTest => ({
    name: `Values: ${kind}`,
    async run(kit) {
      const histories = all.map((value) => {
        const payload = { name: 'job', data: value, metadata: { value } };
        const history = new JobHistory(undefined, payload).start().progress(1, value);
        return history.complete(1, value).snapshots;
      });
      await holdStepByStep('Values', kit, histories, histories.length);
    },
  })),
  {
    name: 'Values: every field of a row, with a value and without',
    async run(kit) {
      const store = await kit.open();
      const [waiting] = new JobHistory().look().snapshots as [StatusUpdate];
      const none = { ...waiting, data: null, metadata: null, progress: null };
      const jobs = sideBySide([everyField(), [none]]);
      await store.write(jobs.flat());
      await holdRows('Values', kit, store, jobs, 'all in one write');
    },
  },
  {
    name: 'Values: counters and clock readings to the last that a number holds',
    async run(kit) {
      const histories = [2 ** 31 - 1, 2 ** 31 - 2].flatMap((count) =>
        [Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 2 ** 52 + 1].map((sequence) =>
          everyField().map((each) => ({
            ...each,
            attempt: count,
            attemptsMade: count,
            maxAttempts: count,
            sequence,
          })),
        ),
      );
      await holdStepByStep('Values', kit, histories, 0);
    },
  },
];
