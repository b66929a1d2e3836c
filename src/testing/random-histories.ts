import fc from 'fast-check';
import type { StatusUpdate } from '../types.ts';
import { resolve, unlike, wholeNumber, type Rule } from '../validate.ts';
import { JobHistory } from './histories.ts';

/** Text with all that quotes, escapes and encodings may stumble over, and some that looks like JSON. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({
    unit: fc.constantFrom('"', "'", '\\', '{', '}', '[', '$', '%', '\n', '\0', '\uD800'),
  }),
  fc.constantFrom(
    '',
    'null',
    'false',
    '0',
    '{}',
    '{"a": 1}',
    '"quoted"',
    String.raw`\u0041`,
    '1e999',
  ),
  fc.constantFrom(
    '9007199254740993',
    '184467440737095516160',
    '$1',
    '${x}',
    '日本語',
    '👩‍👩‍👧‍👦',
    '\u2028',
  ),
);

/**
 * Keys hold no backslash: once the V8 of Node 24 (13.6) has read `{"a":1,"\\":1}`, it reads `{"a":1,"\"":1}` as the
 * same, in any `JSON.parse`, a database client's too.
 */
const anyKey = anyText.map((text) => text.replaceAll('\\', '/'));

const anyNumber = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(0, -0, 0.1, -1.5, 1e21, 1e308, 5e-324, Number.MAX_VALUE, 2 ** 53, 2 ** 53 + 2),
);

/** Nested so deep that the snapshot may have to cut it. */
const deep = fc.tuple(fc.nat(110), fc.boolean()).map(([depth, inArrays]) => {
  let value: unknown = 'bottom';
  for (let at = 0; at < depth; at++) value = inArrays ? [value] : { in: value };
  return value;
});

/** A value as a job may hold it: any JSON, and some that is none. */
export const anyValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(null, undefined, true, false, [], {}, [null], [[]]) },
  { weight: 4, arbitrary: anyText },
  { weight: 4, arbitrary: anyNumber },
  { weight: 2, arbitrary: fc.array(fc.oneof(anyText, anyNumber), { maxLength: 5 }) },
  { weight: 2, arbitrary: fc.dictionary(anyKey, fc.oneof(anyText, anyNumber), { maxKeys: 5 }) },
  { weight: 2, arbitrary: fc.anything({ key: anyKey, values: [anyText, anyNumber], maxKeys: 5 }) },
  { weight: 1, arbitrary: fc.bigInt() },
  { weight: 1, arbitrary: deep },
);

const anyPayload = fc.record({
  name: anyText,
  data: anyValue,
  metadata: fc.option(fc.dictionary(anyKey, anyValue, { maxKeys: 3 })),
});

/** Time that passes: often none, so that all sorts of readings are of one millisecond. */
const someMs = fc.oneof(fc.constantFrom(0, 1), fc.nat(50));

/** How far two hosts' clocks may lie apart, in ms: the law's limit. */
const MAX_SKEW = 2_500;
const anySkew = fc.integer({ min: -MAX_SKEW / 2, max: MAX_SKEW / 2 });

/** Looks at the queue, by hosts of any clock, as time goes by. */
const looks = fc.array(
  fc.record({
    does: fc.constantFrom('look', 'look', 'look', 'hear', 'cancel'),
    ms: fc.oneof(someMs, fc.constant(6_000)),
    skew: anySkew,
    missed: fc.nat(2),
    by: fc.option(fc.constantFrom('u1', 'u2')),
  }),
  { maxLength: 2 },
);
const noLooks: typeof looks = fc.constant([]);

/** What may happen to a job at random, within what the law asks of the world. */
const stepOf = (seen: typeof looks) =>
  fc.oneof(
    fc.record({ does: fc.constant('progress'), ms: someMs, value: anyValue, seen }),
    fc.record({
      does: fc.constantFrom('fail', 'vanish'),
      ms: someMs,
      retryIn: fc.constantFrom(0, 0, 1, 5, 8_000),
      value: anyValue,
      seen,
    }),
    fc.record({
      does: fc.constantFrom('complete', 'fail for good', 'remove'),
      ms: someMs,
      value: anyValue,
      /** As by `removeOnComplete` and `removeOnFail`. */
      removed: fc.boolean(),
      seen,
      next: fc.constantFrom('retry', 'reset', 'again'),
      payload: anyPayload,
      seenWaiting: seen,
    }),
    fc.record({
      does: fc.constant('adopt'),
      ms: someMs,
      children: fc.uniqueArray(fc.constantFrom(...CHILDREN)),
      seen,
    }),
  );

const CHILDREN = ['a', 'b', '\u{1F600}', '\uFF5E', 'é'].map((id) => `bull:children:${id}`);

/**
 * Random histories: attempts on hosts of skewed clocks, stalls, delays, retries by hand, ids used
 * again, ties of all kinds, and values of all kinds.
 */
function historyOf(seen: typeof looks): fc.Arbitrary<JobHistory> {
  return fc
    .record({
      steps: fc.array(stepOf(seen), { minLength: 1, maxLength: 8 }),
      skews: fc.array(anySkew, { minLength: 1, maxLength: 3 }),
      wait: fc.nat(3),
      payload: anyPayload,
      seenWaiting: seen,
    })
    .map(({ steps, skews, wait, payload, seenWaiting }) => {
      const history = new JobHistory(undefined, payload);
      let starts = 0;
      const lookedAt = (by: typeof seenWaiting) => {
        for (const { does, ms, skew, missed, by: user } of by) {
          if (does === 'cancel') history.cancel(ms, user, skew);
          else history[does](ms, skew, missed);
        }
      };
      // Who cancels a job that waits takes it out of the queue: its id is used again.
      const start = (ms: number) => {
        if (history.state === undefined) history.addAgain(1);
        history.start(ms, skews[starts++ % skews.length]);
      };
      lookedAt(seenWaiting);
      start(wait);
      for (const step of steps) {
        if ('next' in step) {
          if (step.does === 'complete') history.complete(step.ms, step.value);
          if (step.does === 'fail for good') history.fail(step.ms, undefined, step.value);
          if (step.does === 'remove' || step.removed) history.remove(step.ms);
          lookedAt(step.seen);
          if (step.next === 'again' || history.state === undefined)
            history.addAgain(step.ms + 1, step.payload);
          else if (step.next === 'retry') history.retryByHand(step.ms);
          else history.retryByHand(5_001 + MAX_SKEW, true);
          lookedAt(step.seenWaiting);
          start(wait);
        } else if ('retryIn' in step) {
          if (step.does === 'fail') history.fail(step.ms, step.retryIn, step.value);
          else history.vanish(step.ms, step.retryIn);
          lookedAt(step.seen);
          start(step.retryIn);
        } else {
          if ('children' in step) history.adopt(step.ms, step.children);
          else history.progress(step.ms, step.value);
          lookedAt(step.seen);
        }
      }
      return history;
    });
}

/** As workers alone tell them. */
export const randomHistoryOfWorkers = historyOf(noLooks).map(({ snapshots }) => snapshots);

/** The same, and what others read off the queue: jobs that wait, that were removed, that somebody cancels. */
export const randomHistoryOfQueues = historyOf(looks);

export const randomHistory: fc.Arbitrary<StatusUpdate[]> = randomHistoryOfQueues.map(
  ({ snapshots }) => snapshots,
);

/** What all that is random is drawn from. */
export const A_SEED: Rule = {
  expected: 'a whole number',
  holds: (value) => Number.isSafeInteger(value),
};

/** Of random histories: which, and how many. */
export const DRAWING = { seed: A_SEED, runs: wholeNumber(200, 1, 100_000) };

/**
 * Histories of jobs as they may happen: attempts on hosts whose clocks are apart, stalls, delays, retries by
 * hand, ids used again, removals, cancellations, and values of all kinds. Each is what was told of one job, in
 * the order in which it happened; its key is for you to set.
 *
 * @param options.seed the same seed gives the same histories
 * @param options.runs how many, 1 to 100,000. @default 200
 * @throws {InvalidArgumentError} where an option is not what it must be
 */
export function randomHistories(options: { seed: number; runs?: number }): StatusUpdate[][] {
  const { seed, runs } = resolve('options', options, DRAWING) as { seed: number; runs: number };
  if (seed === undefined) throw unlike('options.seed', A_SEED.expected, 'undefined');
  return drawHistories({ seed, runs });
}

/** The same, of options that were checked. */
export function drawHistories({ seed, runs }: { seed: number; runs: number }): StatusUpdate[][] {
  return fc.sample(randomHistory, { seed, numRuns: runs });
}
